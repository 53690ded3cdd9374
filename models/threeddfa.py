"""3DDFA and 3DDFA_V2 (Guo et al., ECCV 2020): from a square of a photo to a face in it, by one look of a network.

A face is 12 + K + E numbers: the rows of the (3, 4) matrix of models.scaled_orthography, then coefficients of identity
and expression. Image points are those of the published programs: pixels of the photo with centres at whole numbers, y
down, and z towards the camera in the same unit.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import nn

from models.loading import TrainedRun
from models.morphable import POSE_NUMBERS, MorphableLayer, MorphableModel
from models.radan_model import WINDOW, RadanModel
from models.scaled_orthography import CROP, crop_vertices, split_numbers
from util.errors import InputError

# How many parameters there may be, and how many of them are identity and expression.
PARAMETERS = {62: (40, 10), 72: (40, 20), 141: (100, 29)}
# The unit of all bases that 3DDFA comes with, in metres.
MICROMETRE = 1e-6
# Crops are looked at as (level - LEVEL) / LEVEL_SCALE.
LEVEL, LEVEL_SCALE = 127.5, 128.0
# Sides of photos, in pixels, go up to it.
LARGEST_SQUARE = 65_500


@dataclass(frozen=True)
class Convention:
    """How a version of 3DDFA counts the pixels of a crop, and reads poses.

    origin: (x, y) of the centre of the crop's upper left pixel in crop coordinates, which go up in y; depth: what is
    taken off z; from_farthest: whether depths are then counted from the farthest vertex
    sideways: from which |sin(yaw)| on a head looks straight to the side; its yaw is then a right angle with the sign of
    sideways_sign * sin(yaw)
    """

    origin: tuple[float, float]
    depth: float
    from_farthest: bool
    sideways: float
    sideways_sign: int


# MATLAB, in which faces were fitted, counts pixels from 1: 3DDFA_V2 takes that into account, 3DDFA did not. In this
# project's own runs crop coordinates are counted from the crop's edges.
CONVENTIONS = {
    "v1": Convention((0.0, CROP + 1.0), 0.0, False, 1.0, -1),
    "v2": Convention((1.0, float(CROP)), 1.0, True, 0.998, 1),
    "run": Convention((0.5, CROP - 0.5), 0.0, True, 0.998, 1),
}


class Regressor(Protocol):
    """What finds the numbers of faces.

    model: its morphable model, with as many components as it knows coefficients; size: of its crops. Call it with
    crops (B, size, size, 3) uint8 RGB: (B, 12 + K + E) float64 numbers come back.
    """

    model: MorphableModel
    size: int

    def __call__(self, crops: np.ndarray) -> np.ndarray: ...


class PublishedRegressor:
    """A network of 3DDFA's with the statistics of its parameters (P,) and the bases that these are coefficients of.

    Raises InputError where the three do not fit together, or the bases are another system's.
    """

    size = CROP

    def __init__(
        self, network: nn.Module, mean: np.ndarray, std: np.ndarray, model: MorphableModel, device: torch.device
    ):
        self.network, self.device = network.to(device).eval(), device
        self.mean, self.std = mean, std
        with torch.inference_mode():
            count = self.network(torch.zeros(1, 3, CROP, CROP, device=device)).shape[1]
        if count not in PARAMETERS:
            raise InputError(f"--weights: wanted a network of {' or '.join(map(str, PARAMETERS))} outputs, got {count}")
        if len(mean) != count:
            raise InputError(f"--statistics: wanted those of the network's {count} parameters, got {len(mean)}")
        if model.metres != MICROMETRE:
            wanted = "bfm_noneck_v3.pkl, the folder train.configs, or the folder of the 68-point bases"
            raise InputError(f"--bases: wanted 3DDFA's, {wanted}, got a model in units of {model.metres:g} metres")
        self.model = with_components(model, *PARAMETERS[count])

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        levels = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2))  # they were trained with BGR
        with torch.inference_mode():
            images = (torch.from_numpy(levels).to(self.device).float() - LEVEL) / LEVEL_SCALE
            whitened = self.network(images).cpu().numpy()
        return (whitened * self.std + self.mean).astype(np.float64)


class RunRegressor:
    """The network of a run of --model radan. Raises InputError where it is a run of another model."""

    def __init__(self, run: TrainedRun, device: torch.device):
        model = run.model()
        if not isinstance(model, RadanModel):
            wanted = "a checkpoint of 3DDFA's, with --statistics and --bases, or of a run of --model radan"
            raise InputError(f"--weights {run.path}: wanted {wanted}, got one of {run.options['model']}")
        self.network, self.device, self.size = model.to(device).eval(), device, run.options["img_size"]
        _, identity, expression = model.sizes
        self.model = with_components(run.bases.model, identity, expression)

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device)
        with torch.inference_mode():
            outputs = self.network({WINDOW: images})
            return self.network.parameters_of(outputs["parameters"]).double().cpu().numpy()


def with_components(model: MorphableModel, identity: int, expression: int) -> MorphableModel:
    """A morphable model's first components. Raises InputError where it has fewer."""
    wanted = {"identity": identity, "expression": expression}
    for name, count in wanted.items():
        if len(getattr(model, name)) < count:
            raise InputError(f"--bases: wanted {count} of {name}, got {len(getattr(model, name))}")
    cut = {name: getattr(model, name)[:count] for name, count in wanted.items()}
    cut |= {f"{name}_deviations": getattr(model, f"{name}_deviations")[:count] for name, count in wanted.items()}
    return replace(model, **cut)


class Decoder:
    """From numbers to vertices, by a morphable model with as many components as they have coefficients; in float64,
    because identities are some ten thousand deviations of a micrometre."""

    def __init__(self, model: MorphableModel):
        self.layer, self.identities = MorphableLayer(model).double(), len(model.identity)

    def shapes(self, numbers: np.ndarray) -> np.ndarray:
        """(B, N, 3) the faces of numbers (B, P) in the model's unit and frame."""
        coefficients = torch.from_numpy(numbers[:, POSE_NUMBERS:])
        return self.layer.shapes(coefficients[:, : self.identities], coefficients[:, self.identities :]).numpy()

    def crop_points(self, numbers: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """(B, N, 3) where shapes (B, N, 3) lie in the crop, y up: see models.scaled_orthography."""
        return crop_vertices(torch.from_numpy(numbers[:, :POSE_NUMBERS]), torch.from_numpy(shapes)).numpy()


def cut(photo: np.ndarray, square: np.ndarray, size: int = CROP) -> np.ndarray:
    """(size, size, 3) uint8, what a network looks at: the square (4,) left, top, right, bottom of a photo (h, w, 3),
    its corners at the nearest whole pixels, black outside the photo, by OpenCV's bilinear resize.

    Raises InputError where the square is smaller than a pixel, or so large that it is no face's.
    """
    left, top, right, bottom = (round(float(edge)) for edge in square)
    if not 1 <= min(right - left, bottom - top) <= max(right - left, bottom - top) <= LARGEST_SQUARE:
        wanted = f"sides of 1 to {LARGEST_SQUARE} pixels (do weights, statistics and bases belong together?)"
        raise InputError(f"square: wanted {wanted}, got {[left, top, right, bottom]}")
    height, width = photo.shape[:2]
    part = np.zeros((bottom - top, right - left, 3), np.uint8)
    (x0, x1), (y0, y1) = np.clip([left, right], 0, width), np.clip([top, bottom], 0, height)
    part[y0 - top : y1 - top, x0 - left : x1 - left] = photo[y0:y1, x0:x1]
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)


def image_points(points: np.ndarray, square: np.ndarray, convention: Convention) -> np.ndarray:
    """(N, 3) image points of points (N, 3) in the crop that was cut at a square (4,), whose corners are not rounded
    here, as published."""
    left, top, right, bottom = square
    scale = np.array([(right - left) / CROP, (bottom - top) / CROP])
    placed = np.empty_like(points)
    placed[:, 0] = (points[:, 0] - convention.origin[0]) * scale[0] + left
    placed[:, 1] = (convention.origin[1] - points[:, 1]) * scale[1] + top
    placed[:, 2] = (points[:, 2] - convention.depth) * scale.mean()
    if convention.from_farthest:
        placed[:, 2] -= placed[:, 2].min()
    return placed


def head_pose(numbers: np.ndarray, convention: Convention) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, (3, 4) rotation with offset but without the scale, and (3,) yaw, pitch, roll in radians of the numbers
    (P,) of a face.

    The rotation is for columns, x to the right, y up, z to the camera. Its rows are of length 1, but not square to each
    other, so that the angles are good to a degree. Yaw > 0: the nose points to the left of the image; pitch > 0: down;
    roll > 0: the head is turned counter-clockwise. Where it looks straight to the side, roll is 0.
    """
    scale, rotation, offset = split_numbers(torch.from_numpy(numbers[None, :POSE_NUMBERS]))
    matrix = np.column_stack([rotation[0].numpy(), offset[0].numpy()])
    return float(scale[0]), matrix, head_angles(matrix[:, :3], convention)


def head_angles(rotation: np.ndarray, convention: Convention) -> np.ndarray:
    """(3,) yaw, pitch, roll in radians of a rotation (3, 3); see `head_pose`."""
    sine = np.clip(rotation[2, 0], -1.0, 1.0)  # of rows of length 1 but for rounding
    if abs(sine) >= convention.sideways:
        side = np.sign(sine)
        pitch = np.arctan2(-side * rotation[0, 1], -side * rotation[0, 2])
        return np.array([convention.sideways_sign * side * np.pi / 2, pitch, 0.0])
    cosine = np.cos(np.arcsin(sine))
    pitch = np.arctan2(rotation[2, 1] / cosine, rotation[2, 2] / cosine)
    return np.array([np.arcsin(sine), pitch, np.arctan2(rotation[1, 0] / cosine, rotation[0, 0] / cosine)])
