"""Random changes to a training record, labels and all."""

import cv2
import numpy as np

from data.wcpa import Record
from util.landmarks import MIRROR_68


def mirror_record(record: Record, mirror: np.ndarray) -> Record:
    """The record as a mirror shows it: image, 68 points, verts and R_t.

    mirror: (N,) the vertex that each vertex becomes. The camera's principal point must be the image centre.
    """
    landmarks = record.landmarks[MIRROR_68].copy()
    landmarks[:, 0] = record.image.shape[1] - landmarks[:, 0]
    mirrored = Record(cv2.flip(record.image, 1), landmarks)
    if record.verts is not None:
        flip = np.diag(np.float32([-1, 1, 1, 1]))
        mirrored.verts = record.verts[mirror] * np.float32([-1, 1, 1])
        mirrored.R_t = flip @ record.R_t @ flip
    return mirrored


def jitter_light(image: np.ndarray, random: np.random.Generator, brightness: float, contrast: float) -> np.ndarray:
    """Shifts and stretches the levels by up to `brightness` and `contrast` of their range; the mean level stays put
    under the stretch."""
    gain = 1.0 + random.uniform(-contrast, contrast)
    shift = 255.0 * random.uniform(-brightness, brightness)
    levels = np.arange(256, dtype=np.float64)
    mean = image[::8, ::8].mean()
    table = np.clip((levels - mean) * gain + mean + shift, 0, 255).round().astype(np.uint8)
    return cv2.LUT(image, table)


def jitter_box(box: np.ndarray, random: np.random.Generator, shift: float, scale: float) -> np.ndarray:
    """A box (left, top, right, bottom) moved by up to `shift` of its size and grown or shrunk by up to `scale`."""
    low, high = box[:2], box[2:]
    centre, half = (low + high) / 2, (high - low) / 2
    centre = centre + random.uniform(-shift, shift, size=2) * 2 * half
    half = half * (1.0 + random.uniform(-scale, scale))
    return np.concatenate([centre - half, centre + half])
