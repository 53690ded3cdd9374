"""What every method has in common: it takes a batch, has losses, and ends in a mesh and a pose.

A batch is a dict of tensors with the images along the first axis, B:

    <window>          uint8 (B, 3, S, S) RGB, one for each name in the model's `windows`
    <window>_affine   float32 (B, 2, 3), image pixels to window pixels, both from the top left corner
    landmarks68       float32 (B, 68, 2) image pixels
    landmarks_known   bool (B,), where the points of some are but a guess from the face box; known without it
    verts, R_t        float32 (B, N, 3) canonical metres and (B, 4, 4), where there are labels
    index             int64 (B,), the place in the data set
"""

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from util.mesh import Topology
from util.pose import pose_from_6dof_tensor, pose_to_6dof_tensor
from util.statistics import LabelStatistics

Batch = Mapping[str, torch.Tensor]
Outputs = dict[str, torch.Tensor]


class BaseModel(nn.Module):
    """A method. Subclasses set `windows` and `presets` and define the methods below.

    windows: the windows of the batch that the network looks at (names in data.windows.WINDOWS)
    presets: name -> defaults of training options; "standard" is what --preset starts from
    """

    windows: ClassVar[tuple[str, ...]] = ()
    presets: ClassVar[dict[str, dict[str, Any]]] = {"standard": {}}

    def __init__(self, statistics: LabelStatistics):
        super().__init__()
        for name, array in vars(statistics).items():
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32))

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        """Adds the method's own training options to its group."""

    @classmethod
    def build(cls, options: Mapping[str, Any], topology: Topology, statistics: LabelStatistics) -> "BaseModel":
        """The method with freshly drawn weights. options: plain training options; see options/train_options.py."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Outputs:
        """Network outputs for a batch."""
        raise NotImplementedError

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """name -> weighted scalar; their sum is minimised."""
        raise NotImplementedError

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """verts (B, N, 3) canonical metres and R_t (B, 4, 4), float32."""
        raise NotImplementedError

    def pixels(self, batch: Batch, window: str) -> torch.Tensor:
        """A window of the batch as (B, 3, S, S) float32 in -1..1."""
        return batch[window].float() / 127.5 - 1.0

    def window_landmarks(self, batch: Batch, window: str) -> torch.Tensor:
        """(B, 68, 2) the batch's 68 points in a window, from -1 to 1 across it."""
        affine = batch[f"{window}_affine"]
        points = batch["landmarks68"] @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
        return points * (2.0 / batch[window].shape[-1]) - 1.0

    def to_window(self, points: torch.Tensor, batch: Batch, source: str, target: str) -> torch.Tensor:
        """Points (B, n, 2) from -1 to 1 across one window of the batch, as they lie across another one."""
        if source == target:
            return points
        own, other = (batch[f"{name}_affine"].double() for name in (source, target))
        pixels = (points.double() + 1) * (batch[source].shape[-1] / 2) - own[:, None, :, 2]
        (a, b), (c, d) = own[:, :, :2].permute(1, 2, 0)
        inverse = torch.stack([d, -b, -c, a], dim=1).unflatten(1, (2, 2)) / (a * d - b * c)[:, None, None]
        pixels = pixels @ inverse.transpose(1, 2)
        moved = pixels @ other[:, :, :2].transpose(1, 2) + other[:, None, :, 2]
        return (moved * (2.0 / batch[target].shape[-1]) - 1.0).float()

    def whiten_pose(self, batch: Batch) -> torch.Tensor:
        """(B, 6) the batch's 6DoF labels in units of the training labels' deviations."""
        return (pose_to_6dof_tensor(batch["R_t"]) - self.six_mean) / self.six_std

    def pose(self, whitened: torch.Tensor) -> torch.Tensor:
        """(B, 4, 4) poses from whitened 6DoF (B, 6)."""
        return pose_from_6dof_tensor(whitened.float() * self.six_std + self.six_mean)
