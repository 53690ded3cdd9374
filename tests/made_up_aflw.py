"""AFLW2000-3D and 300W-LP, made up: small photos, and .mat files in their format of faces of a made-up Basel model.

What the labels stand for is computed here by SciPy's rotations, independently of data/aflw.py.
"""

import pickle
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from tests import made_up_threeddfa as threeddfa

SIZE = 96
# Pixels a micrometre: a face of 160 mm is 48 pixels wide.
SCALE = 3e-4
# Not symmetric, as the Basel model's is not: by about as much as vertices are apart.
MEAN = threeddfa.MEAN + np.random.default_rng(3).normal(0, 4e3, threeddfa.MEAN.shape)


class MadeUpFace(NamedTuple):
    """pose (7,), identity (199,) and expression (29,) as in a .mat; verts (200, 3) micrometres; seen (200, 3) Matlab's
    pixels, the centre of the upper left one at (1, 1), y down, z towards the camera."""

    pose: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    verts: np.ndarray
    seen: np.ndarray


def make_face(random: np.random.Generator, yaw: float) -> MadeUpFace:
    angles = np.array([random.normal(0, 0.2), yaw, random.normal(0, 0.1)])
    offset = [SIZE / 2 + random.normal(0, 2), SIZE / 2 + random.normal(0, 2), -30]
    identity, expression = random.normal(0, 1e4, 199), random.normal(0, 1, 29)
    # the model has fewer components than the labels
    verts = MEAN + (threeddfa.IDENTITY @ identity[:40] + threeddfa.EXPRESSION @ expression[:10]).reshape(-1, 3)
    seen = SCALE * Rotation.from_euler("XYZ", -angles).apply(verts) + offset
    seen[:, 1] = SIZE + 1 - seen[:, 1]
    return MadeUpFace(np.array([*angles, *offset, SCALE]), identity, expression, verts, seen)


def write_face(path: Path, face: MadeUpFace, random: np.random.Generator, **points: np.ndarray) -> None:
    """The photo and the .mat of a path without suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = random.integers(0, 80, (SIZE, SIZE, 3), dtype=np.uint8)
    hull = cv2.convexHull(np.float32(face.seen[:, :2] - 1))
    cv2.fillConvexPoly(photo, np.int32(np.rint(hull)), (120, 160, 220))
    cv2.imwrite(f"{path}.jpg", photo)
    columns = {"Shape_Para": face.identity[:, None], "Exp_Para": face.expression[:, None]}
    savemat(f"{path}.mat", {"Pose_Para": face.pose[None], **columns, "roi": np.array([[1, 1, SIZE, SIZE]]), **points})


def write_aflw(folder: Path, count: int = 15) -> dict[str, MadeUpFace]:
    """AFLW2000-3D of so many images, their yaws from -80 to 80 degrees; name -> face."""
    random, faces = np.random.default_rng(0), {}
    for number, yaw in enumerate(np.radians(np.linspace(-80, 80, count)), start=2):
        face = faces[f"image{number:05d}"] = make_face(random, yaw)
        write_face(folder / f"image{number:05d}", face, random, pt3d_68=face.seen[threeddfa.KEYPOINTS].T)
    return faces


def write_300w(folder: Path) -> dict[str, MadeUpFace]:
    """300W-LP of four photos in two views and their mirror images, whose points have no file; folder/name -> face."""
    random, faces = np.random.default_rng(1), {}
    for photo in ("AFW/AFW_134212_1", "AFW/AFW_134212_2", "HELEN/HELEN_100032540_1", "LFPW/LFPW_image_test_0001"):
        for view in range(2):
            for flip in ("", "_Flip"):
                group, name = photo.split("/")
                face = make_face(random, 0.3 * view)
                faces[f"{group}{flip}/{name}_{view}"] = face
                points = face.seen[threeddfa.KEYPOINTS, :2]
                write_face(folder / f"{group}{flip}" / f"{name}_{view}", face, random, pt2d=points.T + 5)
                if not flip:
                    (folder / "landmarks" / group).mkdir(parents=True, exist_ok=True)
                    path = folder / "landmarks" / group / f"{name}_{view}_pts.mat"
                    savemat(path, {"pts_2d": points + 5, "pts_3d": points})
    return faces


def write_face_model(folder: Path) -> Path:
    """bfm_noneck_v3.pkl and tri.pkl, of 200 vertices."""
    path = threeddfa.write_bases(folder)
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(content | {"u": np.float32(MEAN.reshape(-1, 1))}))
    return path
