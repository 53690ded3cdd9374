"""JMLR, the winner of WCPA Track 2: vertices and their places in the aligned face; the pose follows by PnP."""

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.backbones import add_encoder_options, resnet
from models.base_model import DECIMETRES, BaseModel, Batch, Outputs, check_weights, start_output
from util.alignment import align
from util.camera import project, transform
from util.mesh import Topology
from util.pnp import solve_pnp
from util.pose import pose_from_6dof
from util.statistics import LabelStatistics

# The published recipe, but for the contrast, which --light changes more here. The rate is for 512 images a batch; its
# warm-up is an epoch of the real data.
PUBLISHED = {
    "img_size": 256,
    "batch_size": 512,
    "epochs": 40,
    "optimizer": "sgd",
    "lr": 0.1,
    "beta1": 0.9,
    "weight_decay": 5e-4,
    "lr_policy": "polynomial",
    "warmup_steps": 696,
    "mirror": 0.5,
    "light": 0.2,
    "backbone": "resnet_jmlr",
    "initialisation": "he",
    "pooling": "average",
    "start": "random",
    "shape_components": 0,
    "loss_verts_weight": 16.0,
    "loss_points_weight": 16.0,
    "loss_edges_weight": 2.0,
}
# Ours: learns from far fewer images.
STANDARD = {
    **PUBLISHED,
    "batch_size": 32,
    "epochs": 20,
    "optimizer": "adam",
    "lr": 2e-3,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "pooling": "grid",
    "start": "mean",
    "shape_components": 60,
    "light": 0.5,
    "box_jitter": 0.05,
}


class JmlrModel(BaseModel):
    """One encoder on the aligned window, and linear layers on its features.

    Outputs: "verts" (B, N, 3) decimetres, and "points" (B, N, 2), where each of them is seen, from -1 to 1 across the
    window.
    """

    windows = ("aligned",)
    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED}
    exportable = False

    def __init__(
        self,
        statistics: LabelStatistics,
        topology: Topology,
        projection: np.ndarray,
        image_size: tuple[int, int],
        backbone: str = "resnet_jmlr",
        initialisation: str = "he",
        pooling: str = "grid",
        start: str = "mean",
        shape_components: int = 60,
        loss_verts_weight: float = 16.0,
        loss_points_weight: float = 16.0,
        loss_edges_weight: float = 2.0,
    ):
        super().__init__(statistics)
        self.weights = {"verts": loss_verts_weight, "points": loss_points_weight, "edges": loss_edges_weight}
        check_weights(self.weights)
        self.set_components(shape_components)
        self.image_size = image_size
        # They come from the run, not from its weights.
        self.register_buffer("projection", torch.tensor(projection, dtype=torch.float32), persistent=False)
        self.register_buffer("triangles", torch.tensor(topology.triangles, dtype=torch.int64), persistent=False)
        self.encoder, features = resnet(backbone, initialisation, pooling)
        self.verts_layer = nn.Linear(features, self.components or self.verts_mean.numel())
        self.points_layer = nn.Linear(features, 2 * topology.num_vertices)
        start_output(self.verts_layer, start, None if self.components else self.verts_mean * DECIMETRES)
        start_output(self.points_layer, start, torch.from_numpy(self.mean_points(statistics, topology, projection)))

    def mean_points(self, statistics: LabelStatistics, topology: Topology, projection: np.ndarray) -> np.ndarray:
        """(N, 2) where the mean face at the mean pose is seen, from -1 to 1 across the window."""
        camera = transform(statistics.verts_mean.astype(np.float64), pose_from_6dof(statistics.six_mean))
        points, _ = project(camera, projection, *self.image_size)
        affine = align(points[topology.keypoints], 2)
        return points @ affine[:, :2].T + affine[:, 2] - 1

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
    ) -> "JmlrModel":
        names = ("backbone", "initialisation", "pooling", "start", "shape_components")
        names += ("loss_verts_weight", "loss_points_weight", "loss_edges_weight")
        return cls(statistics, topology, projection, image_size, **{name: options[name] for name in names})

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        add_encoder_options(group)
        BaseModel.add_output_options(group)
        group.add_argument("--loss_verts_weight", type=float, default=16.0, help="weight of the vertices' L1 loss")
        group.add_argument(
            "--loss_points_weight",
            type=float,
            default=16.0,
            help="weight of the L1 loss of the points where vertices are seen, in half sides of the window",
        )
        group.add_argument(
            "--loss_edges_weight",
            type=float,
            default=2.0,
            help="weight of the L1 loss of each of the three edges' lengths of all triangles",
        )

    def forward(self, batch: Batch) -> Outputs:
        features = self.encoder(self.pixels(batch, "aligned"))
        points = self.points_layer(features).float().unflatten(1, (-1, 2))
        return {"verts": self.vertices(self.verts_layer(features)), "points": points}

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        verts = batch["verts"] * DECIMETRES
        seen, _ = project(transform(batch["verts"], batch["R_t"]), self.projection, *self.image_size)
        edges = (self.edge_lengths(outputs["verts"]) - self.edge_lengths(verts)).abs().mean(dim=(0, 1)).sum()
        losses = {
            "verts": functional.l1_loss(outputs["verts"], verts),
            "points": functional.l1_loss(outputs["points"], self.across_window(seen, batch, "aligned")),
            "edges": edges,
        }
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def edge_lengths(self, verts: torch.Tensor) -> torch.Tensor:
        """(B, F, 3) lengths of the three edges of each triangle; one that two triangles share counts twice."""
        corners = verts[:, self.triangles]
        return (corners - corners.roll(1, dims=2)).norm(dim=3)

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The pose is the one whose image of all vertices is nearest to the points. Unlike the published code, which
        cuts their places in the window to whole pixels, by mistake, this takes them as they are."""
        verts = outputs["verts"] / DECIMETRES
        points = self.image_points(outputs["points"], batch, "aligned")
        return verts, solve_pnp(verts, points, self.projection, *self.image_size)
