"""Ours: what a network sees of a face is the prior of a fit to where 68 of its points are seen.

Networks tell shapes well and places badly; points tell places well, and of the shape what lies across the line of
sight. So the network gives a Gaussian over shapes, each of the 68 points, the data's or those that the network finds,
has a deviation that is learned, and the most probable shape and pose come out of a few Gauss-Newton steps
(util/face_space.py), which the network is trained through. The size, which no picture can tell from the distance, is
read off the result.
"""

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.backbones import PointLayers, add_encoder_options, encode, resnet
from models.base_model import DECIMETRES, BaseModel, Batch, Outputs, check_weights, start_output
from util.camera import project, transform
from util.evidence import ShapeEvidence
from util.face_space import FaceSpace, Fit, Prior, face_space, fit_shape, point_evidence
from util.mesh import Topology
from util.statistics import LabelStatistics

STANDARD = {
    "img_size": 256,
    "batch_size": 32,
    "epochs": 20,
    "lr": 2e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "backbone": "resnet18",
    "initialisation": "he",
    "pooling": "grid",
    "shape_components": 60,
    "loss_score_weight": 1.0,
    "loss_prior_weight": 0.3,
    "loss_points_weight": 5.0,
    "loss_deviations_weight": 0.1,
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.1,
    "landmark_noise": 0.005,
}
# How far points are off before it is learned, in sides of their box: those of the data, and those that are found.
KNOWN_DEVIATION, FOUND_DEVIATION = 0.005, 0.03
# No point is taken to be nearer to its place than this, so that none counts for all.
LEAST_DEVIATION = 0.001
# Precisions of the prior are within this factor of the training shapes', which is e cubed.
PRECISION_RANGE = 3.0
# In the challenge's score the error of the shape counts so many times.
SHAPE_FACTOR = 10.0


class PerspectiveModel(BaseModel):
    """One encoder on the face, and linear layers on its features.

    Outputs: "verts" (B, N, 3) metres and "R_t" (B, 4, 4), from the known points, or from the found ones for images
    whose points are not known; "prior_mean" and "prior_precision" (B, K) of the coefficients; "found_points"
    (B, 68, 2), from -1 to 1 across the window; "found_deviations" and "known_deviations" (B, 68), in sides of the
    points' box.
    """

    windows = ("local",)
    presets: ClassVar = {"standard": STANDARD}
    exportable = False

    def __init__(
        self,
        statistics: LabelStatistics,
        topology: Topology,
        projection: np.ndarray,
        image_size: tuple[int, int],
        backbone: str = "resnet18",
        initialisation: str = "he",
        pooling: str = "grid",
        shape_components: int = 60,
        loss_score_weight: float = 1.0,
        loss_prior_weight: float = 0.3,
        loss_points_weight: float = 5.0,
        loss_deviations_weight: float = 0.1,
    ):
        super().__init__(statistics)
        self.weights = {"score": loss_score_weight, "prior": loss_prior_weight}
        self.weights |= {"points": loss_points_weight, "deviations": loss_deviations_weight}
        check_weights(self.weights)
        self.image_size = image_size
        # They come from the run, not from its weights.
        for name, tensor in face_space(statistics, shape_components)._asdict().items():
            self.register_buffer(f"space_{name}", tensor, persistent=False)
        self.register_buffer("projection", torch.tensor(projection, dtype=torch.float32), persistent=False)
        self.register_buffer("keypoints", torch.tensor(topology.keypoints, dtype=torch.int64), persistent=False)
        self.encoder, features = resnet(backbone, initialisation, pooling)
        self.point_layers = PointLayers(self.encoder.layer4[0].conv1.in_channels, len(self.keypoints))
        components = len(self.space_basis)
        self.prior_layer = nn.Linear(features + components + 6, 2 * components)
        self.size_layer = nn.Linear(features + 6, 1)
        self.size_slope = nn.Parameter(torch.zeros(components))
        self.deviations_layer = nn.Linear(features, len(self.keypoints))
        for layer in (self.prior_layer, self.size_layer, self.deviations_layer):
            start_output(layer, "mean")
        self.known_deviations = nn.Parameter(torch.zeros(len(self.keypoints)))

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
    ) -> "PerspectiveModel":
        names = ("backbone", "initialisation", "pooling", "shape_components", "loss_score_weight", "loss_prior_weight")
        names += ("loss_points_weight", "loss_deviations_weight")
        return cls(statistics, topology, projection, image_size, **{name: options[name] for name in names})

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        add_encoder_options(group)
        group.add_argument(
            "--shape_components",
            type=int,
            default=60,
            metavar="K",
            help="fit so many principal components of the training shapes",
        )
        group.add_argument(
            "--loss_score_weight", type=float, default=1.0, help="weight of the challenge's score, in units of 100 mm"
        )
        group.add_argument(
            "--loss_prior_weight",
            type=float,
            default=0.3,
            help="weight of the negative logarithm of the Gaussian over shapes, at the true one",
        )
        group.add_argument(
            "--loss_points_weight",
            type=float,
            default=5.0,
            help="weight of the L1 loss of the 68 points that are found, in half sides of the window",
        )
        group.add_argument(
            "--loss_deviations_weight",
            type=float,
            default=0.1,
            help="weight of the negative logarithm of the Gaussians about known and found points, at the true ones",
        )

    @property
    def space(self) -> FaceSpace:
        """The space of the shapes, on the model's device."""
        return FaceSpace(*(getattr(self, f"space_{name}") for name in FaceSpace._fields))

    def forward(self, batch: Batch) -> Outputs:
        maps, features = encode(self.encoder, self.pixels(batch, "local"))
        features = features.float()
        found_deviations = FOUND_DEVIATION * self.deviations_layer(features).float().exp() + LEAST_DEVIATION
        known_deviations = KNOWN_DEVIATION * self.known_deviations.exp() + LEAST_DEVIATION
        outputs = {
            "found_points": self.point_layers(maps),
            "found_deviations": found_deviations,
            "known_deviations": known_deviations.expand_as(found_deviations),
        }
        # without the half precision that networks compute in
        with torch.autocast(features.device.type, enabled=False):
            return outputs | self.fit(features, outputs, batch)

    def fit(self, features: torch.Tensor, outputs: Outputs, batch: Batch) -> Outputs:
        """The most probable faces, and what was fitted."""
        points, deviations = batch["landmarks68"].double(), outputs["known_deviations"]
        if "landmarks_known" in batch:
            known = batch["landmarks_known"][:, None]
            found = self.image_points(outputs["found_points"], batch, "local")
            points = torch.where(known[:, :, None], points, found)
            deviations = torch.where(known, deviations, outputs["found_deviations"])
        weights = (deviations * box_side(batch["landmarks68"])) ** -2
        seen = self.space, self.keypoints, points, weights
        world = self.projection, *self.image_size
        with torch.no_grad():
            nothing = features.new_zeros(len(features), len(self.space_basis))
            first = fit_shape(*seen, Prior(nothing, nothing + 1), *world)
        read = torch.cat([features, self.read_fit(first)], dim=1)
        mean, told = self.prior_layer(read).chunk(2, dim=1)
        prior = Prior(mean, (PRECISION_RANGE * torch.tanh(told / PRECISION_RANGE)).exp())
        fit = fit_shape(*seen, prior, *world)
        coefficients, R_t = fit.coefficients.float(), fit.R_t.float()
        told_size = (
            self.space_size_slope.norm()
            * self.size_layer(torch.cat([features, self.read_fit(fit)[:, -6:]], dim=1))[:, 0]
        )
        size = (1 + coefficients @ self.slope() + told_size)[:, None, None]
        shapes = self.space_mean + (coefficients @ self.space_basis.flatten(1)).unflatten(1, self.space_mean.shape)
        scaled = torch.cat([R_t[:, :3], torch.cat([size * R_t[:, 3:, :3], R_t[:, 3:, 3:]], dim=2)], dim=1)
        return {
            "verts": size * shapes,
            "R_t": scaled,
            "prior_mean": prior.mean,
            "prior_precision": prior.precision,
            "coefficients": fit.coefficients,
            "first_coefficients": first.coefficients,
            "first_R_t": first.R_t,
            "points": points,
            "weights": weights,
            "told_size": told_size,
        }

    def read_fit(self, fit: Fit) -> torch.Tensor:
        """(B, K + 6) what layers read of a fit."""
        return torch.cat([fit.coefficients.float(), self.whiten_pose({"R_t": fit.R_t.float()})], dim=1)

    def slope(self) -> torch.Tensor:
        """(K,) how sizes go with shapes: the training faces', and what is learned about fitted ones."""
        return self.space_size_slope + self.size_slope * self.space_size_slope.norm()

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        seen, _ = project(transform(batch["verts"][:, self.keypoints], batch["R_t"]), self.projection, *self.image_size)
        found = self.image_points(outputs["found_points"].detach(), batch, "local").float()
        side = box_side(batch["landmarks68"])
        errors = {"known": batch["landmarks68"] - seen, "found": found - seen}
        losses = {
            "score": self.score(outputs["verts"], outputs["R_t"], batch),
            "prior": gaussian_loss(
                outputs["prior_mean"] - self.true_coefficients(batch["verts"]), outputs["prior_precision"]
            ),
            "points": functional.l1_loss(outputs["found_points"], self.across_window(seen, batch, "local")),
            "deviations": sum(
                gaussian_loss(error / side[:, :, None], outputs[f"{name}_deviations"][:, :, None] ** -2)
                for name, error in errors.items()
            ),
        }
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def score(self, verts: torch.Tensor, R_t: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The challenge's score (util.metrics.score_parts), in decimetres."""
        truth = transform(batch["verts"], batch["R_t"])
        by_all, by_pose = (truth - transform(mesh, R_t) for mesh in (verts, batch["verts"]))
        by_shape = SHAPE_FACTOR * (verts - batch["verts"])
        return DECIMETRES * sum(difference.norm(dim=2).mean() for difference in (by_all, by_pose, by_shape))

    def true_coefficients(self, verts: torch.Tensor) -> torch.Tensor:
        """(B, K) of true shapes."""
        size = (verts * self.space_mean).sum(dim=(1, 2)) / (self.space_mean**2).sum()
        rows = self.space_basis.flatten(1)
        return (verts / size[:, None, None] - self.space_mean).flatten(1) @ rows.T / (rows**2).sum(dim=1)

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return outputs["verts"], outputs["R_t"]

    def shape_evidence(self, outputs: Outputs, batch: Batch) -> ShapeEvidence:
        seen = self.space, self.keypoints, outputs["points"], outputs["weights"]
        fit = Fit(outputs["first_coefficients"], outputs["first_R_t"])
        evidence = point_evidence(*seen, fit, self.projection, *self.image_size)
        correction = outputs["coefficients"] - outputs["first_coefficients"]
        return ShapeEvidence(*evidence, correction, outputs["told_size"], self.slope().expand_as(correction))


def box_side(points: torch.Tensor) -> torch.Tensor:
    """(B, 1) larger side of the box of points (B, n, 2)."""
    return (points.amax(dim=1) - points.amin(dim=1)).amax(dim=1, keepdim=True)


def gaussian_loss(errors: torch.Tensor, precisions: torch.Tensor) -> torch.Tensor:
    """The mean negative logarithm of Gaussians, without its constant; precisions: inverse variances."""
    return (precisions * errors**2 - precisions.log()).mean() / 2
