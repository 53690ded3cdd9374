"""A linear model of faces: a mean shape, what tells one face from another, what one face does, and its colours."""

import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from util.checkpoint import pack_arrays, unpack_arrays, write_whole
from util.errors import InputError
from util.mesh import Topology, check_same_topology

# Numbers of the pose that a parameter vector begins with: a row-major (3, 4) scaled rotation with offset.
POSE_NUMBERS = 12


@dataclass(frozen=True)
class MorphableModel:
    """A face is mean + a @ identity + b @ expression, of colour albedo_mean + c @ albedo.

    mean: (N, 3) float32, in the model's unit; +x the face's left, +y up, +z out of the face
    identity, expression: (K, N, 3), (E, N, 3) float32, the same unit a coefficient
    identity_deviations, expression_deviations: (K,), (E,) float32 standard deviations of coefficients of real faces
    albedo_mean, albedo: (N, 3), (A, N, 3) float32 RGB from 0 to 1, of coefficients of deviation 1; N is 0 without any
    triangles: (F, 3) int32, counter-clockwise seen from outside; keypoints: (68,) int64 vertices in the iBUG order
    skin: (N,) bool, vertices whose colour is that of skin; front: (n,) int64, the triangles that a picture's colours
    are compared on
    metres: () float64, how long the unit is
    """

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    identity_deviations: np.ndarray
    expression_deviations: np.ndarray
    albedo_mean: np.ndarray
    albedo: np.ndarray
    triangles: np.ndarray
    keypoints: np.ndarray
    skin: np.ndarray
    front: np.ndarray
    metres: np.ndarray

    @property
    def num_vertices(self) -> int:
        return len(self.mean)

    @property
    def has_colors(self) -> bool:
        return len(self.albedo_mean) > 0


@dataclass(frozen=True)
class FittingStatistics:
    """What else is known of the images that a morphable model was learned from.

    pose_mean, pose_std: (12,) float32 of the pose numbers of models.scaled_orthography in the training windows
    skin_weights (2, M), skin_means (2, M, 3), skin_covariances (2, M, 3, 3): float32 mixtures of Gaussians of what is
    skin and what is not, as levels of Y, Cr and Cb (util.skin)
    """

    pose_mean: np.ndarray
    pose_std: np.ndarray
    skin_weights: np.ndarray
    skin_means: np.ndarray
    skin_covariances: np.ndarray


@dataclass(frozen=True)
class FaceBases:
    """What step01 --build_morphable finds out, and a checkpoint keeps: the two above."""

    model: MorphableModel
    statistics: FittingStatistics


class MorphableLayer(nn.Module):
    """A morphable model's arrays as buffers, which are the run's and not kept with its weights."""

    def __init__(self, model: MorphableModel):
        super().__init__()
        for field in fields(model):
            self.register_buffer(field.name, torch.from_numpy(np.array(getattr(model, field.name))), persistent=False)

    def shapes(
        self, identity: torch.Tensor, expression: torch.Tensor, vertices: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, n, 3), in the model's unit, the vertices (n,), or all of them, of faces of coefficients identity (B, K)
        and expression (B, E)."""
        parts = self.mean, self.identity, self.expression
        if vertices is not None:
            parts = self.mean[vertices], self.identity[:, vertices], self.expression[:, vertices]
        mean, *bases = parts
        moved = identity @ bases[0].flatten(1) + expression @ bases[1].flatten(1)
        return mean + moved.unflatten(1, mean.shape)

    def colors(self, coefficients: torch.Tensor) -> torch.Tensor:
        """(B, N, 3) RGB, about 0 to 1, of albedo coefficients (B, A)."""
        return self.albedo_mean + (coefficients @ self.albedo.flatten(1)).unflatten(1, self.albedo_mean.shape)

    def normals(self, vertices: torch.Tensor) -> torch.Tensor:
        """(B, N, 3) unit normals of meshes (B, N, 3), out of the face: at a vertex the direction of the sum of its
        triangles' unit normals, as Deep3D has it; zeros where that has none."""
        first, second, third = vertices[:, self.triangles.T.flatten().long()].unflatten(1, (3, -1)).unbind(dim=1)
        facing = functional.normalize(torch.linalg.cross(first - second, second - third), dim=2)
        sums = torch.zeros_like(vertices)
        for corner in self.triangles.T:
            sums = sums.index_add(1, corner, facing)
        return functional.normalize(sums, dim=2)


def write_bases(path: Path, bases: FaceBases) -> None:
    """Writes morphable.npz, whole or not at all: the arrays of both parts by their names."""
    write_whole(path, lambda file: np.savez(file, **vars(bases.model), **vars(bases.statistics)))


def read_bases(path: Path) -> FaceBases:
    """Reads what `write_bases` wrote. Raises FileNotFoundError or InputError where it is missing or another file."""
    if not path.is_file():
        raise FileNotFoundError(f"morphable model {path}: no such file; run step01_preparation.py --build_morphable")
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            return FaceBases(
                *(
                    kind(**{field.name: arrays[field.name] for field in fields(kind)})
                    for kind in (MorphableModel, FittingStatistics)
                )
            )
    except (KeyError, ValueError, TypeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"morphable model {path}: wanted a file of step01 --build_morphable ({error})") from None


def same_bases(one: FaceBases, other: FaceBases) -> bool:
    """Whether all numbers are the same."""
    parts = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.array_equal(a, b) for part in parts for a, b in zip(*(vars(p).values() for p in part), strict=True))


def pack_bases(bases: FaceBases) -> dict[str, dict[str, torch.Tensor]]:
    """Both parts as dicts of tensors, as a checkpoint keeps them."""
    return {name: pack_arrays(part) for name, part in vars(bases).items()}


def unpack_bases(packed: dict[str, dict[str, torch.Tensor]]) -> FaceBases:
    """The inverse of `pack_bases`. Raises InputError where the arrays are not those of this version."""
    kinds = {"model": MorphableModel, "statistics": FittingStatistics}
    return FaceBases(**{name: unpack_arrays(kind, packed.get(name, {})) for name, kind in kinds.items()})


def loose_topology(model: MorphableModel) -> Topology:
    """The topology of a published model's meshes, in metres. Which vertex is which one's mirror image is not known of
    such meshes, nor needed for what is made of them: each is its own."""
    template = np.float32(model.mean * model.metres)
    return Topology(template, model.triangles, model.keypoints, np.arange(model.num_vertices))


def check_fits(model: MorphableModel, topology: Topology) -> None:
    """Raises InputError where a model's meshes are not those of a data root."""
    own = Topology(model.mean, model.triangles, model.keypoints, topology.mirror)
    check_same_topology(topology, own, ("data root", "morphable model"))
