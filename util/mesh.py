"""Meshes: the topology that all meshes of a data root share, and mesh files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from util.checks import BROKEN_ARRAYS, check_array
from util.errors import InputError


@dataclass(frozen=True)
class Topology:
    """What all meshes of a data root share.

    template: (N, 3) float32 metres, the mesh of resources/example.obj
    triangles: (F, 3) int32, counter-clockwise seen from outside
    keypoints: (68,) int64 vertex indices in the iBUG order
    mirror: (N,) int64, the vertex that each vertex becomes when the face is mirrored at x = 0; its own index
    where that is not known
    """

    template: np.ndarray
    triangles: np.ndarray
    keypoints: np.ndarray
    mirror: np.ndarray

    @property
    def num_vertices(self) -> int:
        return len(self.template)

    def check_mirror(self, wanted: str) -> None:
        """Raises InputError where it is not known what a mesh is in the mirror. wanted: how the message begins."""
        if (self.mirror == np.arange(self.num_vertices)).all():
            raise InputError(f"{wanted} vertices that are each other's mirror images, got a template that has none")


def make_topology(
    template: np.ndarray, triangles: np.ndarray, keypoints: np.ndarray, symmetric: bool = True
) -> Topology:
    """Checks the three arrays, finds the mirror permutation and returns the topology.

    symmetric: whether the template must be; if not, and it is not, each vertex is its own mirror image.

    Raises ValueError or TypeError where a shape or an index is wrong or the template is not mirror-symmetric.
    """
    template = check_array("template vertices", template, (None, 3)).astype(np.float32)
    triangles = check_array("triangles", triangles, (None, 3))
    keypoints = check_array("key points", keypoints, (68,))
    for name, indices in (("triangles", triangles), ("key points", keypoints)):
        if indices.dtype.kind not in "iu":
            raise TypeError(f"{name}: wanted integers, got {indices.dtype}")
        if len(template) == 0 or len(indices) == 0:
            raise InputError(f"{name}: wanted a mesh with vertices and triangles, got an empty one")
        if indices.min() < 0 or indices.max() >= len(template):
            raise InputError(
                f"{name}: wanted vertex indices 0..{len(template) - 1}, got {indices.min()}..{indices.max()}"
            )
    try:
        mirror = find_mirror(template)
    except InputError:
        if symmetric:
            raise
        mirror = np.arange(len(template))
    return Topology(template, triangles.astype(np.int32), keypoints.astype(np.int64), mirror)


def read_topology(resources: Path, symmetric: bool = True) -> Topology:
    """The topology of a data root's resources/, or of any folder with example.obj and kpt_ind.npy.

    symmetric: as in `make_topology`. Raises FileNotFoundError, or InputError that names the file or the folder.
    """
    template, triangles = read_obj(resources / "example.obj")
    try:
        return make_topology(template, triangles, np.load(resources / "kpt_ind.npy"), symmetric)
    except BROKEN_ARRAYS as error:
        raise InputError(f"{resources}: {error}") from None


def find_topology(path: Path) -> Topology:
    """The topology of a data root, or of a folder with example.obj and kpt_ind.npy. Raises as `read_topology`."""
    return read_topology(path / "resources" if (path / "resources").is_dir() else path)


def find_mirror(template: np.ndarray) -> np.ndarray:
    """(N,) int64: for each vertex of an x-symmetric template (N, 3) the index of its mirror image.

    Raises ValueError where pairing each vertex with the one nearest to its mirror image is not one to one.
    """
    _, mirror = cKDTree(template).query(template * np.float32([-1, 1, 1]))
    unpaired = mirror[mirror] != np.arange(len(template))
    if unpaired.any():
        raise InputError(f"template: wanted a mesh symmetric at x = 0, got {int(unpaired.sum())} unpaired vertices")
    return mirror.astype(np.int64)


def check_same_topology(wanted: Topology, got: Topology, names: tuple[str, str]) -> None:
    """Raises InputError, which names the two, where two topologies differ in vertices, triangles or key points."""
    if wanted.num_vertices != got.num_vertices:
        raise InputError(f"{names[0]} has meshes of {wanted.num_vertices} vertices, {names[1]} of {got.num_vertices}")
    for part in ("triangles", "keypoints"):
        if not np.array_equal(getattr(wanted, part), getattr(got, part)):
            raise InputError(f"{names[0]} and {names[1]} have meshes with different {part}")


def read_obj(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a triangle mesh from a Wavefront .obj: vertices (N, 3) float32 and triangles (F, 3) int32, 0-based.

    Texture and normal indices, groups and materials are passed over. Raises FileNotFoundError, or ValueError that
    names file and line where a vertex or a face cannot be read or a face is no triangle.
    """
    vertices, faces = read_obj_lines(path)
    for number, face in faces:
        if len(face) != 3:
            raise InputError(f"{path}, line {number}: wanted a triangle, got a face with {len(face)} corners")
    if not vertices or not faces:
        raise InputError(f"{path}: wanted vertices and faces, got {len(vertices)} and {len(faces)}")
    return (
        check_array(f"{path}: vertices", vertices, (None, 3)).astype(np.float32),
        np.asarray([face for _, face in faces], dtype=np.int32) - 1,
    )


def read_obj_lines(path: str | Path) -> tuple[list[list[float]], list[tuple[int, list[int]]]]:
    """The vertices of a Wavefront .obj, and its faces with the number of their line, as they stand there: with any
    number of corners and counted from 1. Raises as `read_obj` where a number cannot be read."""
    vertices, faces = [], []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            kind, *fields = line.split() or [""]
            try:
                if kind == "v":
                    x, y, z = fields[:3]
                    vertices.append([float(x), float(y), float(z)])
                elif kind == "f":
                    faces.append((number, [int(field.split("/")[0]) for field in fields]))
            except ValueError as error:
                raise InputError(f"{path}, line {number}: cannot read {line.strip()!r} ({error})") from None
    return vertices, faces


def write_obj(path: str | Path, vertices: np.ndarray, triangles: np.ndarray) -> None:
    """Writes vertices (N, 3) and 0-based triangles (F, 3) as a Wavefront .obj; six decimals are micrometres."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(obj_text(vertices, triangles))


def obj_text(vertices: np.ndarray, triangles: np.ndarray, colors: np.ndarray | None = None) -> str:
    """A mesh as the text of a Wavefront .obj.

    vertices: (N, 3) metres, six decimals are micrometres; triangles: (F, 3), 0-based; colors: (N, 3) uint8 RGB, written
    behind each vertex as 0..1, where most programs look for them.
    """
    tails = [""] * len(vertices) if colors is None else [f" {r:.4f} {g:.4f} {b:.4f}" for r, g, b in colors / 255]
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}{tail}\n" for (x, y, z), tail in zip(vertices, tails, strict=True)]
    lines += [f"f {a} {b} {c}\n" for a, b, c in np.asarray(triangles) + 1]
    return "".join(lines)
