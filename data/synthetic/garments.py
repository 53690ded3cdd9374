"""Clothes: the texture of what covers the shoulders."""

import numpy as np

from data.synthetic.noise import fractal_noise, random_colour, smooth_noise

CLOTHES_SIZE = 512


def paint_clothes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Albedo with gloss (T, T, 4), linear, and the folds (T, T, 3) that are added to the unit normals."""
    size = CLOTHES_SIZE
    dull = rng.random() < 0.6
    base = random_colour(rng, (0.0, 0.35), (0.06, 0.95)) if dull else random_colour(rng, (0.3, 0.85), (0.12, 0.7))
    second = random_colour(rng, (0.0, 0.8), (0.1, 0.95))
    albedo = np.tile(base, (size, size, 1)).astype(np.float32)
    kind = rng.choice(["plain", "stripes", "columns", "checks", "dots", "print", "melange"], p=PATTERN_SHARES)
    share = _pattern(rng, str(kind), size)
    albedo += share[..., None] * (second - albedo)
    weave = 1.0 + rng.uniform(0.01, 0.06) * smooth_noise(rng, size, size, 250)
    weave += 0.05 * fractal_noise(rng, size, size, 8, 4)
    albedo *= np.clip(weave, 0.6, 1.4)[..., None]
    folds = fractal_noise(rng, size, size, rng.uniform(4, 8), 3, 0.45, channels=3) * np.float32([1.0, 0.6, 0.3])
    folds *= rng.uniform(0.06, 0.22)
    gloss = np.full((size, size, 1), rng.choice([0.02, rng.uniform(0.05, 0.25)]), np.float32)
    return np.dstack([np.clip(albedo, 0.005, 0.9), gloss]).astype(np.float32), folds.astype(np.float32)


PATTERN_SHARES = (0.45, 0.16, 0.05, 0.12, 0.05, 0.05, 0.12)


def _pattern(rng: np.random.Generator, kind: str, size: int) -> np.ndarray:
    """(size, size) float32 share of the second colour, 0..1."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    period, duty = rng.uniform(14, 44), rng.uniform(0.25, 0.6)

    def bands(place: np.ndarray) -> np.ndarray:
        return np.clip((np.abs((place / period) % 1.0 - 0.5) - 0.5 * (1 - duty)) * period / 1.5, 0.0, 1.0)

    if kind == "stripes":
        return bands(rows)
    if kind == "columns":
        return bands(columns)
    if kind == "checks":
        return 0.5 * bands(rows) + 0.5 * bands(columns)
    if kind == "dots":
        step = period * 0.8
        shifted = columns + 0.5 * step * (np.floor(rows / step) % 2)
        distance = np.hypot(rows % step - step / 2, shifted % step - step / 2)
        return np.clip(0.25 * step - distance, 0.0, 1.0)
    if kind == "print":
        blobs = fractal_noise(rng, size, size, rng.uniform(10, 30), 2)
        return np.clip((blobs - rng.uniform(0.2, 0.9)) * 8.0, 0.0, 1.0)
    if kind == "melange":
        return np.clip(0.3 + 0.12 * smooth_noise(rng, size, size, 256), 0.0, 1.0)
    return np.zeros((size, size), np.float32)
