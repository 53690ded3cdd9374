"""A trained method as photos meet it: constants, and windows in, meshes and poses out, whatever computes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from models.loading import TrainedRun
from util.mesh import Topology

# Meshes of several faces: vertices (B, n, 3) and the triangles (F, 3) that they share.
Deformations = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class NetworkConstants:
    """What must be known beside the network. windows: names in data.windows.WINDOWS; window_size: their side in pixels
    topology: of its meshes; projection: (4, 4) and image_size: width and height of the training camera
    six_mean, six_std: (6,) of the training poses; verts_mean: (N, 3) metres, the mean face; expression_basis: (E, N, 3)
    """

    windows: tuple[str, ...]
    window_size: int
    topology: Topology
    projection: np.ndarray
    image_size: tuple[int, int]
    six_mean: np.ndarray
    six_std: np.ndarray
    verts_mean: np.ndarray
    expression_basis: np.ndarray


class Network(Protocol):
    """What predicts. Call it with a batch (models/base_model.py) on the CPU: float32 arrays verts (B, N, 3) canonical
    metres and R_t (B, 4, 4) come back. deforms: whether it also has TorchNetwork's `with_deformation`."""

    constants: NetworkConstants
    deforms: bool

    def __call__(self, batch: Mapping[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]: ...


def constants_of(run: TrainedRun, windows: tuple[str, ...]) -> NetworkConstants:
    """A run's constants, with the windows of its model."""
    statistics = run.statistics
    return NetworkConstants(
        tuple(windows),
        run.options["img_size"],
        run.topology,
        run.projection,
        run.image_size,
        statistics.six_mean,
        statistics.six_std,
        statistics.verts_mean,
        statistics.expression_basis,
    )


class TorchNetwork:
    """The network of a run, computed by torch."""

    def __init__(self, run: TrainedRun, device: torch.device):
        self.model, self.device = run.model().to(device).eval(), device
        self.constants = constants_of(run, self.model.windows)
        self.deforms = self.model.deforms()

    def __call__(self, batch: Mapping[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        verts, R_t, _ = self.with_deformation(batch)
        return verts, R_t

    def with_deformation(self, batch: Mapping[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray, Deformations]:
        """As a call, and the meshes on the way to verts, the one that it starts from first: vertices (B, n, 3)
        canonical metres and triangles (F, 3); none for methods that deform nothing."""
        with torch.inference_mode():
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            outputs = self.model(batch)
            verts, R_t = self.model.reconstruct(outputs, batch)
            stages = self.model.deformation(outputs, batch)
        return verts.cpu().numpy(), R_t.cpu().numpy(), [(part.cpu().numpy(), triangles) for part, triangles in stages]
