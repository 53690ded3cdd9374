"""The files that are written for a photo X and what was predicted in it.

What shows the whole photo is X_<what>, what belongs to one face X_<face>... with the face's number, from 0, also where
there is but one. So neither the faces of a photo nor two photos of one folder ever write the same file. Each file is
written whole or not at all.

X_landmarks.txt: a line a point, 68 a face, faces apart by a comment: x y z, x and y in pixels from the photo's top left
corner, y down, z the distance from the camera along the view direction in metres.

X_pose.json: {"image_size": [width, height], "faces": [a face, ...]}, of each face
    R_t                  4 rows of 4, the pose in row-vector form: camera = [verts, 1] @ R_t, metres
    euler_degrees        {"pitch", "yaw", "roll"}, see util.pose
    translation_mm       [x, y, z] in camera space: to the right, up, and less than 0 before the camera
    projection           4 rows of 4, the photo's M_proj, see util.camera
    focal_length_px      [horizontal, vertical]
    principal_point_px   [x, y] from the top left corner
X_faces.json: the same with
    box                  [left, top, right, bottom] of the 68 points that the last windows were cut from, pixels
    source, confidence   where the first box came from; 0..1
    landmarks            68 rows of x, y, z as in X_landmarks.txt

X_<face>_landmarks3d.txt: the 68 points of the mesh files, x y z in metres in their frame, as util.scan_metrics reads
them.

X_<face>.0.obj, .1.obj, ...: the meshes on the way to the face's, where its method deforms a template: before and after
each block of the last look, in metres in the frame of the other meshes; X_<face>_deformation.gif: all of them side by
side, turning. Where photos are fused, the face's own mesh is another one than the last of these.

X_<face>.npz and .mat: verts (N, 3) canonical metres, camera_verts (N, 3) metres, R_t, projection (4, 4), euler_degrees
(3,) pitch, yaw, roll, translation_mm (3,), triangles (F, 3), keypoints (68,), points (N, 3) and landmarks (68, 3) with
x, y, z as above, uv (N, 2) with v up, colors (N, 3) uint8 RGB, seen (N,) whether the photo shows the vertex, image_size
(2,) width, height, box (4,), source, confidence. In .npz triangles and keypoints count from 0, in .mat from 1, as
MATLAB does.

A point with z <= 0 is behind the camera: its x and y mean nothing.
"""

import csv
import io
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from util.camera import project, transform
from util.checkpoint import write_whole
from util.deformation_pictures import gif_bytes, turning_pictures
from util.errors import InputError
from util.mesh import obj_text
from util.mesh_files import glb_bytes, ply_bytes
from util.pictures import save_picture
from util.pose import pose_to_6dof
from util.prediction import FacePrediction
from util.prediction_pictures import (
    colored_depth,
    depth_map,
    landmarks_picture,
    normals_picture,
    overlay_picture,
    pncc_picture,
    pose_adaptive_feature,
    pose_picture,
)
from util.report import write_json
from util.scene import Scene, join_faces
from util.textures import Texture, face_texture, vertex_colors

FRAMES = ("camera", "canonical")
POSE_COLUMNS = ("pitch_deg", "yaw_deg", "roll_deg", "tx_mm", "ty_mm", "tz_mm")
Contents = Iterator[tuple[str, np.ndarray | dict[str, Any] | bytes]]


class Prediction:
    """What is to be written about a photo; what several files need is made once.

    photo: (h, w, 3) uint8 RGB; faces: those predicted in it, all of one topology; uv: (N, 2) chart of that topology;
    frame: of the mesh files, "camera" or "canonical", both metres; texture_size: in texels.
    """

    def __init__(self, photo: np.ndarray, faces: list[FacePrediction], uv: np.ndarray, frame: str, texture_size: int):
        if frame not in FRAMES:
            raise InputError(f"frame: wanted {' or '.join(FRAMES)}, got {frame}")
        self.photo, self.faces, self.uv, self.frame, self.texture_size = photo, faces, uv, frame, texture_size

    @cached_property
    def scene(self) -> Scene:
        return join_faces(self.photo, self.faces)

    @cached_property
    def colors(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return vertex_colors(self.photo, self.scene, self.faces)

    @cached_property
    def textures(self) -> list[Texture]:
        return [
            face_texture(self.photo, self.scene, self.faces, index, self.uv, self.texture_size)
            for index in range(len(self.faces))
        ]

    def vertices(self, face: FacePrediction) -> np.ndarray:
        return self.placed(face.verts, face)

    def placed(self, verts: np.ndarray, face: FacePrediction) -> np.ndarray:
        """Canonical vertices (n, 3) of a face, in the frame."""
        return transform(verts, face.R_t) if self.frame == "camera" else verts


def write_prediction(folder: Path, stem: str, prediction: Prediction, wants: set[str]) -> list[Path]:
    """Writes what is wanted (names of MAKERS) into a folder that exists, each file's name beginning with `stem`.

    Returns the files. Raises InputError where a face is of a photo of another size, OSError where a file cannot be
    written.
    """
    paths = []
    for name in [name for name in MAKERS if name in wants]:
        for ending, content in MAKERS[name](prediction):
            paths.append(folder / f"{stem}{ending}")
            write_file(paths[-1], content)
    return paths


def write_file(path: Path, content: np.ndarray | dict[str, Any] | bytes) -> None:
    """Writes a picture, JSON or bytes."""
    if isinstance(content, np.ndarray):
        save_picture(path, content)
    elif isinstance(content, dict):
        write_json(path, content)
    else:
        write_whole(path, lambda file: file.write(content))


def _overlay(work: Prediction) -> Contents:
    yield "_overlay.jpg", overlay_picture(work.photo, work.scene, work.faces)


def _landmarks(work: Prediction) -> Contents:
    lines = ["# 68 points a face: x y (pixels from the top left corner, y down) z (metres from the camera)"]
    for index, face in enumerate(work.faces):
        lines.append(f"# face {index}")
        lines += [f"{x:.3f} {y:.3f} {z:.6f}" for x, y, z in _image_points(face)[face.topology.keypoints]]
    yield "_landmarks.txt", ("\n".join(lines) + "\n").encode()
    yield "_landmarks.jpg", landmarks_picture(work.photo, work.scene, work.faces)


def _pose(work: Prediction) -> Contents:
    yield "_pose.json", _listed(work, pose_entries)
    yield "_pose.jpg", pose_picture(work.photo, work.faces)


def _faces(work: Prediction) -> Contents:
    yield "_faces.json", _listed(work, _face_entries)


def _listed(work: Prediction, entries: Callable[[FacePrediction], dict[str, Any]]) -> dict[str, Any]:
    height, width = work.photo.shape[:2]
    return {"image_size": [width, height], "faces": [entries(face) for face in work.faces]}


def pose_entries(face: FacePrediction) -> dict[str, Any]:
    """What X_pose.json says of a face."""
    half = np.array(face.image_size) / 2
    angles, translation = _pose_numbers(face)
    return {
        "R_t": face.R_t.tolist(),
        "euler_degrees": dict(zip(("pitch", "yaw", "roll"), angles.tolist(), strict=True)),
        "translation_mm": translation.tolist(),
        "projection": face.projection.tolist(),
        "focal_length_px": (face.projection.diagonal()[:2] * half).tolist(),
        "principal_point_px": (half + face.projection[2, :2] * [-1, 1] * half).tolist(),
    }


def _face_entries(face: FacePrediction) -> dict[str, Any]:
    return pose_entries(face) | {
        "box": np.asarray(face.box).tolist(),
        "source": face.source,
        "confidence": float(face.confidence),
        "landmarks": _image_points(face)[face.topology.keypoints].tolist(),
    }


def _pose_numbers(face: FacePrediction) -> tuple[np.ndarray, np.ndarray]:
    """Pitch, yaw, roll in degrees, and the translation in millimetres."""
    six = pose_to_6dof(face.R_t)
    return np.degrees(six[:3]), 1000 * six[3:]


def _image_points(face: FacePrediction) -> np.ndarray:
    """(N, 3) x and y in pixels, distance in metres."""
    pixels, distance = project(face.camera_verts, face.projection, *face.image_size)
    return np.column_stack([pixels, distance])


def _depth(work: Prediction) -> Contents:
    depth = depth_map(work.photo, work.scene)
    yield "_depth.png", depth
    yield "_depth_colors.jpg", colored_depth(depth)


def _normal(work: Prediction) -> Contents:
    yield "_normal.png", normals_picture(work.photo, work.scene, work.faces)


def _pncc(work: Prediction) -> Contents:
    yield "_pncc.png", pncc_picture(work.photo, work.scene, work.faces)


def _mesh(work: Prediction) -> Contents:
    for index, (face, (colors, _)) in enumerate(zip(work.faces, work.colors, strict=True)):
        vertices, triangles = work.vertices(face), face.topology.triangles
        yield f"_{index}.obj", obj_text(vertices, triangles, colors).encode()
        yield f"_{index}.ply", ply_bytes(vertices, triangles, colors)
        rows = [f"{x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices[face.topology.keypoints]]
        yield f"_{index}_landmarks3d.txt", "".join(rows).encode()


def _glb(work: Prediction) -> Contents:
    for index, (face, texture) in enumerate(zip(work.faces, work.textures, strict=True)):
        yield f"_{index}.glb", glb_bytes(work.vertices(face), face.topology.triangles, work.uv, texture.texels)


def _uv_texture(work: Prediction) -> Contents:
    for index, texture in enumerate(work.textures):
        yield f"_{index}_uv_texture.png", texture.texels
        yield f"_{index}_uv_seen.png", texture.seen.astype(np.uint8) * 255


def _paf(work: Prediction) -> Contents:
    for index, face in enumerate(work.faces):
        yield f"_{index}_paf.png", pose_adaptive_feature(work.photo, face)


def _deformation(work: Prediction) -> Contents:
    for index, face in enumerate(work.faces):
        if not face.deformation:
            raise InputError(f"face {index}: wanted one with the meshes on the way to it (deformation), got none")
        for stage, (verts, triangles) in enumerate(face.deformation):
            yield f"_{index}.{stage}.obj", obj_text(work.placed(verts, face), triangles).encode()
        yield f"_{index}_deformation.gif", gif_bytes(turning_pictures(face.deformation))


def _npz(work: Prediction) -> Contents:
    for index in range(len(work.faces)):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **_arrays(work, index))
        yield f"_{index}.npz", buffer.getvalue()


def _mat(work: Prediction) -> Contents:
    for index in range(len(work.faces)):
        arrays, buffer = _arrays(work, index), io.BytesIO()
        savemat(
            buffer,
            arrays | {"triangles": arrays["triangles"] + 1, "keypoints": arrays["keypoints"] + 1},
            do_compression=True,
            oned_as="column",
        )
        yield f"_{index}.mat", buffer.getvalue()


def _arrays(work: Prediction, index: int) -> dict[str, Any]:
    face, (colors, seen) = work.faces[index], work.colors[index]
    points = _image_points(face)
    angles, translation = _pose_numbers(face)
    return {
        "verts": face.verts,
        "camera_verts": face.camera_verts.astype(np.float32),
        "R_t": face.R_t,
        "projection": face.projection,
        "euler_degrees": angles,
        "translation_mm": translation,
        "triangles": face.topology.triangles,
        "keypoints": face.topology.keypoints,
        "points": points,
        "landmarks": points[face.topology.keypoints],
        "uv": work.uv,
        "colors": colors,
        "seen": seen,
        "image_size": np.array(face.image_size),
        "box": face.box,
        "source": face.source,
        "confidence": face.confidence,
    }


# What can be wanted (options/predict_options.py says it): each makes the ends of files' names and what goes into them.
MAKERS: dict[str, Callable[[Prediction], Contents]] = {
    "overlay": _overlay,
    "mesh": _mesh,
    "landmarks": _landmarks,
    "pose": _pose,
    "depth": _depth,
    "normal": _normal,
    "pncc": _pncc,
    "paf": _paf,
    "uv_texture": _uv_texture,
    "glb": _glb,
    "json": _faces,
    "npz": _npz,
    "mat": _mat,
    "deformation": _deformation,
}


def write_faces_table(path: Path, photos: list[tuple[Path, list[FacePrediction]]]) -> None:
    """A csv with a row a face: its photo and number, where it came from, its box in pixels, and its pose."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["photo", "face", "source", "confidence", "left", "top", "right", "bottom", *POSE_COLUMNS])
    for photo, faces in photos:
        for index, face in enumerate(faces):
            angles, translation = _pose_numbers(face)
            numbers = [face.confidence, *face.box, *angles, *translation]
            writer.writerow([photo, index, face.source, *(f"{number:.6g}" for number in numbers)])
    # names of files need not be text
    write_whole(path, lambda file: file.write(text.getvalue().encode(errors="surrogateescape")))
