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

from data.detectors import get_detector
from models.mobilenet import load_mobilenet
from models.morphable import loose_topology
from models.morphable_files import read_morphable, read_parameter_statistics
from models.threeddfa import CONVENTIONS, Decoder, PublishedRegressor, cut, head_pose, image_points
from util.boxes import tight_box
from util.crops import square_of_landmarks
from util.device import choose_device
from util.errors import InputError
from util.photo_predictor import USUAL_FOV, PhotoPredictor, Start, confidence, perspective_pose
from util.prediction import FacePrediction
from util.threeddfa_files import ThreeddfaFace
from util.views import PhotoCamera


class ThreeddfaPredictor(PhotoPredictor):
    """A network of 3DDFA or 3DDFA_V2 that takes photos.

    weights: its checkpoint; statistics: of its parameters; bases: a file or folder of `read_morphable`; version: whose
    counting of pixels and angles, see models.threeddfa; gpu_ids, detector, steps: as util.predictor.Predictor's.

    Squares are cut as 3DDFA cuts them round 68 points: from a box, round a mean face's in it, for the boxes here are
    those of the 68 points. (3DDFA's rule for boxes is for those of FaceBoxes, which reach up to the forehead.)
    Raises FileNotFoundError or InputError where a file is not there, another one, or does not fit the others.
    """

    def __init__(
        self,
        weights: str | Path,
        statistics: str | Path,
        bases: str | Path,
        version: str = "v2",
        gpu_ids: Sequence[int] = (),
        detector: str = "haar",
        steps: int = 2,
    ):
        if version not in CONVENTIONS:
            raise InputError(f"version: wanted {' or '.join(CONVENTIONS)}, got {version}")
        self.version = version
        device, self.device_line = choose_device(list(gpu_ids))
        mean, std = read_parameter_statistics(statistics)
        network, model = load_mobilenet(Path(weights)), read_morphable(bases)
        self.regressor = PublishedRegressor(network, mean, std, model, device)
        self.decoder, self.metres = Decoder(self.regressor.model), float(model.metres)
        self.topology = loose_topology(model)
        mean_points = self.topology.template[model.keypoints] * np.float64([1, -1, 1])
        super().__init__(get_detector(detector, mean_points), mean_points, USUAL_FOV, steps)

    def look(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """One look at each of the faces."""
        if not starts:
            return []
        squares = [square_of_landmarks(start.points) for start in starts]
        crops = np.stack([cut(image, square) for square in squares])
        parameters = self.regressor(crops)
        shapes = self.decoder.shapes(parameters)
        in_crops = self.decoder.crop_points(parameters, shapes)
        faces = zip(starts, squares, crops, parameters, shapes, in_crops, strict=True)
        return [self.face(camera, *parts) for parts in faces]

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
        points = image_points(in_crop, square, CONVENTIONS[self.version])
        verts = np.float32(shape * self.metres)
        scale, matrix, angles = head_pose(parameters, self.version)
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
        pose = perspective_pose(verts, face.points2d, camera)
        return replace(face, R_t=pose, confidence=confidence(face.landmarks2d, start))

    def second_start(self, start: Start, face: FacePrediction) -> Start:
        """As 3DDFA has it, from the image points as they are."""
        return Start(face.landmarks[:, :2], False, start.source)
