"""What the two regression methods share: options, targets, losses and the way back to mesh and pose."""

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from models.backbones import RESNETS, draw_normal, resnet
from models.base_model import BaseModel, Batch, Outputs
from util.mesh import Topology
from util.statistics import LabelStatistics

# Vertices are regressed in decimetres, in which a face spans about -1..1 (published baseline).
DECIMETRES = 10.0

# The recipe of the published WCPA Track 2 baseline.
PUBLISHED = {
    "img_size": 256,
    "batch_size": 128,
    "epochs": 10,
    "epochs_decay": 5,
    "lr": 1e-5,
    "beta1": 0.5,
    "beta2": 0.999,
    "lr_policy": "linear",
    "backbone": "resnet18",
    "initialisation": "normal",
    "pooling": "average",
    "start": "random",
    "loss_verts_weight": 5.0,
    "loss_6dof_weight": 1.0,
}
# Ours: learns from far fewer images. benchmarks/presets.py compares the two.
STANDARD = {
    **PUBLISHED,
    "batch_size": 32,
    "epochs": 20,
    "lr": 1e-3,
    "beta1": 0.9,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "initialisation": "he",
    "pooling": "grid",
    "start": "mean",
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.04,
}


class RegressionModel(BaseModel):
    """One ResNet a window, and linear layers on their features.

    Outputs: "verts" (B, N, 3) decimetres and "6dof" (B, 6) whitened.
    """

    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED}

    def __init__(
        self,
        statistics: LabelStatistics,
        backbone: str = "resnet18",
        initialisation: str = "he",
        pooling: str = "grid",
        start: str = "mean",
        loss_verts_weight: float = 5.0,
        loss_6dof_weight: float = 1.0,
    ):
        super().__init__(statistics)
        self.loss_verts_weight, self.loss_6dof_weight = loss_verts_weight, loss_6dof_weight
        self.branches, features = nn.ModuleDict(), 0
        for window in self.windows:
            self.branches[window], features = resnet(backbone, initialisation, pooling)
        self.verts_layer, self.six_layer = nn.Linear(features, self.verts_mean.numel()), nn.Linear(features, 6)
        self.whitened = start == "mean"
        for layer in (self.verts_layer, self.six_layer):
            if self.whitened:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
            else:
                draw_normal(layer)

    @classmethod
    def build(cls, options: Mapping[str, Any], topology: Topology, statistics: LabelStatistics) -> "RegressionModel":
        names = ("backbone", "initialisation", "pooling", "start", "loss_verts_weight", "loss_6dof_weight")
        return cls(statistics, **{name: options[name] for name in names})

    def features(self, batch: Batch, window: str) -> torch.Tensor:
        """(B, features) of the window's branch."""
        return self.branches[window](self.pixels(batch, window))

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        group.add_argument("--backbone", choices=sorted(RESNETS), default="resnet18", help="the encoder of each branch")
        group.add_argument(
            "--initialisation",
            choices=["he", "normal"],
            default="he",
            help="of the encoders: torchvision's for training from scratch, or the published N(0, 0.02)",
        )
        group.add_argument(
            "--pooling",
            choices=["average", "grid"],
            default="grid",
            help="of the last map: its average, as published, or a 4x4 grid that keeps where things were seen",
        )
        group.add_argument(
            "--start",
            choices=["mean", "random"],
            default="mean",
            help="mean: outputs start at the training mean and count in the labels' deviations from it; "
            "random: output layers are drawn like the others and give decimetres, as published",
        )
        group.add_argument("--loss_verts_weight", type=float, default=5.0, help="weight of the vertices' L1 loss")
        group.add_argument("--loss_6dof_weight", type=float, default=1.0, help="weight of the whitened 6DoF's L1 loss")

    def outputs(self, verts_features: torch.Tensor, six_features: torch.Tensor) -> Outputs:
        """The two output layers on features (B, features)."""
        verts = self.verts_layer(verts_features).float().unflatten(1, self.verts_mean.shape)
        if self.whitened:
            # Adam moves all outputs at one speed: in deviations, a mouth that opens by centimetres and a forehead
            # that stays put are equally near.
            verts = (self.verts_mean + self.verts_std * verts) * DECIMETRES
        return {"verts": verts, "6dof": self.six_layer(six_features).float()}

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        verts = functional.l1_loss(outputs["verts"], batch["verts"] * DECIMETRES)
        six = functional.l1_loss(outputs["6dof"], self.whiten_pose(batch))
        return {"verts": self.loss_verts_weight * verts, "6dof": self.loss_6dof_weight * six}

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return outputs["verts"] / DECIMETRES, self.pose(outputs["6dof"])
