"""Finding the faces of a photo. Boxes are what the windows are cut from: the tight box of the 68 points.

Detectors' own boxes are other boxes, so that each is turned into an estimate of that one. Coordinates are pixels from
the photo's top left corner, y down; pixel i covers [i, i + 1).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from util.alignment import five_points
from util.boxes import box_areas, common_areas, overlaps
from util.checks import check_array
from util.errors import InputError

# Photos are shrunk for detection until their longer side has so many pixels.
HAAR_SIDE = 1024
YUNET_SIDE = 640
# The smallest window that the cascades are shown, in pixels of the shrunk photo: 68 points some 38 pixels wide.
SMALLEST_WINDOW = 48
SCALE_STEP = 1.1
# The cascades' windows are larger than a face: where none is found, it may be because a face fills the photo, so that
# another look is taken with the edges drawn out by this share of the longer side.
MARGIN = 0.2
# Detections of one cascade that fall together before they count at all.
FEWEST_NEIGHBOURS = 2
# How much of two boxes' union both must cover to be the same face, and how much of the smaller one a surer one must
# cover to make it a part of that face.
SAME_FACE, PART_OF_FACE = 0.3, 0.6
# What YuNet takes for a face, and how much of two boxes' union both cover when they are the same face.
YUNET_SCORE, YUNET_OVERLAP = 0.6, 0.3


class Detection(NamedTuple):
    """A face that was found.

    box: (4,) float64 left, top, right, bottom, the estimated tight box of its 68 points; score: higher is surer, on a
    scale of the detector's own; points: (5, 2) float64 the eye to the left in the image, the other, the nose tip, the
    left and the right corner of the mouth, or None.
    """

    box: np.ndarray
    score: float
    points: np.ndarray | None = None


class Detector(Protocol):
    def detect(self, pixels: np.ndarray) -> list[Detection]:
        """The faces of a photo (h, w, 3) uint8 RGB, the largest first."""


class Cascade(NamedTuple):
    """One of OpenCV's cascades, and where the tight box lies in the windows that it finds.

    turned: 0 for frontal faces, 1 for profiles that look to the left of the image, -1 for those that look to the right,
    which are found in the mirrored picture; weight: of its scores beside the others'; down: how far the box's centre
    lies below the window's, size: width and height of the box, both in sides of the window.
    """

    name: str
    turned: int
    weight: float
    down: float
    size: tuple[float, float]


# Fitted to 240 images of scan-based heads and 300 of the generator's, at 400 pixels: medians over the windows that
# take part in a face that is found. Of the final boxes, 19 in 20 have their centre within 0.13 sides of the true one's
# and nine in ten are 0.85 to 1.16 times as large.
CASCADES = (
    Cascade("frontalface_alt2", 0, 1.0, 0.143, (0.782, 0.828)),
    Cascade("frontalface_default", 0, 0.7, 0.140, (0.765, 0.803)),
    Cascade("profileface", 1, 1.0, 0.150, (0.668, 0.723)),
    Cascade("profileface", -1, 1.0, 0.150, (0.668, 0.723)),
)
# How far the box's centre lies towards the ear where only a profile is seen, in sides of the box; fitted to the same.
TURNED_SHIFT = 0.074
# The scan-based images, at 800 pixels, have 0.03 false faces each above it, 200 others of the generator's none; on 18
# real photos the faces score 7.8 to 25 and the only false one 4.0.
LOWEST_SCORE = 4.5


class HaarDetector:
    """OpenCV's cascades, which come with its package: two for frontal faces, one for profiles, shown the picture and
    its mirror image. None is right alone; what they say is added up."""

    def __init__(self):
        files = {name: f"{cv2.data.haarcascades}haarcascade_{name}.xml" for name in {one.name for one in CASCADES}}
        self.classifiers = {name: cv2.CascadeClassifier(file) for name, file in files.items()}
        for name, classifier in self.classifiers.items():
            if classifier.empty():
                raise FileNotFoundError(f"{files[name]}: OpenCV has no such cascade")

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        """The faces of a photo (h, w, 3) uint8 RGB, the largest first, without points. Faces stand upright and are
        turned by no more than a profile."""
        small = cv2.cvtColor(shrink(pixels, HAAR_SIDE), cv2.COLOR_RGB2GRAY)
        margin = round(MARGIN * max(small.shape))
        faces = self.search(small)
        if not faces:
            drawn_out = cv2.copyMakeBorder(small, *[margin] * 4, cv2.BORDER_REPLICATE)
            faces = [face._replace(box=face.box - margin) for face in self.search(drawn_out)]
        scale = np.tile([pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]], 2)
        return largest_first([face._replace(box=face.box * scale) for face in faces])

    def search(self, grey: np.ndarray) -> list[Detection]:
        """The faces of a picture (h, w) uint8, in its pixels."""
        found = [self.ask(cascade, grey) for cascade in CASCADES]
        boxes, scores, sources = (np.concatenate(column) for column in zip(*found, strict=True))
        faces = [merge(boxes[same], scores[same], sources[same]) for same in groups(boxes, scores)]
        return leave_out_parts([face for face in faces if face.score >= LOWEST_SCORE])

    def ask(self, cascade: Cascade, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, 4) estimated boxes in pixels of the grey picture (h, w) uint8, (n,) scores, (n,) the cascade's place."""
        picture = np.ascontiguousarray(grey[:, ::-1]) if cascade.turned < 0 else grey
        windows, neighbours = self.classifiers[cascade.name].detectMultiScale2(
            picture, SCALE_STEP, FEWEST_NEIGHBOURS, minSize=(SMALLEST_WINDOW, SMALLEST_WINDOW)
        )
        windows = np.array(windows, np.float64).reshape(-1, 4)
        if cascade.turned < 0:
            windows[:, 0] = grey.shape[1] - windows[:, 0] - windows[:, 2]
        centers = windows[:, :2] + windows[:, 2:] * [0.5, 0.5 + cascade.down]
        halves = windows[:, 2:] * cascade.size / 2
        # The root lets two cascades that see a face a little count for more than one that sees it well.
        scores = cascade.weight * np.sqrt(np.array(neighbours, np.float64).ravel())
        return np.hstack([centers - halves, centers + halves]), scores, np.full(len(windows), CASCADES.index(cascade))


def groups(boxes: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """(n,) bool masks of the boxes (n, 4) that show the same face: the surest and what overlaps it, and so on."""
    found, left = [], np.ones(len(boxes), bool)
    while left.any():
        surest = np.argmax(np.where(left, scores, -np.inf))
        found.append(left & (overlaps(boxes[surest], boxes) > SAME_FACE))
        left &= ~found[-1]
    return found


def merge(boxes: np.ndarray, scores: np.ndarray, sources: np.ndarray) -> Detection:
    """One face of the boxes (n, 4) that show it: their weighted mean, moved as far as it is turned, and the sum of each
    cascade's highest score (n,). sources: (n,) the cascades' places."""
    highest = {source: scores[sources == source].max() for source in set(sources.tolist())}
    score = sum(highest.values())
    turned = sum(CASCADES[source].turned * one for source, one in highest.items()) / score
    box = np.average(boxes, axis=0, weights=scores)
    box[[0, 2]] += TURNED_SHIFT * turned * (box[2:] - box[:2]).max()
    return Detection(box, float(score))


def leave_out_parts(faces: list[Detection]) -> list[Detection]:
    """The faces without those that are mostly part of a surer one, or hold it."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        surer = np.array([other.box for other in kept]).reshape(-1, 4)
        smaller = np.minimum(box_areas(surer), box_areas(face.box[None]))
        if not (common_areas(face.box, surer) > PART_OF_FACE * smaller).any():
            kept.append(face)
    return kept


def largest_first(detections: list[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda one: -box_areas(one.box[None])[0])


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture, by averaging areas, no longer than `side` pixels."""
    factor = side / max(pixels.shape[:2])
    if factor >= 1.0:
        return pixels
    height, width = (max(1, round(factor * length)) for length in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


class YuNetDetector:
    """The small network of OpenCV's FaceDetectorYN, from a model file of the user's (face_detection_yunet_*.onnx of
    OpenCV's model zoo). Its own boxes are not used: the five points that it finds say where the 68 are.

    mean_points: (68, 3) the 68 points of a mean face. Raises FileNotFoundError, or InputError where the file is no such
    model.
    """

    def __init__(self, path: str | Path, mean_points: np.ndarray):
        self.path, self.mean_points = Path(path), mean_points
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such file (wanted YuNet's model, face_detection_yunet_*.onnx)")
        try:
            with quiet_opencv():
                self.network = cv2.FaceDetectorYN.create(
                    str(path), "", (YUNET_SIDE, YUNET_SIDE), YUNET_SCORE, YUNET_OVERLAP
                )
        except cv2.error:
            raise self.no_such_model() from None

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        """The faces of a photo (h, w, 3) uint8 RGB, the largest first, with their five points."""
        small = shrink(pixels, YUNET_SIDE)
        height, width = small.shape[:2]
        self.network.setInputSize((width, height))
        try:
            with quiet_opencv():
                _, rows = self.network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        except cv2.error:
            raise self.no_such_model() from None
        scale = np.array([pixels.shape[1] / width, pixels.shape[0] / height])
        return parse_yunet(rows, scale, self.mean_points)

    def no_such_model(self) -> InputError:
        return InputError(f"{self.path}: wanted YuNet's model, face_detection_yunet_*.onnx, got something else")


def parse_yunet(rows: np.ndarray | None, scale: np.ndarray, mean_points: np.ndarray) -> list[Detection]:
    """The faces, the largest first, in what FaceDetectorYN finds: None, or (k, 15) with left, top, width, height, the
    five points (the eye to the left in the image first) and the score, in pixels of a picture that (2,) scale takes to
    the photo's. Points of no extent are no face."""
    faces = []
    for row in np.zeros((0, 15)) if rows is None else rows.astype(np.float64):
        points = row[4:14].reshape(5, 2) * scale
        if np.ptp(points, axis=0).all():
            faces.append(Detection(box_from_points(points, mean_points), float(row[14]), points))
    return largest_first(faces)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV raises its errors without writing them to stderr, too."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def get_detector(text: str, mean_points: np.ndarray) -> Detector:
    """The detector that "haar" or "yunet=FILE.onnx" stands for. mean_points: (68, 3) the 68 points of a mean face.

    Raises InputError that lists the known ones, or what the detector raises.
    """
    name, _, path = text.partition("=")
    if name == "yunet" and path:
        return YuNetDetector(path, mean_points)
    if text == "haar":
        return HaarDetector()
    raise InputError(f"detector: unknown {text!r}; known are haar, yunet=FILE.onnx")


def box_from_points(points: np.ndarray, mean_points: np.ndarray) -> np.ndarray:
    """(4,) float64 left, top, right, bottom of the tight box of a face's 68 points, in pixels.

    points: (68, 2), or (5, 2): the eye to the left in the image, the other, the nose tip, the left and the right corner
    of the mouth; mean_points: (68, 3) the 68 points of a mean face, in any units, for the estimate from five. An affine
    camera, two rows of three numbers and two offsets, takes the mean face's five to those given (as
    Deep3DFaceReconstruction aligns photos), and its 68 to the image: turned heads come out turned.
    Raises TypeError or InputError for arrays of other shapes or not finite.
    """
    if np.shape(points) != (68, 2):
        points = check_array("points", points, (5, 2))
        mean_points = check_array("mean points", mean_points, (68, 3)).astype(np.float64)
        camera = np.linalg.lstsq(with_ones(five_points(mean_points)), points, rcond=None)[0]
        points = with_ones(mean_points) @ camera
    points = check_array("points", points, (68, 2)).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high - low > 1e-6).all():  # five points at one place give 68 that rounding keeps apart
        raise InputError("points: wanted points that are apart, got them all in one row or column")
    return np.concatenate([low, high])


def with_ones(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points, np.ones(len(points))])
