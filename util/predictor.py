"""From a photo to the faces in it, with a trained run.

    from util.predictor import Predictor
    faces = Predictor("run01")(image)   # image: (h, w, 3) uint8 RGB, or a path; faces: list of FacePrediction
    faces[0].verts, faces[0].R_t, faces[0].landmarks2d

This is the Python side of step05 and stands above the other folders, as the steps do: nothing in util/ imports it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from data.detectors import box_from_points, get_detector
from data.photo_dataset import Face, PhotoDataset
from data.photos import read_photo
from models.exported import OnnxNetwork
from models.loading import read_run
from models.network import Network, TorchNetwork
from util.aggregation import SampleKeys, aggregate_shapes
from util.boxes import overlaps, tight_box
from util.checks import check_array
from util.device import choose_device
from util.errors import InputError
from util.identity import fuse_shapes
from util.prediction import FacePrediction
from util.tracking import SAME_PLACE
from util.views import PhotoCamera, View, camera_from_35mm, camera_from_fov, middle_and_side, refine_pose, training_view

# Faces whose 68 points lie in a smaller box are passed over: pixels.
SMALLEST_FACE = 8.0
# How far the 68 points may move in the second step, in sides of their box, for a confidence of 1/e.
MOVE_SCALE = 0.1
# Faces count at least so much for a person's shape.
LEAST_WEIGHT = 1e-3


class Start(NamedTuple):
    """Where a face is sought first. points: (68, 2) photo pixels; known: whether they are the face's own, or a guess
    from a box; source: where they come from."""

    points: np.ndarray
    known: bool
    source: str


class Predictor:
    """A trained run that takes photos.

    name: a run, or the path of a network that step05 exported (.onnx); epoch: "best" or "latest" checkpoint;
    gpu_ids: as --gpu_ids; detector: as --detector; steps: 1 predicts from the box that was found, 2 once more from
    the first prediction's 68 points.
    """

    def __init__(
        self,
        name: str,
        checkpoints_dir: str | Path = "checkpoints",
        epoch: str = "best",
        gpu_ids: Sequence[int] = (),
        detector: str = "haar",
        steps: int = 2,
    ):
        if steps not in (1, 2):
            raise InputError(f"steps: wanted 1 or 2, got {steps}")
        # onnxruntime's networks compute on the CPU
        device, self.device_line = choose_device([] if name.endswith(".onnx") else list(gpu_ids))
        self.network = open_network(name, Path(checkpoints_dir), epoch, device)
        known = self.network.constants
        landmarks = known.verts_mean[known.topology.keypoints].astype(np.float64)
        self.training = training_view(known.projection, known.image_size, known.six_mean, known.six_std, landmarks)
        self.mean_points = landmarks * [1, -1, 1]  # y down, as in pictures
        self.steps = steps
        self.detector = get_detector(detector, self.mean_points)

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
        view along its longer side, the training camera's where nothing says it; boxes: (k, 4) left, top, right, bottom
        of the faces from brows to chin; points: (5, 2) or (68, 2) of the one face: pixels from the top left corner, y
        down. Faces are detected where neither is given.
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
        training camera's field of view."""
        height, width = image.shape[:2]
        if fov is None and focal_35mm is not None:
            return camera_from_35mm(focal_35mm, width, height)
        return camera_from_fov(self.training.camera.fov if fov is None else fov, width, height)

    def fuse(self, faces: Sequence[FacePrediction]) -> list[FacePrediction]:
        """The faces of one person in several photos with one shape, expressions kept, and the poses that fit it; see
        util.identity. Faces count by their confidence."""
        if not faces:
            return []
        known = self.network.constants
        return with_shapes(faces, fuse_shapes(*shapes_of(faces), known.verts_mean, known.expression_basis))

    def aggregate(
        self, faces: Sequence[FacePrediction], samples: Sequence[SampleKeys], how: str
    ) -> list[FacePrediction]:
        """As `fuse`, for the faces of several people. samples: subject, action and photo of each; how: which of them
        share an identity, "action" or "subject"; see util.aggregation."""
        if not faces:
            return []
        known = self.network.constants
        shapes = aggregate_shapes(*shapes_of(faces), samples, how, known.verts_mean, known.expression_basis)
        return with_shapes(faces, shapes)

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
            starts = [Start(self.guess(box), False, "box") for box in boxes]
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
            second = [Start(faces[i].landmarks2d, False, starts[i].source) for i in again]
            for index, face in zip(again, self.step(image, camera, second), strict=True):
                faces[index] = face
        return each_once([face for face in faces if face is not None])

    def step(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction | None]:
        """One look at each of the faces; None for those too small to see."""
        results: list[FacePrediction | None] = [None] * len(starts)
        large = [i for i, start in enumerate(starts) if middle_and_side(start.points)[1] >= SMALLEST_FACE]
        for index, face in zip(large, self.look(image, camera, [starts[i] for i in large]), strict=True):
            results[index] = face
        return results

    def look(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """One look at each of the faces, all of which are large enough."""
        if not starts:
            return []
        known = self.network.constants
        views = [self.training.look_at(camera, start.points) for start in starts]
        faces = [
            Face(partial(view.draw, image), view.points(start.points), start.known)
            for view, start in zip(views, starts, strict=True)
        ]
        dataset = PhotoDataset(faces, known.topology, known.windows, known.window_size)
        verts, R_t = self.network(dataset.read_batch(range(len(faces))))
        return [self.face(camera, *parts) for parts in zip(views, starts, verts, R_t, strict=True)]

    def face(self, camera: PhotoCamera, view: View, start: Start, verts: np.ndarray, R_t: np.ndarray) -> FacePrediction:
        """What a look at one face gave, for the photo's own camera."""
        box = tight_box(start.points)
        pose, size = view.photo_pose(verts, R_t), (camera.width, camera.height)
        face = FacePrediction(
            verts, pose, self.network.constants.topology, camera.projection, size, box, start.source, confidence=0.0
        )
        move = np.linalg.norm(face.landmarks2d - start.points, axis=1).mean() / middle_and_side(start.points)[1]
        return replace(face, confidence=float(np.exp(-move / MOVE_SCALE)))


def shapes_of(faces: Sequence[FacePrediction]) -> tuple[np.ndarray, np.ndarray]:
    """verts (B, N, 3), and how far each is to be trusted (B,)."""
    weights = np.array([max(face.confidence, LEAST_WEIGHT) for face in faces])
    return np.stack([face.verts for face in faces]), weights


def with_shapes(faces: Sequence[FacePrediction], shapes: np.ndarray) -> list[FacePrediction]:
    """The faces with other shapes (B, N, 3), and the poses under which these are seen in the same places."""
    changed = []
    for face, verts in zip(faces, shapes, strict=True):
        width, height = face.image_size
        camera = PhotoCamera(face.projection[0, 0] * width / 2, width, height)
        pose = refine_pose(verts, face.points2d, camera, face.R_t)
        changed.append(replace(face, verts=np.float32(verts), R_t=pose))
    return changed


def each_once(faces: list[FacePrediction]) -> list[FacePrediction]:
    """The faces without those that lie on one before them: two boxes whose predictions became one face."""
    kept: list[FacePrediction] = []
    for face in faces:
        boxes = np.array([tight_box(other.landmarks2d) for other in kept]).reshape(-1, 4)
        if not (overlaps(tight_box(face.landmarks2d), boxes) > SAME_PLACE).any():
            kept.append(face)
    return kept


def open_network(name: str, checkpoints_dir: Path, epoch: str, device: torch.device) -> Network:
    """The network of a run, or of an .onnx file, which computes on the CPU."""
    if name.endswith(".onnx"):
        return OnnxNetwork(Path(name))
    return TorchNetwork(read_run(checkpoints_dir / name / f"{epoch}.pt"), device)


def check_image(image: np.ndarray) -> np.ndarray:
    """The image (h, w, 3) uint8. Raises TypeError or InputError where it is no such array."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(f"image: wanted uint8, got {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"image: wanted shape (h, w, 3), got {image.shape}")
    return image
