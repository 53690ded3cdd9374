"""What stands behind a person: painted once a process and varied in each picture, or a user's folder of pictures."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from data.synthetic.background import PAINTER_SHARES, PAINTERS, defocus
from data.synthetic.noise import fractal_noise, random_colour, smooth_noise, surrounding_colour, to_linear
from data.synthetic.portraits.grain import TEXTURE, cover
from util.errors import InputError

STORE = 64  # painted backdrops
PAINTED_SIZE = 384  # pixels a side
BRIGHTEST = 8.0  # light of a painted backdrop's largest number, 65535: half the memory of floats
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
CACHE = 64  # of a user's pictures, kept in memory
# A user's picture of more bytes than this is read at half, a quarter, an eighth of its size: it is blurred anyhow.
LARGE_FILES = ((6_000_000, cv2.IMREAD_REDUCED_COLOR_8), (1_500_000, cv2.IMREAD_REDUCED_COLOR_4))
MEDIUM_FILE = 400_000
LINEAR = to_linear(np.arange(256) / 255.0)


class Backdrops:
    """Backdrops by chance: those painted here, or the pictures of a folder and the folders in it."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """Raises FileNotFoundError for a folder that is not there, InputError for one without pictures."""
        self.files: list[Path] = []
        if folder is not None:
            folder = Path(folder)
            if not folder.is_dir():
                raise FileNotFoundError(f"backdrops {folder}: no such folder")
            files = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
            self.files = sorted(files)
            if not self.files:
                endings = ", ".join(sorted(ENDINGS))
                raise InputError(f"backdrops {folder}: wanted pictures ({endings}), got none")

    def draw(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """(height, width, 3) float32 linear RGB, mostly within 0..1, windows and lamps above: a random part of a random
        backdrop, mirrored, recoloured, blurred. Depends on the generator and the folder alone.

        Raises InputError for a picture that cannot be read.
        """
        if self.files:
            source = read_backdrop(self.files[int(rng.integers(len(self.files)))])
            part = _part(rng, source, height, width, 0.5)
            part = cv2.LUT(part, LINEAR)
            matrix = np.diag(np.exp(rng.normal(0.0, 0.2) + rng.normal(0.0, 0.05, 3)))
        else:
            part = _part(rng, painted(int(rng.integers(STORE))), height, width, 0.4)
            part = np.multiply(part, np.float32(BRIGHTEST / 65535), dtype=np.float32)
            matrix = recolouring(rng)
        part = cv2.transform(part, matrix.astype(np.float32))
        part = np.maximum(part, 0.0, out=part)
        if rng.random() < 0.75:
            part = _blur(part, float(np.exp(rng.uniform(np.log(0.004), np.log(0.06)))) * min(part.shape[:2]))
            return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        picture = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        if not self.files:
            _roughen(rng, picture)
        return picture


def recolouring(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) a random turn of all hues, with a saturation, a brightness and a tint."""
    turn = cv2.Rodrigues(np.full(3, rng.uniform(-np.pi, np.pi) / np.sqrt(3.0) * (rng.random() < 0.35)))[0]
    saturation = rng.uniform(0.15, 1.1)
    grey = np.full((3, 3), 1 / 3)
    warmth = rng.normal(0.0, 0.12)
    tint = np.exp(rng.normal(0.0, 0.45) + np.array([warmth, rng.normal(0.0, 0.05), -warmth]))
    return np.diag(tint) @ (grey + saturation * (turn - grey))


def _part(rng: np.random.Generator, source: np.ndarray, height: int, width: int, least: float) -> np.ndarray:
    """A random part of a picture, of the proportions of height x width and of `least` to all of its size, perhaps
    mirrored, and shrunk to height x width where it is larger."""
    rows, columns = source.shape[:2]
    scale = min(rows / height, columns / width) * rng.uniform(least, 1.0)
    high, wide = max(1, int(scale * height)), max(1, int(scale * width))
    top, left = int(rng.integers(rows - high + 1)), int(rng.integers(columns - wide + 1))
    part = source[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if high > height:
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(part)


def _blur(picture: np.ndarray, deviation: float) -> np.ndarray:
    """Blurs, and shrinks first what is blurred much, so that the result may be smaller."""
    factor = max(1, int(deviation / 1.2))
    if factor > 1:
        size = (max(2, picture.shape[1] // factor), max(2, picture.shape[0] // factor))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    # what was shrunk is enlarged again between its pixels, which blurs it by about half a pixel
    return cv2.GaussianBlur(picture, (7, 7), max(deviation / factor, 0.3), borderType=cv2.BORDER_REFLECT)


def _roughen(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Multiplies a sharp backdrop by fine texture, which the painted ones are too coarse to have."""
    strength = float(rng.uniform(0.0, 0.18))
    for part, noise in cover(rng, TEXTURE, picture):
        part += cv2.multiply(part, noise, scale=strength)
    np.maximum(picture, 0.0, out=picture)


@lru_cache(maxsize=STORE)
def painted(index: int) -> np.ndarray:
    """(PAINTED_SIZE, PAINTED_SIZE, 3) uint16, linear RGB * 65535 / BRIGHTEST: the backdrop of a number below STORE, the
    same in every process."""
    rng = np.random.default_rng((0xBD, index))
    shares = np.cumsum([*(0.75 * np.array(PAINTER_SHARES)), 0.13, 0.12])
    paint = (*PAINTERS, paint_letters, paint_crowd)[np.searchsorted(shares, (index + 0.5) / STORE)]
    return (np.clip(paint(rng, PAINTED_SIZE), 0.0, BRIGHTEST) * (65535 / BRIGHTEST)).astype(np.uint16)


def paint_letters(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall of logos and letters, as behind people who meet the press, or a few large ones, as of shops."""
    ground = surrounding_colour(rng, (0.1, 1.0))
    picture = np.tile(ground, (size, size, 1)) * (1.0 + 0.1 * smooth_noise(rng, size, size, 3))[..., None]
    picture = np.ascontiguousarray(picture, np.float32)
    colours = [random_colour(rng, (0.0, 1.0), (0.0, 1.0)).tolist() for _ in range(int(rng.integers(1, 4)))]
    words = ["".join(map(chr, rng.integers(65, 91, int(rng.integers(1, 9))))) for _ in range(4)]
    step = int(rng.integers(40, 200))
    for row, top in enumerate(range(0, size + step, step)):
        for column, left in enumerate(range(-step * (row % 2), size, 2 * step)):
            colour, word = colours[(row + column) % len(colours)], words[(2 * row + column) % len(words)]
            if rng.random() < 0.3:
                axes = int(0.6 * step), int(rng.uniform(0.2, 0.45) * step)
                cv2.ellipse(picture, (left + step // 2, top), axes, 0, 0, 360, colour, int(rng.choice([-1, 3])))
                continue
            font, thick = int(rng.choice([0, 2, 3, 4, 6])), max(1, step // int(rng.integers(8, 30)))
            cv2.putText(picture, word, (left, top), font, step * 0.018, colour, thick, cv2.LINE_AA)
    return defocus(picture, rng.choice([0.0, rng.uniform(0.5, 5.0)]))


def paint_crowd(rng: np.random.Generator, size: int) -> np.ndarray:
    """Other people out of focus: heads and shoulders, the nearer the larger."""
    picture = np.tile(surrounding_colour(rng, (0.1, 0.7)), (size, size, 1))
    picture = np.ascontiguousarray(picture * np.exp(0.5 * fractal_noise(rng, size, size, 4, 4))[..., None], np.float32)
    for _ in range(int(rng.integers(3, 14))):
        radius = rng.uniform(0.04, 0.14) * size
        x, y = rng.uniform(0.0, 1.0) * size, rng.uniform(0.15, 0.9) * size
        skin = np.float32([0.45, 0.27, 0.19]) * np.float32(np.exp(rng.normal(-0.3, 0.5)))
        hair = np.float32([0.2, 0.13, 0.08]) * np.float32(np.exp(rng.normal(-0.7, 0.9)))
        shapes = (
            (0.0, 3.6, 2.2, 2.2, random_colour(rng, (0.0, 0.8), (0.05, 0.9))),  # shoulders
            (0.0, -0.2, 1.0, 1.25, hair),
            (rng.uniform(-0.3, 0.3), 0.15, 0.75, 1.0, skin),
        )
        for right, down, wide, high, colour in shapes:
            centre = int(x + right * radius), int(y + down * radius)
            axes = int(wide * radius), int(high * radius)
            cv2.ellipse(picture, centre, axes, rng.uniform(-8, 8), 0, 360, colour.tolist(), -1, cv2.LINE_AA)
    return defocus(picture, rng.uniform(3.0, 14.0))


@lru_cache(maxsize=CACHE)
def read_backdrop(path: Path) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a picture file, large ones smaller; InputError where it cannot be read."""
    data = path.read_bytes()
    flag = cv2.IMREAD_REDUCED_COLOR_2 if len(data) > MEDIUM_FILE else cv2.IMREAD_COLOR
    flag = next((smaller for size, smaller in LARGE_FILES if len(data) > size), flag)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error:  # a picture larger than OpenCV admits
        picture = None
    if picture is None:
        raise InputError(f"backdrop {path}: wanted a picture, got {len(data)} bytes that OpenCV cannot decode")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
