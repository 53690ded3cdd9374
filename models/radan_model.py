"""RADAN and 3DDFA: the parameters of a morphable face in a scaled orthographic picture, regressed.

The network gives whitened parameters; labels are the parameters that fit the true mesh and its image best. What comes
out is perspective again: the face's shape in metres, and the pose by PnP from where its vertices are seen.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from models.base_model import BaseModel, Batch, Outputs, check_weights, start_output
from models.mobilenet import MobileNet
from models.morphable import POSE_NUMBERS, FaceBases, MorphableLayer, MorphableModel
from models.parameter_losses import (
    DEPTH_OFFSET,
    chosen_vertices,
    landmark_regression,
    parameter_distance,
    scaled_norms,
    turned_norms,
    vertex_distance,
    weighted_parameter_distance,
    wing,
)
from models.radan_network import RadanNetwork
from models.scaled_orthography import crop_points, crop_vertices, fit_numbers, perspective_pose
from util.blocks import BLOCKS, MOST_MOVED, move_blocks
from util.camera import project, transform
from util.errors import InputError
from util.mesh import Topology
from util.statistics import LabelStatistics

# The published recipe, as RADAN's script has it.
PUBLISHED = {
    "img_size": 120,
    "batch_size": 128,
    "epochs": 40,
    "optimizer": "sgd",
    "nesterov": True,
    "lr": 1e-3,
    "beta1": 0.9,
    "weight_decay": 5e-4,
    "lr_policy": "step",
    "lr_milestones": [15, 25, 30],
    "lr_factor": 0.2,
    "backbone": "radan",
    "start": "random",
    "crop_and_paste": True,
    "wpdc": "fast",
    "loss_wpdc_weight": 0.5,
    "loss_wing_weight": 1.0,
}
# 3DDFA's first version. Its first five epochs are at a fifth of the rate, which no option here does; a count of steps
# would be that of its 636,252 images alone.
THREEDDFA = {
    **PUBLISHED,
    "batch_size": 512,
    "epochs": 50,
    "lr": 0.02,
    "lr_milestones": [30, 40],
    "backbone": "mobilenet_v1_100",
    "crop_and_paste": False,
    "loss_wpdc_weight": 1.0,
    "loss_wing_weight": 0.0,
}
# Ours: learns from far fewer images. The published losses look at where vertices lie in the picture: there a large face
# of a small scale is as good as a small one of a large scale, and coefficients make up for wrong poses. From few images
# shapes come out worse than the mean so (58 mm of the score for its 38). PDC holds each parameter to its own label.
STANDARD = {
    "img_size": 120,
    "batch_size": 32,
    "epochs": 40,
    "lr": 2e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "backbone": "mobilenet_v1_100",
    "start": "mean",
    "crop_and_paste": False,
    "wpdc": "fast",
    "loss_wpdc_weight": 0.5,
    "loss_wing_weight": 1.0,
    "loss_pdc_weight": 10.0,
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.1,
}
WINDOW = "square"
LOSSES = ("wpdc", "wing", "vdc", "pdc", "landmarks")
# How far vertices may be off the bases' faces in the labels' fit, metres: what is smaller is not fitted.
FIT_DEVIATION = 1e-4

# outputs (pose, identity, expression) and landmark_head to a network
BACKBONES: dict[str, Callable[[tuple[int, int, int], bool], nn.Module]] = {
    "mobilenet_v1_050": lambda outputs, landmark_head: MobileNet(0.5, sum(outputs), landmark_head),
    "mobilenet_v1_100": lambda outputs, landmark_head: MobileNet(1.0, sum(outputs), landmark_head),
    "radan": RadanNetwork,
}


class RadanModel(BaseModel):
    """One network on the square around the face.

    Outputs: "parameters", whitened, (B, 12 + K + E): the numbers of models.scaled_orthography, identity, expression;
    and with --loss_landmarks_weight "landmarks" (B, 68, 2), from -1 to 1 across the window. Where training adds
    shuffled copies of the images, theirs follow as B more rows.
    """

    windows = (WINDOW,)
    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED, "threeddfa": THREEDDFA}
    exportable = False
    needs_bases = True

    def __init__(
        self,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
        bases: FaceBases,
        backbone: str = "mobilenet_v1_100",
        start: str = "mean",
        identity_parameters: int = 40,
        expression_parameters: int = 10,
        crop_and_paste: bool = False,
        wpdc: str = "fast",
        weights: Mapping[str, float] | None = None,
    ):
        """weights: of the losses, by their names in LOSSES."""
        super().__init__(statistics)
        self.weights = {"wpdc": 0.5, "wing": 1.0} if weights is None else {n: w for n, w in weights.items() if w != 0}
        check_weights(self.weights)
        if not self.weights.keys() - {"landmarks"}:
            raise InputError("losses: wanted a weight above 0 of another one than --loss_landmarks_weight, got none")
        self.bases, self.image_size, self.crop_and_paste, self.wpdc = bases, image_size, crop_and_paste, wpdc
        self.faces = MorphableLayer(first_components(bases, identity_parameters, expression_parameters))
        self.sizes = POSE_NUMBERS, len(self.faces.identity), len(self.faces.expression)
        # They come from the run, not from its weights.
        for name, array in {"projection": projection, **self.whitening()}.items():
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)
        self.register_buffer("coefficient_reader", self.make_reader(), persistent=False)
        # Rows of mean turns are the shorter the more heads turn; the longest is nearest to the mean scale.
        self.scale = self.parameter_mean[:POSE_NUMBERS].unflatten(0, (3, 4))[:, :3].norm(dim=1).max().item()
        self.network = BACKBONES[backbone](self.sizes, "landmarks" in self.weights)
        if start == "mean":
            for layer in self.network.output_layers:
                start_output(layer, start)

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
        bases: FaceBases,
    ) -> "RadanModel":
        if options["crop_and_paste"] and options["img_size"] % BLOCKS:
            raise InputError(f"--crop_and_paste: wanted --img_size a multiple of {BLOCKS}, got {options['img_size']}")
        names = ("backbone", "start", "identity_parameters", "expression_parameters", "crop_and_paste", "wpdc")
        weights = {name: options[f"loss_{name}_weight"] for name in LOSSES}
        return cls(statistics, projection, image_size, bases, **{n: options[n] for n in names}, weights=weights)

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        group.add_argument(
            "--backbone", choices=sorted(BACKBONES), default="mobilenet_v1_100", help="the network, RADAN's or 3DDFA's"
        )
        group.add_argument(
            "--start",
            choices=["mean", "random"],
            default="mean",
            help="output layers: give the mean parameters until they learn, or are drawn, as published",
        )
        for name, count, what in (
            ("identity", 40, "tell one face from another"),
            ("expression", 10, "tell what a face does"),
        ):
            group.add_argument(
                f"--{name}_parameters",
                type=int,
                default=count,
                metavar="N",
                help=f"regress so many of the morphable model's components that {what}, or as many as there are",
            )
        group.add_argument(
            "--crop_and_paste",
            action=argparse.BooleanOptionalAction,
            default=False,
            help="training adds a copy of each image in which up to four of 4x4 blocks have changed places",
        )
        group.add_argument(
            "--wpdc",
            choices=["fast", "exact"],
            default="fast",
            help="how far coefficients move vertices: fast: with all faces of one scale, as published, or exact: under "
            "each face's own true pose",
        )
        weights = {
            "wpdc": (0.5, "squared parameters, each weighted by how far it moves vertices"),
            "wing": (1.0, "the Wing loss of vertices, in pixels of 120"),
            "vdc": (0.0, "squared distances of vertices, in pixels of 120"),
            "pdc": (0.0, "squared whitened parameters"),
            "landmarks": (0.0, "squared distances of 68 points that a layer of its own finds; 1: as much as all else"),
        }
        for name, (weight, what) in weights.items():
            group.add_argument(f"--loss_{name}_weight", type=float, default=weight, help=f"weight of {what}")

    def whitening(self) -> dict[str, torch.Tensor]:
        """parameter_mean and parameter_std, (P,) each."""
        known = self.bases.statistics
        deviations = self.faces.identity_deviations, self.faces.expression_deviations
        std = torch.cat([torch.as_tensor(known.pose_std), *deviations])
        mean = torch.zeros_like(std)
        mean[:POSE_NUMBERS] = torch.as_tensor(known.pose_mean)
        return {"parameter_mean": mean, "parameter_std": std}

    def make_reader(self) -> torch.Tensor:
        """(3N, K + E): from what a face differs from the mean in to its coefficients in deviations, by least squares in
        which each of these is a measurement of 0, too: bases may share directions."""
        bases = torch.cat([self.faces.identity, self.faces.expression]).double().flatten(1)
        bases = bases * self.parameter_std[POSE_NUMBERS:, None]
        error = (FIT_DEVIATION / float(self.faces.metres)) ** 2
        normal = bases @ bases.mT + error * torch.eye(len(bases), dtype=bases.dtype)
        return torch.linalg.solve(normal, bases).mT.float().contiguous()

    def forward(self, batch: Batch) -> Outputs:
        # the levels that 3DDFA's networks read: blue first
        image = (batch[WINDOW].flip(1).float() - 127.5) / 128
        if self.training and self.crop_and_paste:
            image = torch.cat([image, shuffled(image)])
        features = self.network.features(image)
        outputs = {"parameters": self.network.fc(features).float()}
        if self.network.fc_lm is not None:
            outputs["landmarks"] = self.network.fc_lm(features).float().unflatten(1, (-1, 2))
        return outputs

    def labels(self, batch: Batch) -> torch.Tensor:
        """(B, P) whitened parameters that fit the batch's labels best."""
        shapes = batch["verts"] / self.faces.metres.to(batch["verts"].dtype)
        seen, _ = project(transform(batch["verts"], batch["R_t"]), self.projection, *self.image_size)
        numbers = fit_numbers(shapes, self.across_window(seen, batch, WINDOW))
        numbers = (numbers - self.parameter_mean[:POSE_NUMBERS]) / self.parameter_std[:POSE_NUMBERS]
        return torch.cat([numbers, (shapes - self.faces.mean).flatten(1) @ self.coefficient_reader], dim=1)

    def parameters_of(self, whitened: torch.Tensor) -> torch.Tensor:
        return whitened * self.parameter_std + self.parameter_mean

    def shapes(self, parameters: torch.Tensor, vertices: torch.Tensor | None = None) -> torch.Tensor:
        """(B, n, 3), in the model's unit, of parameters that are not whitened."""
        _, identity, expression = parameters.split(self.sizes, dim=1)
        return self.faces.shapes(identity, expression, vertices)

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        whitened, true = outputs["parameters"], self.labels(batch)
        copies = len(whitened) // len(true)
        true = true.repeat(copies, 1)
        # all of them beside training: the same figure each time
        vertices = chosen_vertices(self.faces.keypoints, len(self.faces.mean)) if self.training else None
        parameters, true_parameters = self.parameters_of(whitened), self.parameters_of(true)
        # The offset of depth is never seen: the true one stands in.
        numbers, true_numbers = parameters[:, :POSE_NUMBERS].clone(), true_parameters[:, :POSE_NUMBERS]
        numbers[:, DEPTH_OFFSET] = true_numbers[:, DEPTH_OFFSET]
        true_shapes = self.shapes(true_parameters, vertices)
        face = crop_vertices(numbers, self.shapes(parameters, vertices))
        true_face = crop_vertices(true_numbers, true_shapes)
        costs = {
            "wpdc": partial(self.weighted_distance, whitened, true, true_numbers, true_shapes, vertices),
            "wing": partial(wing, face, true_face),
            "vdc": partial(vertex_distance, face, true_face),
            "pdc": partial(parameter_distance, whitened, true),
        }
        losses = {name: self.weights[name] * cost() for name, cost in costs.items() if name in self.weights}
        if "landmarks" in self.weights:
            points = self.window_landmarks(batch, WINDOW).repeat(copies, 1, 1)
            main = sum(losses.values())
            losses["landmarks"] = self.weights["landmarks"] * landmark_regression(outputs["landmarks"], points, main)
        return losses

    def weighted_distance(
        self,
        whitened: torch.Tensor,
        true: torch.Tensor,
        true_numbers: torch.Tensor,
        true_shapes: torch.Tensor,
        vertices: torch.Tensor | None,
    ) -> torch.Tensor:
        bases = torch.cat([self.faces.identity, self.faces.expression])
        bases = bases if vertices is None else bases[:, vertices]
        moves = scaled_norms(bases, self.scale) if self.wpdc == "fast" else turned_norms(bases, true_numbers)
        return weighted_parameter_distance(whitened, true, self.parameter_std, true_shapes, moves)

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The pose is that of models.scaled_orthography.perspective_pose."""
        parameters = self.parameters_of(outputs["parameters"][: len(batch[WINDOW])])
        shapes = self.shapes(parameters)
        seen = self.image_points(crop_points(parameters[:, :POSE_NUMBERS], shapes), batch, WINDOW)
        verts = shapes * self.faces.metres.to(shapes.dtype)
        return verts, perspective_pose(verts, seen.to(verts.dtype), self.projection, *self.image_size)


def first_components(bases: FaceBases, identity: int, expression: int) -> MorphableModel:
    """The morphable model with at most so many components. Raises InputError for less than one of identity."""
    for name, count, least in (("identity", identity, 1), ("expression", expression, 0)):
        if count < least:
            raise InputError(f"--{name}_parameters: wanted {least} or more, got {count}")
    model = bases.model
    return replace(
        model,
        identity=model.identity[:identity],
        identity_deviations=model.identity_deviations[:identity],
        expression=model.expression[:expression],
        expression_deviations=model.expression_deviations[:expression],
    )


def shuffled(image: torch.Tensor) -> torch.Tensor:
    """RADAN's crop-and-paste: images (B, C, S, S), each of 4 x 4 blocks of which none to four, one after the other,
    have changed places with the one in the upper left corner."""
    count, device = len(image), image.device
    places = torch.arange(BLOCKS**2, device=device).repeat(count, 1)
    others = 1 + torch.rand(count, BLOCKS**2 - 1, device=device).argsort(dim=1)
    moves = torch.randint(MOST_MOVED + 1, (count,), device=device)
    rows = torch.arange(count, device=device)
    for number in range(MOST_MOVED):
        other = torch.where(moves > number, others[:, number], 0)  # the corner with itself where there are no more
        corner = places[:, 0].clone()
        places[:, 0] = places[rows, other]
        places[rows, other] = corner
    return move_blocks(image, places)
