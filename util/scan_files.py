"""Files of an evaluation against scans: meshes, landmarks and lists of pairs, as NoW has them."""

import csv
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import trimesh

from util.checks import check_array
from util.errors import InputError
from util.landmark_metrics import ANCHORS_68
from util.mesh import read_obj_lines


class Pair(NamedTuple):
    """The files of a predicted mesh and of the scan of the same person, each with its landmarks."""

    prediction: Path
    landmarks: Path
    scan: Path
    scan_landmarks: Path


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) float64 as they stand in an .obj or .ply, and triangles (F, 3) int64, none for a point cloud.

    Faces with more corners are cut into fans. Raises FileNotFoundError, or InputError that names the file.
    """
    if path.suffix.lower() == ".obj":
        vertices, triangles = read_polygons(path)
    elif path.suffix.lower() == ".ply":
        vertices, triangles = read_ply(path)
    else:
        raise InputError(f"{path}: wanted a mesh, .obj or .ply")
    vertices = check_array(f"{path}: vertices", vertices, (None, 3)).astype(np.float64)
    triangles = np.asarray(triangles, dtype=np.int64).reshape(-1, 3)
    if len(vertices) == 0:
        raise InputError(f"{path}: wanted vertices, got none")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise InputError(f"{path}: wanted faces of its {len(vertices)} vertices, got one of others")
    return vertices, triangles


def read_polygons(path: Path) -> tuple[list[list[float]], list[tuple[int, int, int]]]:
    """Vertices and triangles of an .obj. trimesh would double the vertices along the seams of a texture, and each
    vertex of a scan shall count once."""
    vertices, faces = read_obj_lines(path)
    for number, face in faces:
        if len(face) < 3:
            raise InputError(f"{path}, line {number}: wanted a face of three corners or more, got {len(face)}")
    fans = [(face[0], face[i], face[i + 1]) for _, face in faces for i in range(1, len(face) - 1)]
    return vertices, [(a - 1, b - 1, c - 1) for a, b, c in fans]


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a .ply, text or binary."""
    with open(path, "rb") as file:
        try:
            mesh = trimesh.load(file, file_type="ply", process=False)
        except Exception as error:  # trimesh has no error of its own: a damaged file ends in whatever went wrong
            raise InputError(f"{path}: cannot read it ({type(error).__name__}: {error})") from None
    return mesh.vertices, getattr(mesh, "faces", np.zeros((0, 3), np.int64))


def read_landmarks(path: Path) -> np.ndarray:
    """(7, 3) float64 landmarks: the outer, inner, inner and outer corners of the eyes from the face's right to its
    left, the bottom of the nose, the corners of the mouth.

    path: .npy, .txt with a row "x y z" or "x, y, z" a point, or .pp as MeshLab writes picked points. 68 points in the
    iBUG order are reduced to the seven. Raises FileNotFoundError, or InputError that names the file.
    """
    readers = {".npy": np.load, ".txt": read_rows, ".pp": read_picked_points}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: wanted landmarks, .npy, .txt or .pp")
    try:
        points = np.asarray(readers[path.suffix.lower()](path))
        if points.shape == (68, 3):
            points = points[list(ANCHORS_68)]
        return check_array("landmarks", points, (7, 3)).astype(np.float64)
    except (ValueError, TypeError, EOFError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: {error}") from None


def read_rows(path: Path) -> list[list[float]]:
    """The numbers of a text file, between spaces or commas, row by row."""
    lines = path.read_text(encoding="utf-8").replace(",", " ").splitlines()
    return [[float(word) for word in line.split()] for line in lines if line.strip()]


def read_picked_points(path: Path) -> list[list[float]]:
    """The points of a .pp, in the order of the file."""
    return [[float(point.get(axis, "nan")) for axis in "xyz"] for point in ElementTree.parse(path).iter("point")]


def read_pairs(path: Path) -> list[Pair]:
    """The rows of a csv with the columns of `Pair`, their paths as seen from the csv's folder.

    Raises FileNotFoundError for the list or a file in it, InputError where a column or a path is missing or there are
    no rows.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in Pair._fields if name not in (reader.fieldnames or [])]
        if missing:
            raise InputError(f"{path}: wanted the columns {', '.join(Pair._fields)}, got none of {', '.join(missing)}")
        rows = list(reader)
    if not rows:
        raise InputError(f"{path}: wanted rows below the header, got none")
    pairs = []
    for number, row in enumerate(rows, start=1):
        if not all(row[name] for name in Pair._fields):
            raise InputError(f"{path}, row {number}: wanted {', '.join(Pair._fields)}, got {list(row.values())}")
        pairs.append(Pair(*(path.parent / row[name] for name in Pair._fields)))
    return pairs


def check_pairs_exist(pairs: list[Pair]) -> None:
    """Raises FileNotFoundError that names the first missing file and says how many there are."""
    missing = [path for pair in pairs for path in pair if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: no such file ({len(missing)} missing of {4 * len(pairs)})")
