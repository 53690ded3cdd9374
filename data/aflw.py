"""AFLW2000-3D and 300W-LP, as they lie on disk: a photo of 450 x 450 pixels and a Matlab file each.

image00002.jpg, image00002.mat                    AFLW2000-3D, all in one folder
{AFW,HELEN,IBUG,LFPW}[_Flip]/<photo>_<k>.jpg, .mat      300W-LP: view k of a photo, and of its mirror image
landmarks/<folder>/<photo>_<k>_pts.mat            300W-LP's 68 points of the 3D faces
resources/                                        what step01 --face_model writes, as in the WCPA layout

A .mat has Pose_Para (1, 7), Shape_Para (199, 1) and Exp_Para (29, 1), numbers of the Basel Face Model as 3DDFA uses it,
which users get themselves, and points: pt3d_68 (3, 68) in AFLW2000-3D, pt2d (2, 68) in 300W-LP.
"""

import hashlib
import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from data.wcpa import BROKEN_ARRAYS, SampleId, WcpaRoot
from util.camera import WCPA_PROJECTION
from util.checkpoint import write_whole
from util.checks import check_array
from util.errors import InputError, told
from util.mat_files import read_mat
from util.mesh import Topology, write_obj
from util.pnp import solve_pnp

# Of 300W-LP; images that lie in the root itself are AFLW2000-3D's.
FOLDERS = tuple(f"{name}{flip}" for name in ("AFW", "HELEN", "IBUG", "LFPW") for flip in ("", "_Flip"))
AFLW = "AFLW2000"
# One photo of so many is kept for the list of test images.
TEST_SHARE = 10
# Both data sets are crops of photos, with faces that were fitted without perspective. The wider the view, the nearer
# the face and the less any pose shows it where the label does: by 3DDFA's 68 points of a mean face, 170 pixels wide,
# an NME of 0.7 to 1.1 % at 20 degrees, where it is 1.1 m away, and of 2.4 to 3.4 % at the 65 degrees of the WCPA data.
FIELD_OF_VIEW = 20.0
# How many broken labels a message lists.
SHOWN = 10
# So many vertices find a face's pose.
POSE_VERTICES = 200
# Matlab has the centre of the first pixel at 1, this project at 0.5.
MATLAB_OFFSET = 0.5


@dataclass(frozen=True)
class FaceModel:
    """mean: (N, 3), identity: (K, N, 3) and expression: (E, N, 3) float32, metres, and metres a coefficient."""

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray

    def verts(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """(N, 3) float32 metres of coefficients (k,) and (e,): of those and of the model's as many as both have."""
        verts = self.mean
        for coefficients, basis in ((identity, self.identity), (expression, self.expression)):
            count = min(len(coefficients), len(basis))
            verts = verts + np.tensordot(np.float32(coefficients[:count]), basis[:count], 1)
        return verts


class Parameters(NamedTuple):
    """What a .mat says of a face: pose (7,), pitch, yaw and roll in radians, x, y, z in pixels and pixels a micrometre;
    identity (199,) and expression (29,) coefficients."""

    pose: np.ndarray
    identity: np.ndarray
    expression: np.ndarray


class PointLabel(NamedTuple):
    """An image by which 68 points are scored. points: (68, 3) or (68, 2), see AflwRoot.read_points; yaw_deg: as
    labelled, beyond 180 in some of AFLW2000-3D."""

    sample: SampleId
    points: np.ndarray
    yaw_deg: float


class AflwRoot(WcpaRoot):
    """Reads a folder of AFLW2000-3D or 300W-LP as a data root; see WcpaRoot.

    A sample's subject is its photo: in 300W-LP without the number of the view and whether it is mirrored, so that all
    that was made of one photo stays in one fold; each face counts as a person of its own. Its action is "AFLW2000" or
    the folder. There are no lists: images come by their names, and every tenth photo is kept for the "test" list.
    topology, projection and labels need resources/.
    """

    symmetric = False

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"data root {self.root}: no such folder")

    def all_samples(self) -> list[SampleId]:
        """All that has an image or a .mat. Raises InputError where there is none, or of both data sets."""
        places = [(self.root, AFLW), *((self.root / folder, folder) for folder in FOLDERS)]
        samples = []
        for folder, action in places:
            found = folder.iterdir() if folder.is_dir() else ()
            names = sorted({path.stem for path in found if path.suffix in (".jpg", ".mat")})
            view = "" if action == AFLW else r"_\d+$"
            samples += [SampleId(re.sub(view, "", name), action, name) for name in names]
        # their points are not alike
        if len({sample.action == AFLW for sample in samples}) != 1:
            wanted = f"AFLW2000-3D's images, or 300W-LP's folders {', '.join(FOLDERS[::2])}"
            raise InputError(f"data root {self.root}: wanted {wanted}, got {'both' if samples else 'neither'}")
        return samples

    def samples(self, split: str) -> list[SampleId]:
        samples = self.all_samples()
        test = set(sorted({sample.subject for sample in samples})[::TEST_SHARE])
        return [sample for sample in samples if (sample.subject in test) == (split == "test")]

    def topology(self) -> Topology:
        self.check_resources()
        return super().topology()

    def projection(self) -> np.ndarray:
        self.check_resources()
        return super().projection()

    def check_resources(self) -> None:
        """Raises FileNotFoundError where no face model has been given."""
        if not (self.root / "resources" / "face_model.npz").is_file():
            wanted = (
                "labels are those of the Basel Face Model; run step01_preparation.py --dataset aflw2000 --face_model"
            )
            raise FileNotFoundError(f"data root {self.root}: no resources/face_model.npz: {wanted}")

    def fingerprint(self) -> str:
        """A digest of the names, the topology files and the first .mat."""
        samples, resources = self.all_samples(), self.root / "resources"
        digest = hashlib.sha256(repr(samples).encode())
        names = "example.obj", "kpt_ind.npy", "projection_matrix.txt"
        for path in [*(resources / name for name in names), self.label_path(samples[0])]:
            digest.update(path.read_bytes() if path.exists() else b"absent")
        return digest.hexdigest()

    def image_path(self, sample: SampleId) -> Path:
        return self.folder(sample) / f"{sample.image}.jpg"

    def label_path(self, sample: SampleId) -> Path:
        return self.folder(sample) / f"{sample.image}.mat"

    def landmarks_path(self, sample: SampleId) -> Path:
        """Where the points are: 300W-LP's file of them, where there is one, or the .mat."""
        points = self.root / "landmarks" / sample.action / f"{sample.image}_pts.mat"
        return points if points.is_file() else self.label_path(sample)

    def folder(self, sample: SampleId) -> Path:
        return self.root if sample.action == AFLW else self.root / sample.action

    def read_points(self, sample: SampleId) -> np.ndarray:
        """(68, 3) float64 points, pixels from the top left corner, y down, and z of the same unit towards the camera;
        300W-LP's are (68, 2): those of the 3D face, or, where that file is missing, pt2d, whose outline is the seen."""
        path = self.landmarks_path(sample)
        if sample.action == AFLW:
            points = checked_array(path, "pt3d_68", (3, 68)).T
        elif path == self.label_path(sample):
            points = checked_array(path, "pt2d", (2, 68)).T
        else:
            points = checked_array(path, "pts_3d", (68, 2))
        points = points.astype(np.float64)
        points[:, :2] -= MATLAB_OFFSET
        return points

    def read_landmarks(self, sample: SampleId) -> np.ndarray:
        return self.read_points(sample)[:, :2].astype(np.float32)

    def read_parameters(self, sample: SampleId) -> Parameters:
        path = self.label_path(sample)
        shapes = {"Pose_Para": (1, 7), "Shape_Para": (None, 1), "Exp_Para": (None, 1)}
        parameters = Parameters(*(checked_array(path, name, shape).ravel() for name, shape in shapes.items()))
        if not parameters.pose[6] > 0:
            raise InputError(f"{path}: Pose_Para: wanted a scale above 0, got {parameters.pose[6]:g}")
        return parameters

    def read_label(self, sample: SampleId, num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
        """verts (N, 3) and R_t (4, 4), float32. The pose is the one under which the camera of resources/ sees the face
        nearest to where the label's scaled orthography has it, in least squares over some of the vertices."""
        self.check_resources()
        path = self.root / "resources" / "face_model.npz"
        pose, *coefficients = self.read_parameters(sample)
        model = read_face_model(path, path.stat().st_mtime_ns)
        if len(model.mean) != num_vertices:
            raise InputError(f"{path}: wanted {num_vertices} vertices, got {len(model.mean)}")
        verts = model.verts(*coefficients)
        height, width = self.read_image(sample).shape[:2]
        some = verts[:: max(1, num_vertices // POSE_VERTICES)].astype(np.float64)
        seen = orthographic_points(some, pose, height)[:, :2]
        arrays = (torch.from_numpy(array) for array in (some[None], seen[None], self.projection()))
        return verts, solve_pnp(*arrays, width, height)[0].numpy().astype(np.float32)


def read_point_labels(root: AflwRoot) -> list[PointLabel]:
    """The points and yaws of all images. Raises InputError that lists those that have none: a benchmark's figures are
    those of all of its images."""
    labels, broken = [], []
    for sample in tqdm(root.all_samples(), desc="labels", unit="image", leave=False):
        try:
            points, parameters = root.read_points(sample), root.read_parameters(sample)
        except (InputError, OSError) as error:
            broken.append(told(error))
            continue
        if (np.ptp(points[:, :2], axis=0) == 0).any():
            broken.append(f"{root.landmarks_path(sample)}: wanted a face, got 68 points on one line")
            continue
        labels.append(PointLabel(sample, points, float(np.degrees(parameters.pose[1]))))
    if broken:
        lines = "\n  ".join(broken[:SHOWN])
        raise InputError(f"data root {root.root}: {len(broken)} labels are bad, the first of them:\n  {lines}")
    return labels


def orthographic_points(verts: np.ndarray, pose: np.ndarray, height: int) -> np.ndarray:
    """(N, 3) where 3DDFA's Matlab code puts verts (N, 3), metres, in an image of that height: pixels from the top left
    corner, y down, z towards the camera. pose: (7,) as in Parameters.

    In its own coordinates a point is scale * R @ vertex + offset, R = Rx @ Ry @ Rz of the angles, each turning the
    other way than is usual; x from the left and y from the bottom. Its row is height + 1 - y, counted from 1.
    """
    pitch, yaw, roll = pose[:3]
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(angle), np.sin(angle)) for angle in (pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    micrometres = 1e6 * verts.astype(np.float64)
    points = pose[6] * micrometres @ (about_x @ about_y @ about_z).T + pose[3:6]
    points[:, 1] = height + 1 - points[:, 1]
    points[:, :2] -= MATLAB_OFFSET
    return points


def checked_array(path: Path, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of a .mat. Raises FileNotFoundError, or InputError that names the file and the array."""
    try:
        return check_array(name, read_mat(path, (name,))[name], shape)
    except TypeError as error:
        raise InputError(f"{path}: {error}") from None
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from None


@lru_cache(maxsize=1)
def read_face_model(path: Path, changed: int) -> FaceModel:
    """What `write_resources` wrote; read once by each process, as it is large. changed: when the file was."""
    try:
        # NumPy leaves a file open that turns out to be cut short
        with open(path, "rb") as file, np.load(file) as arrays:
            return FaceModel(*(arrays[field.name] for field in fields(FaceModel)))
    except BROKEN_ARRAYS as error:
        raise InputError(f"{path}: wanted a file of step01 --face_model ({error})") from None


def write_resources(root: Path, model: FaceModel, triangles: np.ndarray, keypoints: np.ndarray) -> None:
    """Writes <root>/resources/: example.obj, kpt_ind.npy, projection_matrix.txt and, when these are there,
    face_model.npz. triangles: (F, 3), counter-clockwise seen from outside; keypoints: (68,) vertices, iBUG order."""
    folder = root / "resources"
    folder.mkdir(exist_ok=True)
    (folder / "face_model.npz").unlink(missing_ok=True)
    write_obj(folder / "example.obj", model.mean, triangles)
    np.save(folder / "kpt_ind.npy", keypoints)
    projection = WCPA_PROJECTION.copy()
    projection[[0, 1], [0, 1]] = 1 / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    np.savetxt(folder / "projection_matrix.txt", projection)
    write_whole(folder / "face_model.npz", lambda file: np.savez(file, **vars(model)))
