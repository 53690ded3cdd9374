"""What every method has in common: it takes a batch, has losses, and ends in a mesh and a pose.

A batch is a dict of tensors with the images along the first axis, B:

    <window>          uint8 (B, 3, S, S) RGB, one for each name in the model's `windows`
    <window>_affine   float32 (B, 2, 3), image pixels to window pixels, both from the top left corner
    landmarks68       float32 (B, 68, 2) image pixels
    landmarks_known   bool (B,), where the points of some are but a guess from the face box; known without it
    verts, R_t        float32 (B, N, 3) canonical metres and (B, 4, 4), where there are labels
    index             int64 (B,), the place in the data set
    set, view         int64 (B,), where images come in sets of one subject and action: the number of each image's set,
                      rising along the batch, and its view, 0..NUM_VIEWS - 1 (util/landmarks.py)
"""

import argparse
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from models.backbones import draw_normal
from util.errors import InputError
from util.evidence import CoefficientSpace, ImageEvidence
from util.face_space import FaceSpace
from util.mesh import Topology
from util.pose import pose_from_6dof_tensor, pose_to_6dof_tensor
from util.statistics import LabelStatistics

Batch = Mapping[str, torch.Tensor]
Outputs = dict[str, torch.Tensor]

# Vertices are regressed in decimetres, in which a face spans about -1..1 (published baseline, JMLR).
DECIMETRES = 10.0


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises InputError where a weight of a loss is not a number from 0 up. weights: by the loss's name."""
    for name, value in weights.items():
        if not 0 <= value < math.inf:
            raise InputError(f"--loss_{name}_weight: wanted a number from 0 up, got {value}")


def start_output(layer: nn.Linear, start: str, values: torch.Tensor | None = None) -> None:
    """Has an output layer start as --start says: "mean" gives the values, zeros without them, whatever it reads."""
    if start == "random":
        draw_normal(layer)
        return
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.bias.copy_(torch.zeros_like(layer.bias) if values is None else values.flatten())


class BaseModel(nn.Module):
    """A method. Subclasses set `windows` and `presets` and define the methods below.

    windows: the windows of the batch that the network looks at (names in data.windows.WINDOWS)
    presets: name -> defaults of training options; "standard" is what --preset starts from
    exportable: whether networks can be written as ONNX
    dataset: the data set that it must be trained on (names in data.DATASETS); None where any will do
    needs_bases: whether `build` also takes, last, the models.morphable.FaceBases that step01 --build_morphable
        found, which it keeps as `bases`
    """

    windows: ClassVar[tuple[str, ...]] = ()
    presets: ClassVar[dict[str, dict[str, Any]]] = {"standard": {}}
    exportable: ClassVar[bool] = True
    dataset: ClassVar[str | None] = None
    needs_bases: ClassVar[bool] = False

    def __init__(self, statistics: LabelStatistics):
        super().__init__()
        for name, array in vars(statistics).items():
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32))
        self.components = 0

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        """Adds the method's own training options to its group."""

    @staticmethod
    def add_output_options(group: argparse._ArgumentGroup) -> None:
        """Options of output layers that several methods have."""
        group.add_argument(
            "--start",
            choices=["mean", "random"],
            default="mean",
            help="output layers: give the training mean until they learn, or are drawn like the published ones",
        )
        group.add_argument(
            "--shape_components",
            type=int,
            default=60,
            metavar="K",
            help="regress so many principal components of the training shapes; 0 regresses the vertices, as published",
        )

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
    ) -> "BaseModel":
        """The method with freshly drawn weights.

        options: plain training options, see options/train_options.py; projection (4, 4), image_size: of the camera, the
        latter width and height in pixels.
        """
        raise NotImplementedError

    def read_weights(self, options: Mapping[str, Any]) -> list[str]:
        """Reads from files that the options name what a run needs whenever it starts, as its checkpoints do not have
        it. Returns what the run is to say of it. Raises FileNotFoundError or InputError where a file is missing or
        another one."""
        return []

    def read_first_weights(self, options: Mapping[str, Any], split_digest: str) -> list[str]:
        """Reads from files that the options name the weights that a new run starts from; as read_weights. split_digest:
        of the run's split; what was trained on another one may have seen the validation images."""
        return []

    def set_components(self, count: int) -> None:
        """Has `vertices` read so many of the training shapes' principal components, or as many as there are. Raises
        InputError where that is less than none."""
        if count < 0:
            raise InputError(f"--shape_components: wanted 0 or more, got {count}")
        self.components = min(count, len(self.verts_basis))

    def vertices(self, numbers: torch.Tensor) -> torch.Tensor:
        """(B, N, 3) decimetres from what a layer for vertices gives: them, or the principal components (B, K)."""
        numbers = numbers.float()
        if self.components:
            # Adam moves all outputs at one speed: in deviations of the training shapes that speed fits.
            offsets = numbers @ self.verts_basis[: self.components].flatten(1)
            numbers = (self.verts_mean.flatten() + offsets) * DECIMETRES
        return numbers.unflatten(1, self.verts_mean.shape)

    def forward(self, batch: Batch) -> Outputs:
        """Network outputs for a batch."""
        raise NotImplementedError

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """name -> weighted scalar; their sum is minimised."""
        raise NotImplementedError

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """verts (B, N, 3) canonical metres and R_t (B, 4, 4), float32."""
        raise NotImplementedError

    def confidence(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """(B,) how far each prediction is to be trusted beside others of the same model, any positive scale."""
        return torch.ones(len(batch["index"]), device=batch["index"].device)

    def shape_evidence(self, outputs: Outputs, batch: Batch, verts: torch.Tensor | None = None) -> ImageEvidence | None:
        """What the shapes come from, for methods that can tell, which then have a `space`; images of one face are fused
        by it. verts (B, N, 3): the shapes of images that are alone, where they are not those of `reconstruct`."""
        return None

    def deformation(self, outputs: Outputs, batch: Batch) -> list[tuple[torch.Tensor, np.ndarray]]:
        """The meshes on the way to the result, the one that it starts from first: vertices (B, n, 3) canonical metres
        and triangles (F, 3); none for methods that deform nothing."""
        return []

    @classmethod
    def deforms(cls) -> bool:
        """Whether the method has a `deformation`."""
        return cls.deformation is not BaseModel.deformation

    @property
    def space(self) -> FaceSpace | CoefficientSpace | None:
        """Which space `shape_evidence` speaks of."""
        return None

    def pixels(self, batch: Batch, window: str) -> torch.Tensor:
        """A window of the batch as (B, 3, S, S) float32 in -1..1."""
        return batch[window].float() / 127.5 - 1.0

    def window_landmarks(self, batch: Batch, window: str) -> torch.Tensor:
        """(B, 68, 2) the batch's 68 points in a window, from -1 to 1 across it."""
        return self.across_window(batch["landmarks68"], batch, window)

    def across_window(self, points: torch.Tensor, batch: Batch, window: str) -> torch.Tensor:
        """Image points (B, n, 2), in pixels, as they lie in a window of the batch: from -1 to 1 across it."""
        affine = batch[f"{window}_affine"].to(points.dtype)
        moved = points @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
        return moved * (2.0 / batch[window].shape[-1]) - 1.0

    def image_points(self, points: torch.Tensor, batch: Batch, window: str) -> torch.Tensor:
        """The inverse of `across_window`, in float64: (B, n, 2) image pixels."""
        affine = batch[f"{window}_affine"].double()
        pixels = (points.double() + 1) * (batch[window].shape[-1] / 2) - affine[:, None, :, 2]
        (a, b), (c, d) = affine[:, :, :2].permute(1, 2, 0)
        inverse = torch.stack([d, -b, -c, a], dim=1).unflatten(1, (2, 2)) / (a * d - b * c)[:, None, None]
        return pixels @ inverse.transpose(1, 2)

    def to_window(self, points: torch.Tensor, batch: Batch, source: str, target: str) -> torch.Tensor:
        """Points (B, n, 2) from -1 to 1 across one window of the batch, as they lie across another one."""
        if source == target:
            return points
        return self.across_window(self.image_points(points, batch, source), batch, target).float()

    def whiten_pose(self, batch: Batch) -> torch.Tensor:
        """(B, 6) the batch's 6DoF labels in units of the training labels' deviations."""
        return (pose_to_6dof_tensor(batch["R_t"]) - self.six_mean) / self.six_std

    def pose(self, whitened: torch.Tensor) -> torch.Tensor:
        """(B, 4, 4) poses from whitened 6DoF (B, 6)."""
        return pose_from_6dof_tensor(whitened.float() * self.six_std + self.six_mean)
