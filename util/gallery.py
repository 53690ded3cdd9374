"""Images picked out of a data set to look at, by how well a model did on them."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from util.mesh import Topology
from util.metrics import MILLIMETRES
from util.pictures import error_map, overlay_mesh

PICTURE_SIDE = 288
JPEG_QUALITY = 85


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
    """One image: index, its place in the data set; kinds, why it was picked; photo, as small as the pictures above;
    verts (N, 3) and R_t (4, 4), the truth; predictions, one a model."""

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


def draw_prediction(
    image: np.ndarray,
    verts: np.ndarray,
    R_t: np.ndarray,
    true_verts: np.ndarray,
    topology: Topology,
    projection: np.ndarray,
    reddest_error: float,
) -> CasePrediction:
    """A prediction with its pictures.

    image: (h, w, 3) uint8 RGB; verts, true_verts: (N, 3) canonical metres; R_t, projection: (4, 4); reddest_error: the
    distance of a vertex from the true one that is drawn red, mm.
    """
    errors = MILLIMETRES * np.linalg.norm(verts - true_verts, axis=1)
    overlay = overlay_mesh(image, verts, R_t, topology.triangles, projection)
    return CasePrediction(
        verts, R_t, shrink(overlay), error_map(errors, topology, reddest_error, "error, mm", PICTURE_SIDE)
    )


def shrink(image: np.ndarray) -> np.ndarray:
    """The image (h, w, 3) uint8, with PICTURE_SIDE pixels at most along its larger side."""
    scale = PICTURE_SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def data_uri(image: np.ndarray) -> str:
    """An image (h, w, 3) uint8 RGB as a JPEG in a data URI."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + b64encode(data.tobytes()).decode()
