"""Random fields for textures and backgrounds."""

import cv2
import numpy as np


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: float, channels: int = 1) -> np.ndarray:
    """(height, width[, channels]) float32 noise of mean 0 and standard deviation 1, about `cells` bumps per side."""
    size = (max(2, round(cells * height / max(height, width))), max(2, round(cells * width / max(height, width))))
    grid = rng.standard_normal((*size, channels), dtype=np.float32)
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    field -= field.mean()
    field /= field.std() + 1e-6
    return field


def fractal_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cells: float,
    octaves: int = 5,
    gain: float = 0.5,
    channels: int = 1,
) -> np.ndarray:
    """Sum of `octaves` smooth noises, each twice as fine and `gain` times as strong; mean 0, deviation 1."""
    total = np.zeros((height, width, channels) if channels > 1 else (height, width), np.float32)
    for octave in range(octaves):
        if cells * 2**octave > 1.5 * max(height, width):
            break
        total += gain**octave * smooth_noise(rng, height, width, cells * 2**octave, channels)
    return total / (total.std() + 1e-6)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB values 0..1 to linear light, float32."""
    srgb = np.asarray(srgb, np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..1 to sRGB values, in the precision given."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def random_colour(
    rng: np.random.Generator, saturation: tuple[float, float] = (0.0, 1.0), value: tuple[float, float] = (0.05, 0.95)
) -> np.ndarray:
    """(3,) float32 linear RGB of a random hue; saturation and value as in HSV, drawn from the given ranges."""
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    return to_linear(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])


def surrounding_colour(rng: np.random.Generator, value: tuple[float, float] = (0.15, 0.9)) -> np.ndarray:
    """(3,) float32 linear RGB of walls and things: mostly white, grey, earth and wood, some blue, seldom loud."""
    kind = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    hue = (rng.normal(35.0, 14.0), rng.normal(212.0, 18.0), rng.uniform(60.0, 160.0), rng.uniform(0.0, 360.0))[kind]
    hsv = np.array([[[hue % 360.0, rng.beta(1.4, 3.5), rng.uniform(*value)]]], np.float32)
    return to_linear(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])
