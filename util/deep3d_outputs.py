"""What Deep3DFaceRecon_pytorch writes for a photo X, written for its largest face, to the same names:

X.png: three windows side by side: what the network looked at, the face drawn over it, and that with the points that the
window was cut by (five, or 68) in blue and the 68 that were found in red.

X.obj: all vertices in world space, decimetres: the camera at (0, 0, 10), the face about the origin, which looks at it;
a colour at each, albedo times light, from 0 to 1; all triangles.

X.mat: float32 id (1, 80), exp (1, 64), tex (1, 80), angle (1, 3) radians, gamma (1, 27), trans (1, 3) decimetres: the
published coefficient vector in its parts, with as many numbers as the face model has; lm68 (1, 68, 2): the 68 points in
pixels of the window, x from the left, y down. As published, x is counted from the edge and y from a pixel below it: the
window's corner is (0, -1).
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat

from util.checkpoint import write_whole
from util.crops import ALIGNED_SIZE
from util.mesh import obj_text
from util.pictures import save_picture
from util.prediction import FacePrediction

# What is written of each photo with a face.
DEEP3D_ENDINGS = (".png", ".obj", ".mat")
BLUE, RED = (0, 0, 255), (255, 0, 0)
# How far a point's mark reaches to the left and up, and one less to the right and down, in pixels of 224.
MARK = 2


@dataclass(frozen=True)
class Deep3dFace(FacePrediction):
    """A face of a photo, and what Deep3D says of it.

    window: (S, S, 3) uint8 RGB, what the network looked at; drawn: (S, S, 3) uint8, the face over it
    sought, found: (n, 2) and (68, 2) pixels of the window, from its corner: what it was cut by, and the 68 points
    vertices: (N, 3) decimetres in world space; colors: (N, 3) uint8 RGB, albedo times light
    coefficients: float32 arrays (K,) by their published names
    """

    window: np.ndarray
    drawn: np.ndarray
    sought: np.ndarray
    found: np.ndarray
    vertices: np.ndarray
    colors: np.ndarray
    coefficients: dict[str, np.ndarray]


def write_deep3d(folder: Path, stem: str, face: Deep3dFace) -> list[Path]:
    """Writes the three files into a folder that exists, each whole or not at all. Returns them."""
    picture, mesh, numbers = (folder / f"{stem}{ending}" for ending in DEEP3D_ENDINGS)
    save_picture(picture, panels(face))
    text = obj_text(face.vertices, face.topology.triangles, face.colors)
    write_whole(mesh, lambda file: file.write(text.encode()))
    buffer = io.BytesIO()
    points = np.float32(face.found - [0, 1])
    savemat(buffer, {**{name: row[None] for name, row in face.coefficients.items()}, "lm68": points[None]})
    write_whole(numbers, lambda file: file.write(buffer.getvalue()))
    return [picture, mesh, numbers]


def panels(face: Deep3dFace) -> np.ndarray:
    """(S, 3S, 3) uint8 RGB."""
    marked = face.drawn.copy()
    for points, color in ((face.sought, BLUE), (face.found, RED)):
        mark(marked, points, color)
    return np.concatenate([face.window, face.drawn, marked], axis=1)


def mark(picture: np.ndarray, points: np.ndarray, color: tuple[int, int, int]) -> None:
    """Squares at points (n, 2) of a picture, 4x4 pixels in one of 224 as published, as far as they lie in it."""
    reach = max(1, round(MARK * len(picture) / ALIGNED_SIZE))
    for place in np.floor(points).astype(int):
        columns, rows = (slice(max(0, middle - reach), max(0, middle + reach)) for middle in place)
        picture[rows, columns] = color
