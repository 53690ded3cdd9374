"""From a photo to the faces in it, with a network of 3DDFA's.

    from util.threeddfa_predictor import ThreeddfaPredictor
    faces = ThreeddfaPredictor("mb05_120x120.pth", "param_mean_std_62d_120x120.pkl", "bfm_noneck_v3.pkl")(image)
    faces[0].points, faces[0].R_t   # as util/predictor.py's, and what 3DDFA says of them: util.threeddfa_files

As util/predictor.py it stands above the other folders.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.detectors import get_detector
from models.loading import TrainedRun, read_run
from models.mobilenet import load_mobilenet
from models.morphable import loose_topology
from models.morphable_files import read_morphable, read_parameter_statistics
from models.scaled_orthography import perspective_pose
from models.threeddfa import CONVENTIONS, Decoder, PublishedRegressor, RunRegressor, cut, head_pose, image_points
from util.boxes import tight_box
from util.crops import square_of_box, square_of_landmarks
from util.device import choose_device
from util.errors import InputError
from util.photo_predictor import USUAL_FOV, PhotoPredictor, Start, confidence
from util.prediction import FacePrediction
from util.threeddfa_files import ThreeddfaFace
from util.views import PhotoCamera


class ThreeddfaPredictor(PhotoPredictor):
    """A network of 3DDFA or 3DDFA_V2 that takes photos.

    weights: its checkpoint, with statistics of its parameters and bases, a file or folder of `read_morphable`; or,
    without these, a checkpoint of a run of --model radan; convention: how a published network's pixels and angles are
    counted, "v1" or "v2", see models.threeddfa; gpu_ids, detector, steps: as util.predictor.Predictor's; box_rule: what
    boxes that are given hold, the 68 points ("landmarks") or the face as FaceBoxes sees it ("detector").

    Squares are cut as 3DDFA cuts them round 68 points: from a box, round a mean face's in it, for the boxes here are
    those of the 68 points. 3DDFA's rule for boxes is for those of FaceBoxes, which reach up to the forehead: with
    "detector" the first look at a given box follows it.
    Raises FileNotFoundError or InputError where a file is not there, another one, or does not fit the others.
    """

    def __init__(
        self,
        weights: str | Path,
        statistics: str | Path | None = None,
        bases: str | Path | None = None,
        convention: str = "v2",
        gpu_ids: Sequence[int] = (),
        detector: str = "haar",
        steps: int = 2,
        box_rule: str = "landmarks",
    ):
        if (statistics is None) != (bases is None):
            raise InputError(
                "--statistics: wanted it and --bases, for a published network, or neither, for a run; got one"
            )
        if convention not in ("v1", "v2"):
            raise InputError(f"convention: wanted v1 or v2, got {convention}")
        if box_rule not in ("landmarks", "detector"):
            raise InputError(f"box_rule: wanted landmarks or detector, got {box_rule}")
        self.box_rule = box_rule
        device, self.device_line = choose_device(list(gpu_ids))
        if statistics is None or bases is None:
            run = read_own(Path(weights))
            self.regressor, self.version = RunRegressor(run, device), "run"
            fov = PhotoCamera(float(run.projection[0, 0]) * run.image_size[0] / 2, *run.image_size).fov
        else:
            self.regressor, self.version = read_published(Path(weights), statistics, bases, device), convention
            fov = USUAL_FOV
        self.convention = CONVENTIONS[self.version]
        model = self.regressor.model
        self.decoder, self.metres = Decoder(model), float(model.metres)
        self.topology = loose_topology(model)
        mean_points = self.topology.template[model.keypoints] * np.float64([1, -1, 1])
        super().__init__(get_detector(detector, mean_points), mean_points, fov, steps)

    def look(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """One look at each of the faces."""
        if not starts:
            return []
        squares = [self.square(start) for start in starts]
        if self.version == "run":  # 3DDFA forgets that it rounds them
            squares = [np.rint(square) for square in squares]
        crops = [cut(image, square) for square in squares]
        parameters = self.regressor(np.stack([cut(image, square, self.regressor.size) for square in squares]))
        shapes = self.decoder.shapes(parameters)
        in_crops = self.decoder.crop_points(parameters, shapes)
        faces = zip(starts, squares, crops, parameters, shapes, in_crops, strict=True)
        return [self.face(camera, *parts) for parts in faces]

    def square(self, start: Start) -> np.ndarray:
        """(4,) what is cut out for a look."""
        if self.box_rule == "detector" and start.box is not None:
            return square_of_box(start.box)
        return square_of_landmarks(start.points)

    def face(
        self,
        camera: PhotoCamera,
        start: Start,
        square: np.ndarray,
        crop: np.ndarray,
        parameters: np.ndarray,
        shape: np.ndarray,
        in_crop: np.ndarray,
    ) -> ThreeddfaFace:
        """What a look at one face gave, for the photo's own camera."""
        points = image_points(in_crop, square, self.convention)
        verts = np.float32(shape * self.metres)
        scale, matrix, angles = head_pose(parameters, self.convention)
        face = ThreeddfaFace(
            verts,
            np.eye(4),
            self.topology,
            camera.projection,
            (camera.width, camera.height),
            tight_box(start.points),
            start.source,
            0.0,
            self.version,
            square,
            crop,
            parameters,
            points,
            scale,
            matrix,
            angles,
        )
        arrays = np.float64(verts)[None], face.points2d[None], camera.projection
        (pose,) = perspective_pose(*map(torch.from_numpy, arrays), camera.width, camera.height).numpy()
        return replace(face, R_t=pose, confidence=confidence(face.landmarks2d, start))

    def second_start(self, start: Start, face: FacePrediction) -> Start:
        """As 3DDFA has it, from the image points as they are."""
        return Start(face.landmarks[:, :2], False, start.source)


def read_own(weights: Path) -> TrainedRun:
    """A run of ours, which is what weights without anything else have to be."""
    try:
        return read_run(weights)
    except InputError as error:
        missing = "for a network of 3DDFA's give --statistics and --bases, too"
        raise InputError(f"--weights: wanted a run's without --statistics and --bases ({error}); {missing}") from None


def read_published(
    weights: Path, statistics: str | Path, bases: str | Path, device: torch.device
) -> PublishedRegressor:
    """3DDFA's network with what belongs to it."""
    mean, std = read_parameter_statistics(statistics)
    return PublishedRegressor(load_mobilenet(weights), mean, std, read_morphable(bases), device)
