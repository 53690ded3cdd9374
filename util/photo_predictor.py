"""What everything that finds the faces of photos has in common: where a face is sought, with which camera, how often.

As util/predictor.py it stands above the other folders: only predictors import it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.detectors import Detector, box_from_points
from data.photos import read_photo
from util.boxes import overlaps, tight_box
from util.camera import WCPA_PROJECTION
from util.checks import check_array
from util.errors import InputError
from util.prediction import FacePrediction
from util.tracking import SAME_PLACE
from util.views import PhotoCamera, camera_from_35mm, camera_from_fov, middle_and_side

# Faces whose 68 points lie in a smaller box are passed over: pixels.
SMALLEST_FACE = 8.0
# How far the 68 points may move in the second step, in sides of their box, for a confidence of 1/e.
MOVE_SCALE = 0.1
# Of photos that do not say theirs: that of the data that this project's own models are trained on, in degrees.
USUAL_FOV = float(np.degrees(2 * np.arctan(1 / WCPA_PROJECTION[0, 0])))


class Start(NamedTuple):
    """Where a face is sought first. points: (68, 2) photo pixels; known: whether they are the face's own, or a guess
    from a box; source: where they come from; box: (4,) the box that was given, where it is that."""

    points: np.ndarray
    known: bool
    source: str
    box: np.ndarray | None = None


class PhotoPredictor:
    """Takes photos. Subclasses define `look`.

    detector: finds faces; mean_points: (68, 3) the 68 points of the mean face, y down as in pictures; usual_fov: of
    photos that do not say theirs, in degrees along the longer side; steps: 1 predicts from the box that was found, 2
    once more from the first prediction's 68 points. Raises InputError for other steps.
    """

    def __init__(self, detector: Detector, mean_points: np.ndarray, usual_fov: float, steps: int):
        if steps not in (1, 2):
            raise InputError(f"steps: wanted 1 or 2, got {steps}")
        self.detector, self.mean_points, self.usual_fov, self.steps = detector, mean_points, usual_fov, steps

    def look(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """One look at each of the faces, all of which are large enough."""
        raise NotImplementedError

    def __call__(
        self,
        image: np.ndarray | str | Path,
        fov: float | None = None,
        boxes: np.ndarray | None = None,
        points: np.ndarray | None = None,
        max_faces: int | None = None,
    ) -> list[FacePrediction]:
        """The faces of a photo, the largest first.

        image: (h, w, 3) uint8 RGB, or the path of a photo, whose EXIF counts where no fov is given; fov: degrees of
        view along its longer side, the usual one where nothing says it; boxes: (k, 4) left, top, right, bottom of the
        faces from brows to chin; points: (5, 2) or (68, 2) of the one face: pixels from the top left corner, y down.
        Faces are detected where neither is given.
        Raises TypeError or InputError where one of them has not that form, and what read_photo raises.
        """
        focal_35mm = None
        if isinstance(image, str | Path):
            _, image, focal_35mm = read_photo(image)
        image = check_image(image)
        if max_faces is not None and max_faces < 1:
            raise InputError(f"max_faces: wanted 1 or more, got {max_faces}")
        starts = self.find(image, boxes, points)[:max_faces]
        return self.predict(image, self.camera(image, fov, focal_35mm), starts)

    def camera(self, image: np.ndarray, fov: float | None = None, focal_35mm: float | None = None) -> PhotoCamera:
        """The camera of a photo: of that field of view, else of the focal length that its EXIF tells, else with the
        usual field of view."""
        height, width = image.shape[:2]
        if fov is None and focal_35mm is not None:
            return camera_from_35mm(focal_35mm, width, height)
        return camera_from_fov(self.usual_fov if fov is None else fov, width, height)

    def find(self, image: np.ndarray, boxes: np.ndarray | None = None, points: np.ndarray | None = None) -> list[Start]:
        """Where the faces are sought: at the given points or boxes, else where they are detected; largest first."""
        if points is not None:
            if boxes is not None:
                raise InputError("points: wanted points or boxes, got both")
            box = box_from_points(points, self.mean_points)
            if len(points) == 68:
                return [Start(np.float64(points), True, "68 points")]
            return [Start(self.guess(box), False, "5 points")]
        if boxes is not None:
            boxes = check_array("boxes", boxes, (None, 4)).astype(np.float64)
            if not (boxes[:, :2] < boxes[:, 2:]).all():
                raise InputError(f"boxes: wanted left < right and top < bottom, got {boxes.tolist()}")
            starts = [Start(self.guess(box), False, "box", box) for box in boxes]
        else:
            starts = [Start(self.guess(found.box), False, "detected") for found in self.detector.detect(image)]
        return sorted(starts, key=lambda start: -middle_and_side(start.points)[1])

    def guess(self, box: np.ndarray) -> np.ndarray:
        """(68, 2) the mean face's points, seen from the front, in a tight box of the 68 points (4,)."""
        flat = self.mean_points[:, :2]
        low, high = flat.min(axis=0), flat.max(axis=0)
        return box[:2] + (flat - low) / (high - low) * (box[2:] - box[:2])

    def predict(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """The faces at these places, in their order, each once; those too small to see are left out."""
        faces = self.step(image, camera, starts)
        if self.steps == 2:
            # Points that are known need no second look.
            again = [i for i, (start, face) in enumerate(zip(starts, faces, strict=True)) if face and not start.known]
            second = [self.second_start(starts[i], faces[i]) for i in again]
            for index, face in zip(again, self.step(image, camera, second), strict=True):
                faces[index] = face
        return each_once([face for face in faces if face is not None])

    def second_start(self, start: Start, face: FacePrediction) -> Start:
        """Where to look again for a face that was found from a start."""
        return Start(face.landmarks2d, False, start.source)

    def step(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction | None]:
        """One look at each of the faces; None for those too small to see."""
        results: list[FacePrediction | None] = [None] * len(starts)
        large = [i for i, start in enumerate(starts) if middle_and_side(start.points)[1] >= SMALLEST_FACE]
        for index, face in zip(large, self.look(image, camera, [starts[i] for i in large]), strict=True):
            results[index] = face
        return results


def confidence(landmarks: np.ndarray, start: Start) -> float:
    """From 0 to 1, how far a face whose 68 points (68, 2) were found from that start is to be trusted."""
    move = np.linalg.norm(landmarks - start.points, axis=1).mean() / middle_and_side(start.points)[1]
    return float(np.exp(-move / MOVE_SCALE))


def each_once(faces: list[FacePrediction]) -> list[FacePrediction]:
    """The faces without those that lie on one before them: two boxes whose predictions became one face."""
    kept: list[FacePrediction] = []
    for face in faces:
        boxes = np.array([tight_box(other.landmarks2d) for other in kept]).reshape(-1, 4)
        if not (overlaps(tight_box(face.landmarks2d), boxes) > SAME_PLACE).any():
            kept.append(face)
    return kept


def check_image(image: np.ndarray) -> np.ndarray:
    """The image (h, w, 3) uint8. Raises TypeError or InputError where it is no such array."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(f"image: wanted uint8, got {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"image: wanted shape (h, w, 3), got {image.shape}")
    return image
