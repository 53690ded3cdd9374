"""Deep3D: weak supervision. A face of a morphable model is drawn as the network says, and is to look like the picture.

The losses see the picture and its 68 points, and never a true shape or pose (Deng et al., CVPRW 2019, as
Deep3DFaceRecon_pytorch has it).
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from models.arcface import Recognition
from models.backbones import add_backbone_options
from models.base_model import BaseModel, Batch, Outputs, check_weights
from models.deep3d_camera import perspective_pose, project
from models.deep3d_decoder import Deep3dDecoder, Face, Rendering
from models.deep3d_losses import (
    albedo_loss,
    coefficient_loss,
    color_loss,
    landmark_loss,
    light_loss,
    perceptual_loss,
)
from models.morphable import FaceBases
from models.r_net import RNet
from util.checkpoint import load_weights
from util.evidence import CoefficientEvidence, CoefficientSpace
from util.mesh import Topology
from util.skin import skin_probability
from util.statistics import LabelStatistics
from util.warping import move_pictures, move_points

# The published recipe.
PUBLISHED = {
    "img_size": 224,
    "batch_size": 32,
    "epochs": 20,
    "lr": 1e-4,
    "beta1": 0.9,
    "beta2": 0.999,
    "lr_policy": "step",
    "lr_milestones": [10],
    "lr_factor": 0.2,
    "mirror": 0.5,
    "geometry_jitter": True,
    "backbone": "resnet50",
    "pooling": "average",
    "loss_color_weight": 1.92,
    "loss_landmarks_weight": 1.6e-3,
    "loss_perceptual_weight": 0.2,
    "loss_coefficients_weight": 3e-4,
    "loss_albedo_weight": 5.0,
    "loss_light_weight": 10.0,
}
# Ours: learns from far fewer images, which say too little of shapes to keep them from drifting: of their size, above
# all, which no picture tells.
STANDARD = {
    **PUBLISHED,
    "lr": 1e-3,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "backbone": "resnet18",
    "pooling": "grid",
    "loss_coefficients_weight": 3e-3,
}
WINDOW = "five_points"
# How far windows are moved, in their sides, grown and turned in training.
JITTER_SHIFT, JITTER_SCALE, JITTER_TURN = 10 / 224, 0.1, math.radians(10)
LOSSES = ("color", "landmarks", "perceptual", "coefficients", "albedo", "light")


class Deep3dModel(BaseModel):
    """R-Net on the window of the five points, and what its numbers look like.

    Outputs: the coefficients that models.deep3d_decoder.Deep3dDecoder reads, and the window that was looked at, which
    training jitters, by the names that a batch has for it.
    """

    windows = (WINDOW,)
    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED}
    exportable = False
    needs_bases = True

    def __init__(
        self,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
        bases: FaceBases,
        backbone: str = "resnet18",
        pooling: str = "grid",
        geometry_jitter: bool = True,
        weights: Mapping[str, float] | None = None,
    ):
        """weights: of the losses, by their names in LOSSES."""
        super().__init__(statistics)
        self.weights = dict(weights) if weights is not None else dict.fromkeys(LOSSES, 1.0)
        check_weights(self.weights)
        self.bases, self.image_size, self.geometry_jitter = bases, image_size, geometry_jitter
        self.encoder = {"backbone": backbone, "pooling": pooling}
        self.decoder = Deep3dDecoder(bases.model)
        # They come from the run, not from its weights.
        self.register_buffer("projection", torch.tensor(projection, dtype=torch.float32), persistent=False)
        for name, array in vars(bases.statistics).items():
            if name.startswith("skin"):
                self.register_buffer(name, torch.from_numpy(np.array(array)), persistent=False)
        self.network = RNet(sizes=self.decoder.sizes.values(), **self.encoder)
        self.recognition: Recognition | None = None

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
        bases: FaceBases,
    ) -> "Deep3dModel":
        weights = {name: options[f"loss_{name}_weight"] for name in LOSSES}
        told = {name: options[name] for name in ("backbone", "pooling", "geometry_jitter")}
        return cls(statistics, projection, image_size, bases, **told, weights=weights)

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        add_backbone_options(group)
        group.add_argument(
            "--imagenet_weights",
            type=Path,
            metavar="FILE",
            help="a new run's first weights of the encoder: torchvision's state dict of it, as resnet50-0676ba61.pth",
        )
        group.add_argument(
            "--recognition_weights",
            type=Path,
            metavar="FILE",
            help="state dict of insightface's iresnet50, for the perceptual loss, which is left out without it",
        )
        group.add_argument(
            "--geometry_jitter",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="in training, move windows by up to 10/224 of their side, scale them by 1 +- 0.1, turn them by 10 deg",
        )
        weights = {
            "color": "the distance of colours on skin, which are from 0 to 1",
            "landmarks": "the squared distance of the 68 points, in pixels of 224",
            "perceptual": "one minus the cosine of a face recognition network's features",
            "coefficients": "the squared coefficients of shape and colours",
            "albedo": "the variance of the colour of skin",
            "light": "the squared distance of the light's colour from white",
        }
        for name, told in weights.items():
            option = f"loss_{name}_weight"
            group.add_argument(f"--{option}", type=float, default=PUBLISHED[option], help=f"weight of {told}")

    def read_weights(self, options: Mapping[str, Any]) -> list[str]:
        if options["recognition_weights"] is None:
            return ["perceptual loss: left out, there are no --recognition_weights"]
        self.recognition = Recognition.read(Path(options["recognition_weights"]))
        return []

    def read_first_weights(self, options: Mapping[str, Any], split_digest: str) -> list[str]:
        if options["imagenet_weights"] is not None:
            load_weights(self.network.backbone, Path(options["imagenet_weights"]), passed_over=("fc.",))
        return []

    def forward(self, batch: Batch) -> Outputs:
        if self.training and self.geometry_jitter:
            batch = jitter(batch)
        outputs = self.decoder.named(self.network(batch[WINDOW].float() / 255))
        return {**outputs, **{name: batch[name] for name in (WINDOW, f"{WINDOW}_affine")}}

    def face(self, outputs: Outputs) -> Face:
        """The faces that outputs tell of; see Deep3dDecoder."""
        return self.decoder.face(outputs)

    def render(self, face: Face, size: int) -> Rendering:
        """What the camera sees of them, size x size pixels; see Deep3dDecoder."""
        return self.decoder.render(face, size)

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        face = self.face(outputs)
        return self.compare(outputs, face, self.render(face, outputs[WINDOW].shape[-1]), batch)

    def compare(self, outputs: Outputs, face: Face, rendering: Rendering, batch: Batch) -> dict[str, torch.Tensor]:
        """The losses of faces that outputs tell of, with the pictures of them."""
        picture = outputs[WINDOW].float() / 255
        seen, points = self.decoder.points(face), self.window_landmarks({**batch, **outputs}, WINDOW)
        losses = {
            "color": color_loss(rendering.picture, picture, rendering.front * self.skin_share(picture)),
            "landmarks": landmark_loss(seen, points),
            "coefficients": coefficient_loss(outputs),
            "albedo": albedo_loss(face.albedo, self.decoder.skin),
            "light": light_loss(outputs["light"]),
        }
        if self.recognition is not None:
            features = self.recognition.features(rendering.picture, seen)
            with torch.no_grad():
                target = self.recognition.features(picture, points)
            losses["perceptual"] = perceptual_loss(features, target)
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def skin_share(self, picture: torch.Tensor) -> torch.Tensor:
        """(B, S, S) how surely pixels of pictures (B, 3, S, S), RGB from 0 to 1, are skin, 0 to 1."""
        return skin_probability(picture, self.skin_weights, self.skin_means, self.skin_covariances)

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes of the model in metres, in its own frame, which is that of the data root's canonical vertices where
        step01 built it from them. What else moves with the coefficients, as a head that is placed otherwise from one
        subject to the next, comes from there, too; no picture tells it.

        The pose is that of models.deep3d_camera.perspective_pose. What perspective has done to the shape itself, which
        Deep3D's camera made it explain, stays.
        """
        verts = self.decoder.canonical(outputs) * self.decoder.metres.to(self.projection)
        seen, _ = project(self.face(outputs).vertices)
        affines = outputs[f"{WINDOW}_affine"] * (2 / outputs[WINDOW].shape[-1])
        affines = torch.cat([affines[:, :, :2], affines[:, :, 2:] - 1], dim=2)
        return verts, perspective_pose(verts, seen, affines, self.projection, *self.image_size)

    @property
    def space(self) -> CoefficientSpace:
        """The morphable model in metres, a deviation of real faces a coefficient."""
        decoder, metres = self.decoder, self.decoder.metres.to(self.projection)
        parts = decoder.identity, decoder.expression
        deviations = decoder.identity_deviations, decoder.expression_deviations
        scaled = (part * metres * each[:, None, None] for part, each in zip(parts, deviations, strict=True))
        return CoefficientSpace(decoder.mean * metres, *scaled)

    def identity_told(self, outputs: Outputs) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, K) the coefficients of the identity that each image tells by itself, and (B, K) how far each of them is
        to be trusted."""
        return outputs["identity"], torch.ones_like(outputs["identity"])

    def shape_evidence(self, outputs: Outputs, batch: Batch, verts: torch.Tensor | None = None) -> CoefficientEvidence:
        identity, confidence = self.identity_told(outputs)
        expression = outputs["expression"]
        if verts is not None:
            found = self.space.coefficients(verts)
            identity = identity + found[:, : identity.shape[1]] - outputs["identity"]
            expression = found[:, identity.shape[1] :]
        return CoefficientEvidence(identity, confidence, expression)


def jitter(batch: Batch) -> Batch:
    """The batch with its windows moved, grown and turned a little, each by draws of its own from torch's generator, as
    published but for shifts of parts of pixels; what comes in from beyond the window is black."""
    window, affine = batch[WINDOW], batch[f"{WINDOW}_affine"]
    # on the processor, so that --resume goes on with the same draws on any device
    draws = (2 * torch.rand(len(window), 4) - 1).to(affine)
    turn, size = JITTER_TURN * draws[:, 0], 1 + JITTER_SCALE * draws[:, 1]
    cosine, sine = size * turn.cos(), size * turn.sin()
    rows = torch.stack([cosine, -sine, sine, cosine], dim=1).unflatten(1, (2, 2))
    moves = torch.cat([rows, 2 * JITTER_SHIFT * draws[:, 2:, None]], dim=2)
    half = window.shape[-1] / 2
    linear, shift = affine.split([2, 1], dim=2)
    moved = move_points(moves, (shift / half - 1).mT).mT
    moved_affine = torch.cat([rows @ linear, (moved + 1) * half], dim=2)
    pictures = move_pictures(moves, window.float(), window.shape[-1])
    return {**batch, WINDOW: pictures, f"{WINDOW}_affine": moved_affine}
