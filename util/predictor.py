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

import numpy as np
import torch

from data.detectors import get_detector
from data.photo_dataset import Face, PhotoDataset
from models.exported import OnnxNetwork
from models.loading import read_run
from models.network import Network, TorchNetwork
from util.aggregation import SampleKeys, aggregate_shapes
from util.boxes import tight_box
from util.device import choose_device
from util.identity import fuse_shapes
from util.photo_predictor import PhotoPredictor, Start, confidence
from util.prediction import FacePrediction
from util.views import PhotoCamera, View, refine_pose, training_view

# Faces count at least so much for a person's shape.
LEAST_WEIGHT = 1e-3


class Predictor(PhotoPredictor):
    """A trained run that takes photos.

    name: a run, or the path of a network that step05 exported (.onnx); epoch: "best" or "latest" checkpoint;
    gpu_ids: as --gpu_ids; detector: as --detector; steps: 1 predicts from the box that was found, 2 once more from
    the first prediction's 68 points; deformation: whether faces carry the meshes on the way to theirs, where the run's
    method deforms a template (network.deforms).
    """

    def __init__(
        self,
        name: str,
        checkpoints_dir: str | Path = "checkpoints",
        epoch: str = "best",
        gpu_ids: Sequence[int] = (),
        detector: str = "haar",
        steps: int = 2,
        deformation: bool = False,
    ):
        # onnxruntime's networks compute on the CPU
        device, self.device_line = choose_device([] if name.endswith(".onnx") else list(gpu_ids))
        self.network = open_network(name, Path(checkpoints_dir), epoch, device)
        self.with_deformation = deformation and self.network.deforms
        known = self.network.constants
        landmarks = known.verts_mean[known.topology.keypoints].astype(np.float64)
        self.training = training_view(known.projection, known.image_size, known.six_mean, known.six_std, landmarks)
        mean_points = landmarks * [1, -1, 1]
        super().__init__(get_detector(detector, mean_points), mean_points, self.training.camera.fov, steps)

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
        batch = dataset.read_batch(range(len(faces)))
        if not self.with_deformation:
            verts, R_t = self.network(batch)
            return [self.face(camera, *parts) for parts in zip(views, starts, verts, R_t, strict=True)]
        verts, R_t, stages = self.network.with_deformation(batch)
        found = [self.face(camera, *parts) for parts in zip(views, starts, verts, R_t, strict=True)]
        return [
            replace(face, deformation=tuple((part[index], triangles) for part, triangles in stages))
            for index, face in enumerate(found)
        ]

    def face(self, camera: PhotoCamera, view: View, start: Start, verts: np.ndarray, R_t: np.ndarray) -> FacePrediction:
        """What a look at one face gave, for the photo's own camera."""
        box = tight_box(start.points)
        pose, size = view.photo_pose(verts, R_t), (camera.width, camera.height)
        face = FacePrediction(
            verts, pose, self.network.constants.topology, camera.projection, size, box, start.source, confidence=0.0
        )
        return replace(face, confidence=confidence(face.landmarks2d, start))


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


def open_network(name: str, checkpoints_dir: Path, epoch: str, device: torch.device) -> Network:
    """The network of a run, or of an .onnx file, which computes on the CPU."""
    if name.endswith(".onnx"):
        return OnnxNetwork(Path(name))
    return TorchNetwork(read_run(checkpoints_dir / name / f"{epoch}.pt"), device)
