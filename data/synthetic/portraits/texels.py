"""Noise that repeats, and texels from numbers: what painting textures fast is made of."""

import cv2
import numpy as np

from data.synthetic.noise import to_srgb

DETAIL_MEAN = np.float32(0.5)  # linear; fine detail scatters about this constant
STEPS = 4096
LOWEST, HIGHEST = -4.0, float(-np.log(DETAIL_MEAN))  # logarithms of the factors that a texel of detail can have
_LINEAR = (to_srgb(np.linspace(0.0, 1.0, STEPS)) * 255 + 0.5).astype(np.uint8)
_DETAIL = (to_srgb(DETAIL_MEAN * np.exp(np.linspace(LOWEST, HIGHEST, STEPS))) * 255 + 0.5).astype(np.uint8)


def periodic_noise(rng: np.random.Generator, size: int, reach: float, across: float | None = None) -> np.ndarray:
    """(2 size, 2 size) float32 Gaussian noise of mean 0 and deviation 1: four times the same, without a seam.

    reach: texels, standard deviation of the blur that made it; across: that along the columns, where it differs
    """
    frequency = np.fft.fftfreq(size)
    white = np.fft.fft2(rng.standard_normal((size, size)))
    down = np.exp(-2 * (np.pi * reach * frequency) ** 2)
    right = np.exp(-2 * (np.pi * (across or reach) * frequency) ** 2)
    noise = np.fft.ifft2(white * down[:, None] * right[None]).real
    return np.tile(((noise - noise.mean()) / noise.std()).astype(np.float32), (2, 2))


def piece(rng: np.random.Generator, noise: np.ndarray) -> np.ndarray:
    """(size, size): noise of `periodic_noise` from a random place on; a view."""
    size = noise.shape[0] // 2
    down, right = (int(value) for value in rng.integers(0, size, 2))
    return noise[down : down + size, right : right + size]


def to_texels(linear: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 sRGB and 255 of linear colours (H, W, 3), 0..1."""
    return _look_up(_LINEAR, linear * np.float32(STEPS - 1))


def detail_texels(logarithm: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 sRGB and 255 of DETAIL_MEAN * exp(logarithm (H, W, 3)), clipped to what a texel can hold."""
    return _look_up(_DETAIL, (logarithm - np.float32(LOWEST)) * np.float32((STEPS - 1) / (HIGHEST - LOWEST)))


def _look_up(table: np.ndarray, place: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(table.take(place.astype(np.intp), mode="clip"), cv2.COLOR_RGB2RGBA)
