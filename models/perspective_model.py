"""Ours: first fit, then look, then solve.

A linear model of the training shapes is fitted to 68 points of the image, the data's or those that the network finds,
in the perspective camera (util/face_space.py): that needs no learning but how far points are off. The network sees the
face and reads the fit; all that it has to learn is what is wrong with the fitted shape, and the size, which no fit can
tell from the distance. The pose is the one under which the corrected shape's points are seen where they are (PnP), and
the network is trained through it.
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
from util.errors import InputError
from util.evidence import ShapeEvidence
from util.face_space import FaceSpace, Fit, face_space, fit_shape, point_evidence
from util.mesh import Topology
from util.pnp import solve_pnp
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
    "loss_points_weight": 5.0,
    "loss_deviations_weight": 0.1,
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.1,
    "landmark_noise": 0.002,
}
# How far points are off before it is learned, in sides of their box: those of the data, and those that are found.
KNOWN_DEVIATION, FOUND_DEVIATION = 0.003, 0.03
# Logarithms of the former are so many times what is learned: Adam moves all weights at one speed.
DEVIATION_SPEED = 5.0
# No point is taken to be nearer to its place than this, so that none counts for all.
LEAST_DEVIATION = 0.001
# An image of a larger score, in decimetres, teaches nothing: its points are not found yet.
LARGEST_SCORE = 3.0
# In the challenge's score the error of the shape counts so many times.
SHAPE_FACTOR = 10.0


class PerspectiveModel(BaseModel):
    """One encoder on the face, and linear layers on its features.

    Outputs: "verts" (B, N, 3) metres and "R_t" (B, 4, 4), from the known points; "found_points" (B, 68, 2), from -1 to
    1 across the window; "known_deviations" and "found_deviations" (B, 68), in sides of the points' box; in training,
    and where the points of some images are not known, "found_verts" and "found_R_t", from the found points; and, with
    these names and their prefix, what `shape_evidence` tells.
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
        loss_points_weight: float = 5.0,
        loss_deviations_weight: float = 0.1,
    ):
        super().__init__(statistics)
        self.weights = {"score": loss_score_weight, "points": loss_points_weight, "deviations": loss_deviations_weight}
        check_weights(self.weights)
        self.image_size = image_size
        # Kept with the weights, which speak of these very components: a library may find them with another sign.
        for name, tensor in face_space(statistics, shape_components)._asdict().items():
            self.register_buffer(f"space_{name}", tensor)
        # They come from the run, not from its weights.
        self.register_buffer("projection", torch.tensor(projection, dtype=torch.float32), persistent=False)
        self.register_buffer("keypoints", torch.tensor(topology.keypoints, dtype=torch.int64), persistent=False)
        self.encoder, features = resnet(backbone, initialisation, pooling)
        self.point_layers = PointLayers(self.encoder.layer4[0].conv1.in_channels, len(self.keypoints))
        components = len(self.space_basis)
        self.correction_layer, self.found_correction_layer = (
            nn.Linear(features + components + 6, components + 1) for _ in range(2)
        )
        self.deviations_layer = nn.Linear(features, len(self.keypoints))
        for layer in (self.correction_layer, self.found_correction_layer, self.deviations_layer):
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
        names = ("backbone", "initialisation", "pooling", "shape_components")
        names += ("loss_score_weight", "loss_points_weight", "loss_deviations_weight")
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
        known_deviations = KNOWN_DEVIATION * (DEVIATION_SPEED * self.known_deviations).exp() + LEAST_DEVIATION
        outputs = {
            "found_points": self.point_layers(maps),
            "found_deviations": FOUND_DEVIATION * self.deviations_layer(features).float().exp() + LEAST_DEVIATION,
            "known_deviations": known_deviations.expand(len(features), -1),
        }
        # without the half precision that networks compute in
        with torch.autocast(features.device.type, enabled=False):
            known = batch["landmarks68"], outputs["known_deviations"]
            outputs |= self.faces(features, *known, self.correction_layer, batch)
            if self.training or "landmarks_known" in batch:
                # Points are to lie where they are seen, and not where they would make up for what else goes wrong.
                points = self.image_points(outputs["found_points"].detach(), batch, "local")
                found = points, outputs["found_deviations"].detach()
                faces = self.faces(features, *found, self.found_correction_layer, batch)
                outputs |= {f"found_{name}": tensor for name, tensor in faces.items()}
        return outputs

    def faces(
        self,
        features: torch.Tensor,
        points: torch.Tensor,
        deviations: torch.Tensor,
        correction_layer: nn.Linear,
        batch: Batch,
    ) -> Outputs:
        """The faces "verts" and "R_t" that are seen at points (B, 68, 2), pixels, of deviations (B, 68) in sides of
        their box, with what `shape_evidence` asks for. NaN in training where a network gives no numbers any more, which
        its loss then tells; elsewhere raises InputError for that, and for points in one place."""
        weights = (deviations * box_side(batch["landmarks68"])) ** -2
        good = torch.isfinite(features).all(dim=1) & torch.isfinite(points).flatten(1).all(dim=1)
        good &= (torch.isfinite(weights) & (weights > 0)).all(dim=1)
        if not good.all():
            if not self.training:
                raise InputError(
                    "perspective: wanted 68 points that do not lie in one place, and a network that gives finite "
                    f"numbers; got others in images {batch['index'][~good].tolist()} of the list, counted from 0"
                )
            nothing = features.sum() * torch.nan
            return {
                "verts": nothing.expand(len(features), *self.space_mean.shape),
                "R_t": nothing.expand(len(features), 4, 4),
            }
        seen, world = (self.space, self.keypoints, points, weights), (self.projection, *self.image_size)
        fit = fit_shape(*seen, *world)
        read = torch.cat([features, fit.coefficients.float(), self.whiten_pose({"R_t": fit.R_t.float()})], dim=1)
        correction, told_size = correction_layer(read).split([len(self.space_basis), 1], dim=1)
        coefficients, unit = fit.coefficients.float() + correction, self.space_size_slope.norm()
        size = 1 + coefficients @ self.space_size_slope + unit * told_size[:, 0]
        shapes = self.space_mean + (coefficients @ self.space_basis.flatten(1)).unflatten(1, self.space_mean.shape)
        verts = size[:, None, None] * shapes
        return {
            "verts": verts,
            "R_t": solve_pnp(verts[:, self.keypoints], points, *world, weights=weights),
            "seen": points,
            "weights": weights,
            "fit_coefficients": fit.coefficients,
            "fit_R_t": fit.R_t,
            # how the size goes with the coefficients, as far as the layer is told of them by the fit
            "size_slope": (
                self.space_size_slope + unit * correction_layer.weight[-1, features.shape[1] : -6]
            ).expand_as(correction),
        }

    def coordinates(self, verts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coefficients (B, K) and sizes (B,) of the faces in the space that are nearest to shapes (B, N, 3)."""
        size = (verts * self.space_mean).sum(dim=(1, 2)) / (self.space_mean**2).sum()
        rows = self.space_basis.flatten(1)
        return (verts / size[:, None, None] - self.space_mean).flatten(1) @ rows.T / (rows**2).sum(dim=1), size

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        seen, _ = project(transform(batch["verts"][:, self.keypoints], batch["R_t"]), self.projection, *self.image_size)
        found = self.image_points(outputs["found_points"].detach(), batch, "local").float()
        side = box_side(batch["landmarks68"])
        errors = {"known": batch["landmarks68"] - seen, "found": found - seen}
        losses = {
            f"{name}score": self.score(outputs[f"{name}verts"], outputs[f"{name}R_t"], batch)
            for name in ("", "found_")
            if f"{name}verts" in outputs
        }
        losses |= {
            "points": functional.l1_loss(outputs["found_points"], self.across_window(seen, batch, "local")),
            "deviations": sum(
                gaussian_loss(error / side[:, :, None], outputs[f"{name}_deviations"][:, :, None])
                for name, error in errors.items()
            ),
        }
        return {name: self.weights[name.removeprefix("found_")] * loss for name, loss in losses.items()}

    def score(self, verts: torch.Tensor, R_t: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The challenge's score (util.metrics.score_parts), in decimetres."""
        truth = transform(batch["verts"], batch["R_t"])
        by_all, by_pose = (truth - transform(mesh, R_t) for mesh in (verts, batch["verts"]))
        by_shape = SHAPE_FACTOR * (verts - batch["verts"])
        scores = DECIMETRES * sum(difference.norm(dim=2).mean(dim=1) for difference in (by_all, by_pose, by_shape))
        return scores.clamp(max=LARGEST_SCORE).mean()

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(self.known_or_found(name, outputs, batch) for name in ("verts", "R_t"))

    def shape_evidence(self, outputs: Outputs, batch: Batch, verts: torch.Tensor | None = None) -> ShapeEvidence:
        names = ("seen", "weights", "fit_coefficients", "fit_R_t", "size_slope", "verts")
        points, weights, *fit, slope, own = (self.known_or_found(name, outputs, batch) for name in names)
        seen, world = (self.space, self.keypoints, points, weights), (self.projection, *self.image_size)
        coefficients, size = self.coordinates(own if verts is None else verts)
        left = size - 1 - (coefficients * slope).sum(dim=1)
        return ShapeEvidence(*point_evidence(*seen, Fit(*fit), *world), coefficients - fit[0], left, slope)

    def known_or_found(self, name: str, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """An output, from the known points of the images where these are known."""
        if "landmarks_known" not in batch:
            return outputs[name]
        known = batch["landmarks_known"].view(-1, *[1] * (outputs[name].dim() - 1))
        return torch.where(known, outputs[name], outputs[f"found_{name}"])


def box_side(points: torch.Tensor) -> torch.Tensor:
    """(B, 1) larger side of the box of points (B, n, 2)."""
    return (points.amax(dim=1) - points.amin(dim=1)).amax(dim=1, keepdim=True)


def gaussian_loss(errors: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
    """The mean negative logarithm of Gaussians of these deviations at the errors, without its constant."""
    return ((errors / deviations) ** 2 / 2 + deviations.log()).mean()
