"""What a camera does to light on its way to a picture file: lens, sensor and development."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.noise import to_srgb

# Linear light 0..WHITE to 8-bit sRGB by a table; a soft shoulder above KNEE keeps highlights from clipping hard.
WHITE = 4.0
KNEE = 0.7
TABLE_SIZE = 1 << 14


@dataclass(frozen=True)
class Camera:
    """One camera and its settings, in pixels of an 800-pixel picture where a length is meant.

    exposure: factor; white_balance: (3,) factors; vignette: share of light lost in the corners
    blur: standard deviation of the lens; motion: (2,) length in x and y of motion blur, 0 mostly
    shot_noise, read_noise: standard deviation at white, and at black; grain: size of the noise
    quality: of the JPEG; full_chroma: True for 4:4:4
    """

    exposure: float
    white_balance: np.ndarray
    vignette: float
    blur: float
    motion: np.ndarray
    shot_noise: float
    read_noise: float
    grain: float
    saturation: float
    quality: int
    full_chroma: bool


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draws a camera: mostly a decent telephone in the hand."""
    moving = rng.random() < 0.12
    noisy = rng.random() < 0.25
    return Camera(
        exposure=float(np.exp(rng.normal(0.0, 0.22))),
        white_balance=np.exp(rng.normal(0.0, 0.05) * np.float32([1, 0, -1]) + rng.normal(0, 0.015, 3)).astype(
            np.float32
        ),
        vignette=float(rng.uniform(0.0, 0.35)),
        blur=float(rng.uniform(0.25, 0.8) if rng.random() < 0.85 else rng.uniform(0.8, 1.6)),
        motion=rng.normal(0.0, 3.0, 2) * moving,
        shot_noise=float(rng.uniform(0.015, 0.05) if noisy else rng.uniform(0.002, 0.015)),
        read_noise=float(rng.uniform(0.001, 0.008) if noisy else rng.uniform(0.0003, 0.002)),
        grain=float(rng.uniform(0.0, 0.7)),
        saturation=float(rng.normal(1.0, 0.08)),
        quality=int(rng.integers(85, 96)),
        full_chroma=bool(rng.random() < 0.4),
    )


def _tone_table() -> np.ndarray:
    light = np.linspace(0.0, WHITE, TABLE_SIZE)
    over = np.maximum(light - KNEE, 0.0) / (1.0 - KNEE)
    shown = np.where(light < KNEE, light, KNEE + (1.0 - KNEE) * (1.0 - np.exp(-over)))
    return (255.0 * to_srgb(shown)).astype(np.float32)


_TONES = _tone_table()


def _motion_kernel(motion: np.ndarray) -> np.ndarray:
    """A centred line as a filter, so that what moved stays where the labels say."""
    reach = int(np.ceil(np.abs(motion).max() / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    ends = [tuple(round(16 * (reach + sign * float(value) / 2)) for value in motion) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=4)
    kernel += kernel[::-1, ::-1]
    return kernel / kernel.sum()


def _colour_matrix(camera: Camera) -> np.ndarray:
    """(3, 3) float32: white balance, then saturation."""
    saturate = camera.saturation * np.eye(3) + (1.0 - camera.saturation) / 3.0
    return (saturate @ np.diag(camera.white_balance)).astype(np.float32)


def develop(rng: np.random.Generator, camera: Camera, light: np.ndarray) -> np.ndarray:
    """Turns linear light (H, W, 3) float32 RGB into an (H, W, 3) uint8 sRGB picture."""
    height, width = light.shape[:2]
    scale = width / 800.0
    columns = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    shade = np.float32(camera.exposure) * (
        1.0 - np.float32(camera.vignette / 2) * (columns[None] ** 2 + rows[:, None] ** 2)
    )
    light = cv2.multiply(cv2.transform(light, _colour_matrix(camera)), cv2.merge([shade, shade, shade]))
    np.clip(light, 0.0, WHITE, out=light)
    if np.abs(camera.motion).max() * scale > 1.0:
        light = cv2.filter2D(light, -1, _motion_kernel(camera.motion * scale), borderType=cv2.BORDER_REPLICATE)
    if camera.blur * scale > 0.2:
        light = cv2.GaussianBlur(light, (0, 0), camera.blur * scale, borderType=cv2.BORDER_REPLICATE)
    grains = (rng.random(light.shape, dtype=np.float32) - np.float32(0.5)) * np.float32(12**0.5)
    if camera.grain > 0.3:
        grains = cv2.GaussianBlur(grains, (0, 0), camera.grain) * (1.0 + 2.5 * camera.grain)
    light += grains * np.sqrt(camera.shot_noise**2 * light + camera.read_noise**2)
    np.clip(light, 0.0, WHITE, out=light)
    shown = _TONES[(light * ((TABLE_SIZE - 1) / WHITE)).astype(np.uint16)]
    shown += grains[..., :1] * np.float32(12**-0.5) + np.float32(0.5)  # dither, so that gradients show no steps
    return np.minimum(shown, 255.0).astype(np.uint8)


def encode_jpeg(camera: Camera, picture: np.ndarray) -> bytes:
    """The (H, W, 3) uint8 RGB picture as the bytes of a JPEG file."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if camera.full_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    settings = [cv2.IMWRITE_JPEG_QUALITY, camera.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, data = cv2.imencode(".jpg", picture[..., ::-1], settings)
    if not done:
        raise RuntimeError(f"cannot encode a picture of shape {picture.shape} as JPEG")
    return data.tobytes()
