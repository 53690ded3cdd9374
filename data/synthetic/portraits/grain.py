"""Noise made once a process and laid over pictures at random places: fresh noise would take longer than the rest."""

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from data.synthetic.noise import fractal_noise

TILE = 512  # pixels a side
FINE, SOFT, BLOTCHED, TEXTURE = range(4)


@lru_cache(maxsize=4)
def tile(kind: int) -> np.ndarray:
    """(TILE, TILE, 3) float32 noise of mean 0 and deviation 1 that goes on seamlessly beyond its borders, but for
    TEXTURE. FINE: from pixel to pixel, of a bare sensor; SOFT: after a telephone's smoothing; BLOTCHED: with coarse
    spots of colour; TEXTURE: grey, of plaster, cloth and leaves."""
    rng = np.random.default_rng((0x6A, kind))
    if kind == TEXTURE:
        return np.repeat(fractal_noise(rng, TILE, TILE, 80, 3, 0.9)[..., None], 3, axis=2)
    noise = rng.standard_normal((TILE, TILE, 3), dtype=np.float32)
    grey = noise.mean(axis=2, keepdims=True) * np.float32(np.sqrt(3.0))
    if kind == FINE:
        noise = noise + grey
    else:
        coarse = _blur(noise, 3.5)
        noise = _blur(grey, 0.7) + (0.8 * coarse if kind == BLOTCHED else 0.4 * _blur(noise, 0.9))
    return (noise - noise.mean()) / noise.std()


def _blur(noise: np.ndarray, deviation: float) -> np.ndarray:
    """Blurs noise as if it went on beyond its borders, and brings it back to deviation 1."""
    margin = 16
    wide = np.pad(noise, ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
    blurred = cv2.GaussianBlur(wide, (0, 0), deviation).reshape(*wide.shape)[margin:-margin, margin:-margin]
    return blurred / blurred.std()


def cover(rng: np.random.Generator, kind: int, picture: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of the picture (H, W, 3) and of the tile that repeats over it from a random place: views of one size."""
    noise = tile(kind)
    row, column = (int(start) for start in rng.integers(TILE, size=2))
    height, width = picture.shape[:2]
    for top, bottom, first in _spans(row, height):
        for left, right, start in _spans(column, width):
            part = noise[first : first + bottom - top, start : start + right - left]
            yield picture[top:bottom, left:right], part


def _spans(place: int, length: int) -> Iterator[tuple[int, int, int]]:
    """From 0 to length: first, behind the last, and where in the tile each stretch begins."""
    begin = 0
    while begin < length:
        end = min(length, begin + TILE - place)
        yield begin, end, place
        begin, place = end, 0
