"""The files that 3DDFA writes for a photo X and each of its faces, in its own formats, and what it does not write.

All are in image points: pixels with centres at whole numbers, y down, z towards the camera in the same unit.

X_<face>.txt          3 rows of 68 numbers: x, y and z of the 68 points
X_<face>.roibox       left, top, right and bottom of the square that was looked at, a line each
X_<face>_crop.jpg     what the network saw, 120x120
X_<face>.ply          the mesh, text; faces count from 0
X_<face>.obj          "v y x z red green blue", colours 0 to 255 of the nearest pixel, vertices moved into the photo;
                      "f a b c", from 1
X_<face>.mat          vertex (3, N) float32
X_<face>_paf.jpg      pose adaptive feature, 192x192; see util.prediction_pictures
X_depth.png           8 bits: 0, the farthest vertex of a face, to 255, its nearest; later faces lie over earlier
X_pncc.png            normalised coordinate code: red, green and blue are x, y and z of the mean face
X_pose.jpg            boxes, without perspective; the large end is before the face
X_3DDFA.jpg           the 68 points
X_overlay.jpg         the lit meshes over the photo, as 3DDFA_V2 draws them
X_pose.json           as step05 writes it for a run (util/prediction_files.py), each face with box, source, confidence
                      and "threeddfa": version, square, parameters, scale (crop pixels to the bases' unit), matrix
                      (3 rows of 4, rotation without scale, and offset), degrees of yaw, pitch and roll

Bases without triangles have no .ply, .obj, .mat, paf, depth, pncc and overlay. Unlike 3DDFA, these draw depth and pncc
of the mesh as it is, not as the .obj has it; take the paf from the crop of the last look, not the first; leave a .ply's
header unindented, as readers want it; and 68 points are drawn at the photo's own size.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

from Sim3DR import coordinate_colors, rasterize
from util.pictures import LIGHT
from util.prediction import FacePrediction
from util.prediction_files import pose_entries, write_file
from util.prediction_pictures import BOX_COLOR, landmarks_picture, paf_anchors, paf_picture
from util.scene import join_faces

DENSE_FILES = "X_<face>.ply, .obj, .mat and _paf.jpg, X_depth.png, X_pncc.png, X_overlay.jpg"
OVERLAY_OPACITY = 0.6
BOX_WIDTH = 2
# Corners of a pose box's square, the first once more, and which of the ten points the other three edges join.
SQUARE = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)])
BOX_EDGES = (1, 6), (2, 7), (3, 8)
# The points of jaw and brows, on which a pose box stands.
OUTLINE = slice(0, 27)


@dataclass(frozen=True)
class ThreeddfaFace(FacePrediction):
    """A face as 3DDFA finds it, and, as any other, in front of the photo's perspective camera.

    version: whose counting of pixels, models.threeddfa.CONVENTIONS; square: (4,) left, top, right, bottom of what was
    looked at; crop: (120, 120, 3) uint8 RGB of it; parameters: (P,) the face's numbers; points: (N, 3) its image
    points; scale, matrix (3, 4), angles (3,) yaw, pitch, roll in radians: its pose as models.threeddfa reads it
    """

    version: str
    square: np.ndarray
    crop: np.ndarray
    parameters: np.ndarray
    points: np.ndarray
    scale: float
    matrix: np.ndarray
    angles: np.ndarray

    @property
    def pixel(self) -> np.ndarray:
        """(2,) sides of a crop's pixel in the photo."""
        return (self.square[2:] - self.square[:2]) / len(self.crop)

    @property
    def points2d(self) -> np.ndarray:
        """(N, 2) pixels of the photo, from its top left corner. A crop's pixel is where its centre is: half of it from
        the corner (of 16 photos and their mirror images, 0.61 +- 0.03)."""
        return self.points[:, :2] + self.pixel / 2

    @property
    def landmarks(self) -> np.ndarray:
        """(68, 3) image points."""
        return self.points[self.topology.keypoints]


def write_threeddfa(folder: Path, stem: str, photo: np.ndarray, faces: list[ThreeddfaFace]) -> list[Path]:
    """Writes the files of a photo (h, w, 3) uint8 RGB into a folder that exists, their names beginning with `stem`;
    those of meshes where the faces have triangles. Returns the files. Raises OSError where one cannot be written."""
    paths = []
    for ending, content in contents(photo, faces):
        paths.append(folder / f"{stem}{ending}")
        write_file(paths[-1], content)
    return paths


def contents(
    photo: np.ndarray, faces: list[ThreeddfaFace]
) -> Iterator[tuple[str, np.ndarray | dict[str, Any] | bytes]]:
    """The ends of the files' names and what goes into them."""
    for index, face in enumerate(faces):
        yield f"_{index}.txt", rows_text(face.landmarks.T)
        yield f"_{index}.roibox", rows_text(face.square[:, None])
        yield f"_{index}_crop.jpg", face.crop
        if len(face.topology.triangles):
            yield f"_{index}.ply", ply_text(face).encode()
            yield f"_{index}.obj", obj_text(photo, face).encode()
            yield f"_{index}.mat", mat_bytes(face)
            yield f"_{index}_paf.jpg", pose_adaptive_feature(face)
    height, width = photo.shape[:2]
    yield "_pose.json", {"image_size": [width, height], "faces": [face_entries(face) for face in faces]}
    yield "_pose.jpg", pose_picture(photo, faces)
    yield "_3DDFA.jpg", points_picture(photo, faces)
    if any(len(face.topology.triangles) for face in faces):
        yield "_depth.png", depth_picture(photo, faces)
        yield "_pncc.png", pncc_picture(photo, faces)
        yield "_overlay.jpg", overlay_picture(photo, faces)


def rows_text(rows: np.ndarray) -> bytes:
    """Numbers (r, c) as text with three decimals."""
    text = io.BytesIO()
    np.savetxt(text, rows, fmt="%.3f")
    return text.getvalue()


def image_triangles(face: ThreeddfaFace) -> np.ndarray:
    """(F, 3) triangles as 3DDFA's files have them: counter-clockwise from outside where y goes down, as in images."""
    return face.topology.triangles[:, [0, 2, 1]]


def ply_text(face: ThreeddfaFace) -> str:
    """The mesh in image points as a .ply."""
    triangles = image_triangles(face)
    header = ["ply", "format ascii 1.0", f"element vertex {len(face.points)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header"]
    lines = [f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in face.points.tolist()]
    lines += [f"3 {a} {b} {c}" for a, b, c in triangles.tolist()]
    return "\n".join([*header, *lines, ""])


def obj_text(photo: np.ndarray, face: ThreeddfaFace) -> str:
    """The mesh in image points as a .obj, with the colours of the photo (h, w, 3) uint8 RGB."""
    height, width = photo.shape[:2]
    inside = np.clip(face.points, [0, 0, -np.inf], [width - 1, height - 1, np.inf])
    column, row = np.rint(inside[:, :2]).astype(int).T
    places, colors = inside[:, [1, 0, 2]].tolist(), photo[row, column].tolist()
    lines = [
        f"v {y:.4f} {x:.4f} {z:.4f} {red} {green} {blue}"
        for (y, x, z), (red, green, blue) in zip(places, colors, strict=True)
    ]
    lines += [f"f {a} {b} {c}" for a, b, c in (image_triangles(face) + 1).tolist()]
    return "\n".join([*lines, ""])


def mat_bytes(face: ThreeddfaFace) -> bytes:
    content = io.BytesIO()
    savemat(content, {"vertex": np.float32(face.points.T)})
    return content.getvalue()


def face_entries(face: ThreeddfaFace) -> dict[str, Any]:
    """What X_pose.json says of a face."""
    return pose_entries(face) | {
        "box": face.box.tolist(),
        "source": face.source,
        "confidence": face.confidence,
        "threeddfa": {
            "version": face.version,
            "square": face.square.tolist(),
            "parameters": face.parameters.tolist(),
            "scale": face.scale,
            "matrix": face.matrix.tolist(),
            "degrees": dict(zip(("yaw", "pitch", "roll"), np.degrees(face.angles).tolist(), strict=True)),
        },
    }


def pose_adaptive_feature(face: ThreeddfaFace) -> np.ndarray:
    """(192, 192, 3) uint8 RGB: the pixels round each anchor of the face; anchors are those of util.prediction_pictures,
    which lie as 3DDFA's, on a cylinder round the head."""
    triangle, weights = paf_anchors(face.topology)
    anchors = (weights[..., None] * face.points[face.topology.triangles[triangle]]).sum(axis=1)
    return paf_picture(face.crop, np.rint((anchors[:, :2] - face.square[:2]) / face.pixel))


def pose_picture(photo: np.ndarray, faces: list[ThreeddfaFace]) -> np.ndarray:
    """A box for each face, turned as it is."""
    picture = photo.copy()
    for face in faces:
        points = pose_box(face).astype(np.int32)
        cv2.polylines(picture, [points], True, BOX_COLOR, BOX_WIDTH, cv2.LINE_AA)
        for start, end in BOX_EDGES:
            cv2.line(picture, points[start].tolist(), points[end].tolist(), BOX_COLOR, BOX_WIDTH, cv2.LINE_AA)
    return picture


def pose_box(face: ThreeddfaFace) -> np.ndarray:
    """(10, 2) image points of the corners of a face's box, rear and front, the first of each once more at its end.

    The rear square's half side is a third of the diagonal of the square round the 68 points, and its middle that of jaw
    and brows; the front one is 4/3 as large, and so far before it.
    """
    points = face.landmarks[:, :2]
    half = np.sqrt(2) * np.ptp(points, axis=0).max() / 3
    front = int(4 / 3 * half)
    sizes = (half, 0), (front, front)
    corners = np.concatenate([np.column_stack([size * SQUARE, [depth] * 5]) for size, depth in sizes])
    turned = (corners @ face.matrix[:2, :3].T) * [1, -1]
    return turned - turned[:4].mean(axis=0) + points[OUTLINE].mean(axis=0)


def points_picture(photo: np.ndarray, faces: list[ThreeddfaFace]) -> np.ndarray:
    """The 68 points of all faces."""
    return landmarks_picture(photo, join_faces(photo, faces), faces)


def depth_picture(photo: np.ndarray, faces: list[ThreeddfaFace]) -> np.ndarray:
    """(h, w) uint8: how near each face is, from its farthest vertex to its nearest."""
    picture = np.zeros(photo.shape[:2], np.uint8)
    for face in faces:
        z = face.points[:, 2]
        nearness = np.float32((z - z.min()) / np.ptp(z))
        picture = rasterize(face.points, face.topology.triangles, nearness, picture)
    return picture


def pncc_picture(photo: np.ndarray, faces: list[ThreeddfaFace]) -> np.ndarray:
    """(h, w, 3) uint8 RGB: where on the mean face each pixel is."""
    picture = np.zeros_like(photo)
    for face in faces:
        picture = rasterize(face.points, face.topology.triangles, coordinate_colors(face.topology.template), picture)
    return picture


def overlay_picture(photo: np.ndarray, faces: list[ThreeddfaFace]) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the lit meshes over the photo."""
    picture = photo
    for face in faces:
        triangles = np.ascontiguousarray(image_triangles(face))
        picture = LIGHT(face.points, triangles, picture, alpha=OVERLAY_OPACITY)
    return picture
