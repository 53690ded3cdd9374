"""From a photo to the faces in it, with a network of Deep3D's.

    from util.deep3d_predictor import Deep3dPredictor
    faces = Deep3dPredictor("epoch_20.pth", "BFM_model_front.mat")(image)
    faces[0].verts, faces[0].R_t, faces[0].coefficients   # as util/predictor.py's, and util.deep3d_outputs

As util/predictor.py it stands above the other folders.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.detectors import get_detector
from data.windows import Picture, face_box, five_point_window
from models.base_model import Outputs
from models.deep3d_camera import perspective_pose, project
from models.deep3d_files import PUBLISHED_NAMES, read_deep3d
from util.alignment import FIVE_OF_68, five_points
from util.boxes import tight_box
from util.checks import check_array
from util.crops import aligned_crop
from util.deep3d_outputs import Deep3dFace
from util.device import choose_device
from util.photo_predictor import USUAL_FOV, PhotoPredictor, Start, confidence
from util.prediction import FacePrediction
from util.views import PhotoCamera


class Deep3dPredictor(PhotoPredictor):
    """A network of Deep3D that takes photos.

    weights: a checkpoint of Deep3DFaceRecon_pytorch, with bases, a face model's file, or one of a deep3d run, without;
    see models.deep3d_files.read_deep3d, also for what is raised. gpu_ids, detector, steps: as
    util.predictor.Predictor's.

    Five or 68 points that are given are looked at once, as published. Boxes and detected faces are poorer places to
    start from: five points are those of the mean face from the front, and it takes the second look to turn with it.
    """

    def __init__(
        self,
        weights: str | Path,
        bases: str | Path | None = None,
        gpu_ids: Sequence[int] = (),
        detector: str = "haar",
        steps: int = 2,
    ):
        device, self.device_line = choose_device(list(gpu_ids))
        self.deep3d = read_deep3d(Path(weights), None if bases is None else Path(bases), device)
        self.topology = self.deep3d.topology
        mean_points = self.topology.template[self.topology.keypoints] * np.float64([1, -1, 1])
        super().__init__(get_detector(detector, mean_points), mean_points, USUAL_FOV, steps)

    def find(self, image: np.ndarray, boxes: np.ndarray | None = None, points: np.ndarray | None = None) -> list[Start]:
        """As for all predictors, but that five points are known."""
        starts = super().find(image, boxes, points)
        if points is None or len(points) == 68:
            return starts
        return [Start(face_around(check_array("points", points, (5, 2)), self.mean_points), True, "5 points")]

    def look(self, image: np.ndarray, camera: PhotoCamera, starts: Sequence[Start]) -> list[FacePrediction]:
        """One look at each of the faces."""
        if not starts:
            return []
        windows, affines = zip(*(self.window(image, start.points) for start in starts), strict=True)
        with torch.inference_mode():
            outputs = self.deep3d.coefficients(np.stack(windows))
        singles = [
            {name: tensor[index : index + 1] for name, tensor in outputs.items()} for index in range(len(starts))
        ]
        return [self.face(camera, *parts) for parts in zip(starts, windows, affines, singles, strict=True)]

    def window(self, image: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8 what the network looks at for a face with 68 points (68, 2), and the affine (2, 3) to it."""
        if self.deep3d.published:
            return aligned_crop(image, five_points(points))
        window = np.empty((self.deep3d.size, self.deep3d.size, 3), np.uint8)
        picture = Picture(image, width=image.shape[1], height=image.shape[0])
        return window, five_point_window(picture, face_box(points), points, window)

    def face(
        self, camera: PhotoCamera, start: Start, window: np.ndarray, affine: np.ndarray, outputs: Outputs
    ) -> Deep3dFace:
        """What a look at one face gave, for the photo's own camera: outputs are the coefficients of this one."""
        decoder, size = self.deep3d.decoder, len(window)
        with torch.inference_mode():
            shown = decoder.face(outputs)
            rendering = decoder.render(shown, size)
            seen = project(shown.vertices)[0]
            verts = decoder.canonical(outputs) * decoder.metres
            picture, mask, colors = rendering.picture[0].permute(1, 2, 0), rendering.mask[0], shown.colors[0]
        in_window = (seen[0].double().cpu().numpy() + 1) * (size / 2)
        points = (in_window - affine[:, 2]) / affine.diagonal()
        drawn = np.where(mask.cpu().numpy()[:, :, None], levels(picture), window)
        sought = start.points if start.source == "68 points" else five_points(start.points)
        face = Deep3dFace(
            np.float32(verts[0].cpu().numpy()),
            self.pose(verts, seen, affine, camera),
            self.topology,
            camera.projection,
            (camera.width, camera.height),
            tight_box(start.points),
            start.source,
            0.0,
            window,
            drawn,
            sought * affine.diagonal() + affine[:, 2],
            in_window[self.topology.keypoints],
            shown.vertices[0].cpu().numpy(),
            levels(colors),
            {name: outputs[own][0].float().cpu().numpy() for name, own in PUBLISHED_NAMES.items()},
        )
        return replace(face, confidence=confidence(points[self.topology.keypoints], start))

    def pose(self, verts: torch.Tensor, seen: torch.Tensor, affine: np.ndarray, camera: PhotoCamera) -> np.ndarray:
        """(4, 4) float64 before the photo's camera, of a face verts (1, N, 3) metres that Deep3D's camera sees at seen
        (1, N, 2) across the window that the affine (2, 3) leads to."""
        half = self.deep3d.size / 2
        across = torch.from_numpy((affine - [[0, 0, half], [0, 0, half]]) / half)[None]
        face = (tensor.double().cpu() for tensor in (verts, seen))
        return perspective_pose(*face, across, torch.from_numpy(camera.projection), camera.width, camera.height)[
            0
        ].numpy()


def levels(colors: torch.Tensor) -> np.ndarray:
    """Colours from 0 to 1 as uint8, those beyond cut off."""
    return np.uint8(np.rint(colors.clamp(0, 1).cpu().numpy() * 255))


def face_around(points: np.ndarray, mean_points: np.ndarray) -> np.ndarray:
    """(68, 2) float64 points of which five (5, 2) are known, in the order of util.alignment.five_points: the others are
    where an affine camera that sees the mean face's five (of (68, 3), y down) there sees its others."""
    system = np.column_stack([mean_points, np.ones(68)])
    known = np.column_stack([five_points(mean_points), np.ones(5)])
    found = system @ np.linalg.lstsq(known, points, rcond=None)[0]
    for rows, point in zip(FIVE_OF_68, np.asarray(points, np.float64), strict=True):
        found[rows] += point - found[rows].mean(axis=0)
    return found
