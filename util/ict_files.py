"""ICT-FaceKit, a head made of scans (Li et al., CVPR 2020; MIT licence): its files, and all of it in one file.

A user's clone of https://github.com/ICT-VGL/ICT-FaceKit has 154 .obj files of 2.5 MB; `save_ict` makes one file of them
that is read in a moment. What the model calls left has x > 0, y is up, z out of the face: our axes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from util.checkpoint import write_whole
from util.checks import check_indices, check_numbers
from util.errors import InputError
from util.mat_files import array_of, unreadable

COMPACT_NAME, NEUTRAL_NAME, OBJ_FOLDER = "ict_facekit_compact.npz", "generic_neutral_mesh.obj", "FaceXModel"
UNITS = "centimetres; deltas are added to neutral; ranges include both ends"
METRES = 0.01
# The regions of each material, in the order of their polygons. Those of one material are as large as each other, but
# for the back of the head, where published sizes count.
REGIONS_OF_MATERIAL = {
    "M_Face": ("face",),
    "M_BackHead": ("head_neck", "mouth_socket", "eye_socket_l", "eye_socket_r"),
    "M_GumsTongue": ("gums_tongue",),
    "M_Teeth": ("teeth",),
    "M_ScleraLeft": ("sclera_l",),
    "M_IrisLeft": ("iris_l",),
    "M_ScleraRight": ("sclera_r",),
    "M_IrisRight": ("iris_r",),
    "M_LacrimalFluid": ("lacrimal_l", "lacrimal_r"),
    "M_EyeBlend": ("eye_blend_l", "eye_blend_r"),
    "M_EyeOcclusion": ("eye_occlusion_l", "eye_occlusion_r"),
    "M_EyeLashes": ("lashes_l", "lashes_r"),
}
BACK_OF_HEAD_POLYGONS = (1914, 2082, 404, 404)


class Region(NamedTuple):
    """Which vertices and which polygons of the model are a region's own. Vertices on its border may be another's."""

    vertices: slice
    polygons: slice


@dataclass(frozen=True)
class IctModel:
    """ICT-FaceKit's arrays. A face is neutral + identity coefficients @ identity + expression weights @ expression.

    neutral: (V, 3) float32 metres, +x the face's left, +y up, +z out of the face
    identity: (I, V, 3) float32 metres for each deviation of a coefficient, which is standard normal among people
    expression: (E, V, 3) float32 metres for the whole expression, whose weights go from 0 to 1
    identity_names, expression_names: identity000 ..., and as in ARKit with _L and _R, eyeBlink_L ...
    triangles: (T, 3) int32, counter-clockwise from outside: the published polygons, cut along a diagonal
    triangle_uv: (T, 3) int32 indices in uv: (U, 2) float32, v up, u over 1 on further tiles (UDIM), one for each
        material; both empty where a compact file has none
    triangle_polygon: (T,) int32, the polygon that each triangle was cut from
    regions: by name: face, head_neck, mouth_socket, eye_socket_l ... lashes_r
    landmarks68: (68,) int64 vertices, in the iBUG order
    """

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    identity_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    triangles: np.ndarray
    triangle_uv: np.ndarray
    uv: np.ndarray
    triangle_polygon: np.ndarray
    regions: dict[str, Region]
    landmarks68: np.ndarray

    def triangles_of(self, region: str) -> np.ndarray:
        """(n,) indices of the triangles of a region."""
        polygons = self.regions[region].polygons
        return np.flatnonzero((polygons.start <= self.triangle_polygon) & (self.triangle_polygon < polygons.stop))


def read_ict(path: str | Path) -> IctModel:
    """Reads ICT-FaceKit from a compact .npz, a folder with ict_facekit_compact.npz, or a clone.

    A clone is the folder with generic_neutral_mesh.obj, vertex_indices.json, identityNNN.obj and the expressions'
    .obj files, or the folder above it. It may have the first identities only, and any of the expressions.

    Raises FileNotFoundError, or InputError that names the file and the array with what was wanted and got.
    """
    path = Path(path)
    if path.is_file():
        return _read_compact(path)
    if not path.is_dir():
        raise FileNotFoundError(f"face model {path}: no such file or folder")
    for folder in (path, path / OBJ_FOLDER):
        if (folder / COMPACT_NAME).is_file():
            return _read_compact(folder / COMPACT_NAME)
        if (folder / NEUTRAL_NAME).is_file():
            return _read_objs(folder)
    raise InputError(f"face model {path}: wanted a folder with {NEUTRAL_NAME} or {COMPACT_NAME}, got neither")


def save_ict(model: IctModel, path: str | Path) -> None:
    """Writes a model as one compressed .npz in centimetres, whole or not at all.

    identity and expression are float16 there, which keeps three digits of each number. Raises OSError.
    """
    polygons = [(region.polygons.start, region.polygons.stop - 1) for region in model.regions.values()]
    vertices = [(region.vertices.start, region.vertices.stop - 1) for region in model.regions.values()]
    arrays = {
        "neutral": (model.neutral / METRES).astype(np.float32),
        "identity": (model.identity / METRES).astype(np.float16),
        "expression": (model.expression / METRES).astype(np.float16),
        "identity_names": np.array(model.identity_names),
        "expression_names": np.array(model.expression_names),
        "triangles": model.triangles,
        "triangle_uv": model.triangle_uv,
        "triangle_polygon": model.triangle_polygon,
        "uv": model.uv,
        "landmarks68": model.landmarks68.astype(np.int32),
        "region_names": np.array(list(model.regions)),
        "region_vertices": np.array(vertices, np.int32),
        "region_polygons": np.array(polygons, np.int32),
        "units": np.array(UNITS),
    }
    write_whole(Path(path), lambda file: np.savez_compressed(file, **arrays))


def _read_compact(path: Path) -> IctModel:
    arrays = _read_npz(path)
    given = {name: array_of(arrays, path, name) for name in ("neutral", "identity", "expression", "landmarks68")}
    units = str(array_of(arrays, path, "units"))
    if not units.startswith("centimetres"):
        raise InputError(f"{path}: units: wanted centimetres, got {units!r}")
    region_names = array_of(arrays, path, "region_names").tolist()
    if "face" not in region_names:
        raise InputError(f"{path}: region_names: wanted face among them, got {region_names}")
    ranges = check_numbers(
        f"{path}: region_polygons", array_of(arrays, path, "region_polygons"), (len(region_names), 2)
    )
    triangles = array_of(arrays, path, "triangles")
    names = {
        kind: arrays.get(f"{kind}_names", [f"{kind}{number:03d}" for number in range(len(given[kind]))])
        for kind in ("identity", "expression")
    }
    return _make_model(
        path,
        **given,
        identity_names=tuple(map(str, names["identity"])),
        expression_names=tuple(map(str, names["expression"])),
        triangles=triangles,
        triangle_uv=arrays.get("triangle_uv", np.zeros((0, 3), np.int32)),
        uv=arrays.get("uv", np.zeros((0, 2), np.float32)),
        triangle_polygon=array_of(arrays, path, "triangle_polygon"),
        region_polygons={name: slice(int(a), int(b) + 1) for name, (a, b) in zip(region_names, ranges, strict=True)},
    )


def _read_objs(folder: Path) -> IctModel:
    table = _read_json(folder / "vertex_indices.json")
    present = [f"identity{number:03d}" for number in range(len(list(folder.glob("identity*.obj"))))]
    shown = [str(name) for name in table["expressions"] if (folder / f"{name}.obj").is_file()]
    for kind, names in (("identity", present), ("expression", shown)):
        if not names:
            raise InputError(f"face model {folder}: wanted .obj files of the model's {kind}, got none")
    path = folder / NEUTRAL_NAME
    neutral, lines = _read_vertices(path)
    offsets = np.empty((len(present) + len(shown), *neutral.shape), np.float32)
    for row, name in enumerate(tqdm([*present, *shown], desc=f"{folder.name}: meshes", unit="mesh")):
        file = folder / f"{name}.obj"
        offsets[row] = check_numbers(f"{file}: vertices", _read_vertices(file)[0], neutral.shape) - neutral
    uv = [line.split()[1:3] for line in lines if line.startswith(b"vt ")]
    polygons, materials = _read_polygons(path, lines)
    fans = [(row, *corners) for row, polygon in enumerate(polygons) for corners in _cut(polygon)]
    corners = np.array([fan[1:] for fan in fans], dtype=np.int64) - 1
    return _make_model(
        path,
        neutral=neutral,
        identity=offsets[: len(present)],
        expression=offsets[len(present) :],
        landmarks68=np.array(table["idx_to_landmark_verts"]),
        identity_names=tuple(present),
        expression_names=tuple(shown),
        triangles=corners[:, :, 0],
        triangle_uv=corners[:, :, 1] if uv else np.zeros((0, 3), np.int32),
        uv=np.array(uv, dtype=np.float32).reshape(-1, 2),
        triangle_polygon=np.array([fan[0] for fan in fans]),
        region_polygons=_regions_of_materials(path, materials),
    )


def _read_vertices(path: Path) -> tuple[np.ndarray, list[bytes]]:
    """The vertices (N, 3) float64 of an .obj, and all of its lines."""
    lines = path.read_bytes().splitlines()
    chosen = [line.decode("ascii", "replace") for line in lines if line.startswith(b"v ")]
    if not chosen:
        raise InputError(f"{path}: wanted vertices, got none")
    try:
        return np.loadtxt(chosen, usecols=(1, 2, 3), ndmin=2), lines
    except ValueError as error:
        raise unreadable(path, error) from None


def _read_polygons(path: Path, lines: list[bytes]) -> tuple[list[list[list[int]]], list[tuple[str, int]]]:
    """The polygons of an .obj, for each corner vertex and uv counted from 1, and its materials' names with the number
    of the first polygon that has it."""
    polygons: list[list[list[int]]] = []
    materials: list[tuple[str, int]] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith(b"f "):
            try:
                polygons.append([[int(index) for index in corner.split(b"/")[:2]] for corner in line.split()[1:]])
            except ValueError as error:
                raise InputError(f"{path}, line {number}: cannot read {line!r} ({error})") from None
            if any(len(corner) != 2 for corner in polygons[-1]):
                raise InputError(f"{path}, line {number}: wanted corners like 1/1, vertex and uv, got {line!r}")
        elif line.startswith(b"usemtl "):
            materials.append((line.split()[1].decode("ascii", "replace"), len(polygons)))
    return polygons, [*materials, ("", len(polygons))]


def _cut(polygon: list[list[int]]) -> Iterator[tuple[list[int], ...]]:
    """The triangles of a polygon, around its first corner."""
    return ((polygon[0], *polygon[corner : corner + 2]) for corner in range(1, len(polygon) - 1))


def _regions_of_materials(path: Path, materials: list[tuple[str, int]]) -> dict[str, slice]:
    """The polygons of each region, by the places where materials begin, the last of which is the end."""
    regions = {}
    for (material, start), (_, stop) in pairwise(materials):
        names = REGIONS_OF_MATERIAL.get(material, ())
        sizes = BACK_OF_HEAD_POLYGONS if material == "M_BackHead" else [(stop - start) // len(names) for _ in names]
        if names and sum(sizes) != stop - start:
            raise InputError(f"{path}: {material}: wanted {sum(sizes)} polygons, got {stop - start}")
        for name, size in zip(names, sizes, strict=True):
            regions[name] = slice(start, start + size)
            start += size
    if "face" not in regions:
        raise InputError(f"{path}: wanted faces of the material M_Face, got none")
    return regions


def _make_model(
    path: Path,
    neutral: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    landmarks68: np.ndarray,
    identity_names: tuple[str, ...],
    expression_names: tuple[str, ...],
    triangles: np.ndarray,
    triangle_uv: np.ndarray,
    uv: np.ndarray,
    triangle_polygon: np.ndarray,
    region_polygons: dict[str, slice],
) -> IctModel:
    """The model of arrays in centimetres, checked."""
    neutral = check_numbers(f"{path}: neutral", neutral, (None, 3)).astype(np.float32)
    count = len(neutral)
    triangles = check_indices(f"{path}: triangles", triangles, (None, 3), count)
    triangle_polygon = check_numbers(f"{path}: triangle_polygon", triangle_polygon, (len(triangles),))
    uv = check_numbers(f"{path}: uv", uv, (None, 2))
    triangle_uv = check_indices(f"{path}: triangle_uv", triangle_uv, (len(triangles) if len(uv) else 0, 3), len(uv))
    regions, first = {}, 0
    for name, polygons in region_polygons.items():
        chosen = (polygons.start <= triangle_polygon) & (triangle_polygon < polygons.stop)
        if not chosen.any():
            raise InputError(f"{path}: region {name}: wanted triangles, got none")
        # vertices are sorted by the first region that has them
        last = max(int(triangles[chosen].max()) + 1, first)
        regions[name], first = Region(slice(first, last), polygons), last
    moves = {}
    for kind, given, names in (("identity", identity, identity_names), ("expression", expression, expression_names)):
        given = check_numbers(f"{path}: {kind}", given, (None, count, 3))
        if len(names) != len(given):
            raise InputError(f"{path}: {kind}_names: wanted {len(given)} names, got {len(names)}")
        moves[kind] = np.multiply(given, np.float32(METRES), dtype=np.float32)
    return IctModel(
        neutral=neutral * np.float32(METRES),
        **moves,
        identity_names=identity_names,
        expression_names=expression_names,
        triangles=triangles.astype(np.int32),
        triangle_uv=triangle_uv.astype(np.int32),
        uv=uv.astype(np.float32),
        triangle_polygon=triangle_polygon.astype(np.int32),
        regions=regions,
        landmarks68=check_indices(f"{path}: landmarks", landmarks68, (68,), count),
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file) as archive:
            return dict(archive)
    except (ValueError, TypeError, EOFError, BadZipFile) as error:
        raise unreadable(path, error) from None


def _read_json(path: Path) -> dict[str, Any]:
    """The lists of names and vertices."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise unreadable(path, error) from None
    wanted = {"expressions", "idx_to_landmark_verts"}
    if not isinstance(content, dict) or not wanted <= content.keys():
        raise InputError(f"{path}: wanted {' and '.join(sorted(wanted))}, got another file")
    return content
