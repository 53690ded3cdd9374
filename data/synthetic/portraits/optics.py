"""What becomes of light on its way to a picture that somebody finds: lens, sensor, development, and the copies of it.

Wider than data/synthetic/camera.py, from old telephones to studios; quick, as the middle of it has eight bits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg

from data.synthetic.noise import to_srgb
from data.synthetic.portraits.grain import BLOTCHED, FINE, SOFT, cover
from data.synthetic.portraits.light import LUMINANCE

WHITE = 2.5  # the brightest light that a sensor tells from brighter ones
SMALLEST = 56  # pixels a side that pictures are shrunk to: in smaller ones nobody knows a face
KNEE = 0.7  # above this, highlights are pressed together
SEPIA = np.float32([1.07, 0.97, 0.78])
RANGE = tuple[float, float]


class Kind(NamedTuple):
    """A kind of camera and of what is done with its pictures; each setting is drawn evenly from its range.

    share: of all pictures; blur: standard deviation in 1/800 of the picture's width; noise: standard deviation of the
    root of light; contrast: slope of the tone curve in its middle; saturation; sharpen: strength of the halos; shrink:
    how many times smaller than the picture its file is; quality: of the JPEG
    """

    share: float
    blur: RANGE
    noise: RANGE
    contrast: RANGE
    saturation: RANGE
    sharpen: RANGE
    shrink: RANGE
    quality: RANGE


KINDS = {
    "telephone": Kind(0.30, (0.3, 1.0), (0.002, 0.014), (1.0, 1.3), (0.9, 1.25), (0.0, 0.8), (1.0, 1.3), (70, 95)),
    "old telephone": Kind(0.12, (0.8, 2.5), (0.01, 0.05), (0.9, 1.4), (0.6, 1.2), (0.0, 1.5), (1.3, 3.5), (35, 80)),
    "webcam": Kind(0.10, (0.8, 2.8), (0.008, 0.035), (0.8, 1.3), (0.5, 1.2), (0.0, 1.5), (1.2, 3.0), (45, 85)),
    "compact": Kind(0.16, (0.4, 1.2), (0.004, 0.02), (1.0, 1.35), (0.9, 1.3), (0.2, 1.2), (1.0, 1.8), (60, 95)),
    "reflex": Kind(0.22, (0.2, 0.7), (0.001, 0.008), (0.9, 1.25), (0.85, 1.15), (0.0, 0.5), (1.0, 1.2), (80, 98)),
    "film": Kind(0.06, (0.6, 1.8), (0.008, 0.03), (0.8, 1.4), (0.5, 1.2), (0.0, 0.6), (1.0, 2.0), (60, 95)),
    "surveillance": Kind(0.04, (1.5, 5.0), (0.01, 0.06), (0.7, 1.3), (0.2, 0.9), (0.0, 1.0), (2.0, 6.0), (25, 70)),
}
NAMES = tuple(KINDS)
SHARES = np.array([kind.share for kind in KINDS.values()])


@dataclass(frozen=True)
class Camera:
    """One camera, its settings and what is done with the picture.

    colours: (3, 3) float32, exposure, white balance, saturation; haze: share of the mean light that is all over
    vignette: share of light lost in the corners; blur: standard deviation; motion: (2,) x and y of motion blur, both
    lengths in 1/800 of the picture's width; noise, grain: strength and kind of noise
    curve: (1, 256, 3) uint8: the root of light, 0..root of WHITE, to what is shown
    smooth: side of the median filter that takes noise away, 0 for none; sharpen: strength of the halos
    shrink: how many times smaller the file is; interpolation: how it is enlarged again, one of OpenCV's
    quality, full_chroma: of the JPEG; copies: how many times it was opened and saved again
    """

    colours: np.ndarray
    haze: float
    vignette: float
    blur: float
    motion: np.ndarray
    noise: float
    grain: int
    curve: np.ndarray
    smooth: int
    sharpen: float
    shrink: float
    interpolation: int
    quality: int
    full_chroma: bool
    copies: int


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draws a camera: mostly a telephone in the hand or a good camera, rarely a poor one, black and white, or sepia."""
    name = NAMES[int(rng.choice(len(NAMES), p=SHARES / SHARES.sum()))]
    kind = KINDS[name]
    grey = rng.random() < (0.2 if name in ("film", "surveillance") else 0.025)
    sepia = grey and rng.random() < 0.25
    poor = kind.noise[1] > 0.02
    noise = rng.uniform(*kind.noise) * (2.0 if rng.random() < 0.05 else 1.0)
    defocused = rng.random() < 0.06
    return Camera(
        colours=_colours(rng, 0.0 if grey else rng.uniform(*kind.saturation), 0.14 if poor else 0.07),
        haze=rng.uniform(0.0, 0.12) if rng.random() < 0.25 else 0.0,
        vignette=rng.uniform(0.1, 0.5) if rng.random() < 0.35 else 0.0,
        blur=rng.uniform(2.0, 6.0) if defocused else rng.uniform(*kind.blur),
        motion=rng.normal(0.0, 6.0, 2) * (rng.random() < 0.07),
        noise=noise,
        grain=int(rng.choice([FINE, SOFT, BLOTCHED], p=[0.2, 0.4, 0.4] if poor else [0.5, 0.4, 0.1])),
        curve=_curve(rng, rng.uniform(*kind.contrast), SEPIA if sepia else _split_tone(rng, name == "film")),
        smooth=3 if rng.random() < (0.35 if poor else 0.05) else 0,
        sharpen=rng.uniform(*kind.sharpen) * (rng.random() < 0.5),
        shrink=rng.uniform(*kind.shrink),
        interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.6, 0.35, 0.05])),
        quality=int(rng.uniform(*kind.quality)),
        full_chroma=bool(rng.random() < 0.3),
        copies=2 if rng.random() < 0.15 else 1,
    )


def _colours(rng: np.random.Generator, saturation: float, spread: float) -> np.ndarray:
    """(3, 3) float32 exposure, white balance, saturation."""
    warmth, tint = rng.normal(0.0, spread), rng.normal(0.0, 0.3 * spread)
    balance = np.exp(rng.normal(0.0, 0.15) + np.array([warmth, tint, -warmth]))
    saturate = saturation * np.eye(3) + (1.0 - saturation) * LUMINANCE
    return (saturate @ np.diag(balance)).astype(np.float32)


def _split_tone(rng: np.random.Generator, film: bool) -> np.ndarray:
    """(3,) factors of the shown colours: film fades to a colour, and so do filters."""
    return np.exp(rng.normal(0.0, 0.05 if film or rng.random() < 0.08 else 0.004, 3)).astype(np.float32)


def _curve(rng: np.random.Generator, contrast: float, tone: np.ndarray) -> np.ndarray:
    """(1, 256, 3) uint8: sRGB with a soft shoulder, then an S of this slope in its middle, lifted blacks, a tone."""
    light = np.square(np.linspace(0.0, np.sqrt(WHITE), 256, dtype=np.float32))
    over = np.maximum(light - KNEE, 0.0) / (1.0 - KNEE)
    if rng.random() < 0.3:  # a hard end, as cheap sensors have
        shown = to_srgb(light)
    else:
        shown = to_srgb(np.where(light < KNEE, light, KNEE + (1.0 - KNEE) * (1.0 - np.exp(-over))))
    shown = shown ** np.exp(rng.normal(0.0, 0.12))
    middle = rng.uniform(0.35, 0.55)
    slope = 4.0 * (contrast - 1.0)
    shown = np.clip(shown + slope * shown * (1.0 - shown) * (shown - middle), 0.0, 1.0)
    if rng.random() < 0.2:
        black = rng.uniform(0.0, 0.12)
        shown = black + (rng.uniform(0.88, 1.0) - black) * shown
    return np.clip(255.0 * shown[:, None] * tone + 0.5, 0.0, 255.0).astype(np.uint8)[None]


def develop(rng: np.random.Generator, light: np.ndarray, camera: Camera | None = None) -> np.ndarray:
    """(H, W, 3) uint8 sRGB picture of linear light (H, W, 3) float32 RGB, by a camera drawn here where none is given.

    The light is not changed. What is shown stays where it is: no step moves the picture.
    """
    camera = camera or draw_camera(rng)
    height, width = light.shape[:2]
    size = [max(min(side, SMALLEST), round(side / camera.shrink)) for side in (width, height)]
    if camera.shrink > 1.1:  # areas take seven times as long, and are needed where several pixels become one
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA if camera.shrink > 1.6 else cv2.INTER_LINEAR)
    scale = light.shape[1] / 800.0
    light = expose(camera, light)
    if np.abs(camera.motion).max() * scale > 1.0:
        light = _smear(light, camera.motion * scale)
    if camera.blur * scale > 0.25:
        light = _soften(light, camera.blur * scale)
    picture = record(rng, camera, light)
    if camera.smooth:
        picture = cv2.medianBlur(picture, camera.smooth)
    if camera.sharpen > 0.0:
        soft = cv2.GaussianBlur(picture, (5, 5), 1.0)
        picture = cv2.addWeighted(picture, 1.0 + camera.sharpen, soft, -camera.sharpen, 0.0)
    for _ in range(camera.copies):
        picture = compress(picture, camera.quality, camera.full_chroma)
    if picture.shape != (height, width, 3):
        picture = cv2.resize(picture, (width, height), interpolation=camera.interpolation)
    return picture


def expose(camera: Camera, light: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: what reaches the sensor, in the camera's colours, perhaps below 0."""
    matrix = camera.colours
    if camera.haze > 0.0:
        haze = camera.haze * (camera.colours @ np.float32(cv2.mean(light)[:3]))
        matrix = np.concatenate([np.float32(1.0 - camera.haze) * matrix, haze[:, None]], axis=1, dtype=np.float32)
    exposed = cv2.transform(light, matrix)
    if camera.vignette > 0.0:
        rows, columns = (_fall_off(length, camera.vignette) for length in light.shape[:2])
        exposed *= rows[:, None, None]
        flat = exposed.reshape(len(rows), -1)
        flat *= np.repeat(columns, 3)
    return exposed


def record(rng: np.random.Generator, camera: Camera, light: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the sensor's noise, as strong everywhere on the root of light, and the tone curve. Changes the
    light (H, W, 3)."""
    root = cv2.sqrt(np.maximum(light, 0.0, out=light), light)
    for part, noise in cover(rng, camera.grain, root):
        cv2.scaleAdd(noise, camera.noise, part, part)
    return cv2.LUT(cv2.convertScaleAbs(root, alpha=255.0 / np.sqrt(WHITE)), camera.curve)


def compress(picture: np.ndarray, quality: int, full_chroma: bool) -> np.ndarray:
    """The (H, W, 3) uint8 RGB picture, saved as JPEG and read again."""
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality, "RGB", "444" if full_chroma else "420")
    return simplejpeg.decode_jpeg(data, "RGB")


def _fall_off(length: int, corner: float) -> np.ndarray:
    """(length,) float32: factors along a side, whose product with the other side's is 1 in the middle of the picture
    and 1 - corner in its corners."""
    places = np.linspace(-1.0, 1.0, length, dtype=np.float32)
    return np.exp(np.float32(0.5 * np.log(1.0 - corner)) * places**2)


def _soften(light: np.ndarray, deviation: float) -> np.ndarray:
    """Blurs with a Gaussian, cut off at 2.5 deviations."""
    side = 2 * int(np.ceil(2.5 * deviation)) + 1
    return cv2.GaussianBlur(light, (side, side), deviation, borderType=cv2.BORDER_REPLICATE)


def _smear(light: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The mean of the picture along a line of x and y `motion` pixels, whose middle stays where it is."""
    steps = int(np.ceil(np.abs(motion).max())) + 1
    reach = int(np.ceil(np.abs(motion).max() / 2))
    height, width = light.shape[:2]
    wide = cv2.copyMakeBorder(light, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    total = np.zeros_like(light)
    for share in np.linspace(-0.5, 0.5, steps):
        left, top = (reach + round(float(share * length)) for length in motion)
        total += wide[top : top + height, left : left + width]
    return total / np.float32(steps)
