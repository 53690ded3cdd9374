"""Images picked out of a data set to look at, by how well a model did on them."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from util.camera import project, transform
from util.mesh import Topology
from util.metrics import MILLIMETRES
from util.pictures import error_map, overlay_mesh

PICTURE_SIDE = 256
# How much of the photo is shown, in larger sides of the face.
VIEW = 1.8
JPEG_QUALITY = 80


@dataclass(frozen=True)
class CasePrediction:
    """What a model makes of a case: verts (N, 3) canonical metres, R_t (4, 4); overlay and error_map, uint8 RGB of
    PICTURE_SIDE pixels at most: the mesh over the photo, and the errors of its vertices."""

    verts: np.ndarray
    R_t: np.ndarray
    overlay: np.ndarray
    error_map: np.ndarray


@dataclass(frozen=True)
class Case:
    """One image: index, its place in the data set; kinds, why it was picked; photo, uint8 RGB as small as the pictures
    above; verts (N, 3) and R_t (4, 4), the truth; predictions, one a model."""

    index: int
    kinds: Sequence[str]
    photo: np.ndarray
    verts: np.ndarray
    R_t: np.ndarray
    predictions: Sequence[CasePrediction]


def choose_cases(scores: np.ndarray, actions: Sequence[str], each: int = 4) -> dict[int, list[str]]:
    """Which images to show, and why: index -> its kinds, the best ones first.

    scores: (B,), lower is better; actions: of each image. Kinds are "best", "median" and "worst", `each` of them where
    there are so many images, and "worst of its action", one for each action. An image may be of several kinds.
    """
    order = np.argsort(scores, kind="stable").tolist()
    each = min(each, len(order))
    middle = (len(order) - each) // 2
    last_of_action = {actions[index]: index for index in order}
    picked = [(index, "best") for index in order[:each]]
    picked += [(index, "median") for index in order[middle : middle + each]]
    picked += [(index, "worst") for index in order[::-1][:each]]
    picked += [(last_of_action[action], "worst of its action") for action in sorted(last_of_action)]
    cases: dict[int, list[str]] = {}
    for index, kind in picked:
        cases.setdefault(index, []).append(kind)
    return cases


def draw_case(
    index: int,
    kinds: Sequence[str],
    image: np.ndarray,
    truth: tuple[np.ndarray, np.ndarray],
    predictions: Sequence[tuple[np.ndarray, np.ndarray]],
    topology: Topology,
    projection: np.ndarray,
    reddest_error: float,
) -> Case:
    """A case with its pictures, which show the part of the photo around the true face.

    image: (h, w, 3) uint8 RGB; truth, predictions: verts (N, 3) canonical metres and R_t (4, 4); projection: (4, 4);
    reddest_error: the distance of a vertex from the true one that is drawn red, mm.
    """
    verts, R_t = truth
    view = face_view(verts, R_t, projection, image.shape[1], image.shape[0])
    drawn = []
    for mesh, pose in predictions:
        errors = MILLIMETRES * np.linalg.norm(mesh - verts, axis=1)
        overlay = shrink(overlay_mesh(image, mesh, pose, topology.triangles, projection)[view])
        drawn.append(CasePrediction(mesh, pose, overlay, shrink(error_map(errors, topology, reddest_error, ""))))
    return Case(index, kinds, shrink(image[view]), verts, R_t, drawn)


def face_view(
    verts: np.ndarray, R_t: np.ndarray, projection: np.ndarray, width: int, height: int
) -> tuple[slice, slice]:
    """The rows and columns of the square part of an image around a mesh, moved and shrunk to lie within the image."""
    points, _ = project(transform(verts, R_t), projection, width, height)
    low, high = points.min(axis=0), points.max(axis=0)
    side = int(np.clip(VIEW * (high - low).max(), 1, min(width, height)))
    left, top = np.clip((low + high - side) / 2, 0, [width - side, height - side]).astype(int).tolist()
    return slice(top, top + side), slice(left, left + side)


def shrink(image: np.ndarray) -> np.ndarray:
    """The square image (s, s, 3) uint8, of PICTURE_SIDE pixels at most."""
    side = min(len(image), PICTURE_SIDE)
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def data_uri(image: np.ndarray) -> str:
    """An image (h, w, 3) uint8 RGB as a JPEG in a data URI."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + b64encode(data.tobytes()).decode()
