"""What the two regression methods share: options, targets, losses and the way back to mesh and pose."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.backbones import PointLayers, add_encoder_options, encode, resnet
from models.base_model import DECIMETRES, BaseModel, Batch, Outputs, check_weights, start_output
from util.landmarks import NUM_NUMBERS, landmark_numbers
from util.mesh import Topology
from util.statistics import LabelStatistics

# From a layer for vertices, and the features of the 68 points where they are read, to decimetres (B, N, 3).
ShapeReader = Callable[[nn.Module, torch.Tensor | None], torch.Tensor]

# Width of the layer that reads the 68 points.
LANDMARK_FEATURES = 256

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
    "shape_components": 0,
    "loss_verts_weight": 5.0,
    "loss_6dof_weight": 1.0,
    "read_landmarks": False,
}
# Ours: learns from far fewer images.
STANDARD = {
    **PUBLISHED,
    "batch_size": 32,
    "epochs": 20,
    "lr": 2e-3,
    "beta1": 0.9,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "initialisation": "he",
    "pooling": "grid",
    "start": "mean",
    "shape_components": 60,
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.1,
    "landmark_noise": 0.005,
    "read_landmarks": True,
}


class RegressionModel(BaseModel):
    """One ResNet a window, and linear layers on their features.

    Outputs: "verts" (B, N, 3) decimetres and "6dof" (B, 6) whitened. Where the 68 points are read, too, the model also
    does without, for photos whose points nobody knows: "found_points" (B, 68, 2) are those that it sees in its first
    window, from -1 to 1 across it, and "found_verts" and "found_6dof" what it makes of them.
    """

    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED}
    # What `build` takes from the options.
    option_names: ClassVar[tuple[str, ...]] = (
        *("backbone", "initialisation", "pooling", "start", "shape_components", "read_landmarks"),
        *("loss_verts_weight", "loss_6dof_weight", "loss_points_weight"),
    )

    def __init__(
        self,
        statistics: LabelStatistics,
        backbone: str = "resnet18",
        initialisation: str = "he",
        pooling: str = "grid",
        start: str = "mean",
        shape_components: int = 60,
        read_landmarks: bool = True,
        loss_verts_weight: float = 5.0,
        loss_6dof_weight: float = 1.0,
        loss_points_weight: float = 5.0,
    ):
        super().__init__(statistics)
        self.weights = {"verts": loss_verts_weight, "6dof": loss_6dof_weight, "points": loss_points_weight}
        check_weights(self.weights)
        self.branches, features = nn.ModuleDict(), 0
        for window in self.windows:
            # not by the window's name alone: "global" is a word of Python, in which exporters write networks
            self.branches[f"{window}_window"], features = resnet(backbone, initialisation, pooling)
        # Made only where it is asked for, so that the published model is the published one.
        self.landmark_layers = None
        if read_landmarks:
            self.landmark_layers, self.found_landmark_layers = (
                nn.Sequential(nn.BatchNorm1d(NUM_NUMBERS), nn.Linear(NUM_NUMBERS, LANDMARK_FEATURES), nn.ReLU())
                for _ in range(2)
            )
            self.point_layers = PointLayers(self.branches[f"{self.windows[0]}_window"].layer4[0].conv1.in_channels, 68)
        self.set_components(shape_components)
        extra = NUM_NUMBERS + LANDMARK_FEATURES if read_landmarks else 0
        self.verts_layer, self.six_layer = self.output_layers(features + extra, start)
        if read_landmarks:
            self.found_verts_layer, self.found_six_layer = self.output_layers(features + extra, start)

    def output_layers(self, features: int, start: str) -> tuple[nn.Linear, nn.Linear]:
        """The layers that make vertices, or their components, and the whitened 6DoF from features."""
        verts_layer = nn.Linear(features, self.components or self.verts_mean.numel())
        six_layer = nn.Linear(features, 6)
        start_output(verts_layer, start, None if self.components else self.verts_mean * DECIMETRES)
        start_output(six_layer, start)
        return verts_layer, six_layer

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
    ) -> "RegressionModel":
        return cls(statistics, **{name: options[name] for name in cls.option_names})

    def encode(self, batch: Batch, window: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps and features of the window's branch, see models.backbones.encode."""
        return encode(self.branches[f"{window}_window"], self.pixels(batch, window))

    def landmark_features(self, points: torch.Tensor, layers: nn.Module) -> torch.Tensor:
        """(B, features) of 68 points (B, 68, 2) in the last window, which shows the whole image, from -1 to 1."""
        numbers = landmark_numbers(points)
        # Turning the head moves all points together, and plain layers see that at once; what tells one face from
        # another moves them little, and is seen best with the common part taken out.
        whitened = (numbers - self.landmark_mean) @ self.landmark_whitening
        return torch.cat([whitened, layers(numbers)], dim=1)

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        add_encoder_options(group)
        BaseModel.add_output_options(group)
        group.add_argument(
            "--read_landmarks",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="tell the output layers where the 68 points lie, from which the windows are cut anyway",
        )
        group.add_argument("--loss_verts_weight", type=float, default=5.0, help="weight of the vertices' L1 loss")
        group.add_argument("--loss_6dof_weight", type=float, default=1.0, help="weight of the whitened 6DoF's L1 loss")
        group.add_argument(
            "--loss_points_weight",
            type=float,
            default=5.0,
            help="weight of the L1 loss of the 68 points that are found in the first window, in half sides of it",
        )

    def shape(self, features: torch.Tensor, layer: nn.Module, points: torch.Tensor | None) -> torch.Tensor:
        """(B, N, 3) decimetres that a layer for vertices gives of a branch's features (B, features), and those of the
        68 points where they are read."""
        return self.vertices(layer(features if points is None else torch.cat([features, points], dim=1)))

    def outputs(self, batch: Batch, maps: torch.Tensor, shape: ShapeReader, six_features: torch.Tensor) -> Outputs:
        """The output layers on the first window's maps, on what `shape` reads vertices from, and on the features (B,
        features) for the pose."""
        if self.landmark_layers is None:
            return {"verts": shape(self.verts_layer, None), "6dof": self.six_layer(six_features)}
        points = self.landmark_features(self.window_landmarks(batch, self.windows[-1]), self.landmark_layers)
        found_points = self.point_layers(maps)
        # Points are to lie where they are seen, and not where they would make up for what else goes wrong.
        moved = self.to_window(found_points.detach(), batch, self.windows[0], self.windows[-1])
        found = self.landmark_features(moved, self.found_landmark_layers)
        return {
            "verts": shape(self.verts_layer, points),
            "6dof": self.six_layer(torch.cat([six_features, points], dim=1)),
            "found_points": found_points,
            "found_verts": shape(self.found_verts_layer, found),
            "found_6dof": self.found_six_layer(torch.cat([six_features, found], dim=1)),
        }

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        targets = {"verts": batch["verts"] * DECIMETRES, "6dof": self.whiten_pose(batch)}
        if "found_points" in outputs:
            targets["points"] = self.window_landmarks(batch, self.windows[0])
        losses = {}
        for name, output in outputs.items():
            kind = name.removeprefix("found_")
            losses[name] = self.weights[kind] * functional.l1_loss(output.float(), targets[kind])
        return losses

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        verts, six = outputs["verts"], outputs["6dof"].float()
        if "landmarks_known" in batch and "found_verts" in outputs:
            known = batch["landmarks_known"]
            verts = torch.where(known[:, None, None], verts, outputs["found_verts"])
            six = torch.where(known[:, None], six, outputs["found_6dof"].float())
        return verts / DECIMETRES, self.pose(six)
