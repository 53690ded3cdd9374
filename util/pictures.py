"""Pictures for people: meshes and points over photos, mosaics, error maps."""

from pathlib import Path

import cv2
import numpy as np

from Sim3DR import RenderPipeline, rasterize
from util.camera import screen_vertices, transform
from util.checkpoint import write_whole
from util.errors import InputError
from util.landmarks import CHAINS_68
from util.mesh import Topology

MESH_OPACITY = 0.7
# The light of the published overlays.
LIGHT = RenderPipeline(
    intensity_ambient=0.3,
    intensity_directional=0.6,
    intensity_specular=0.1,
    specular_exp=5,
    light_pos=(0, 0, 5),
    view_pos=(0, 0, 5),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def overlay_mesh(
    image: np.ndarray, verts: np.ndarray, R_t: np.ndarray, triangles: np.ndarray, projection: np.ndarray
) -> np.ndarray:
    """The lit mesh of a prediction over its photo.

    image: (h, w, 3) uint8 RGB, not changed; verts: (N, 3) canonical metres; R_t, projection: (4, 4).
    """
    height, width = image.shape[:2]
    screen = screen_vertices(transform(verts, R_t), projection, width, height)
    distance = -screen[:, 2]
    # The light wants depth in the pixels of x and y: one focal length of pixels is one distance of the face.
    screen[:, 2] *= projection[0, 0] * width / 2 / max(abs(float(R_t[3, 2])), 1e-3)
    # Screen y points down, which turns triangles inside out: the other way round they face the camera again.
    return LIGHT(screen, np.ascontiguousarray(triangles[:, ::-1]), image, w=distance, alpha=MESH_OPACITY)


def draw_landmarks(image: np.ndarray, points: np.ndarray, color: tuple[int, int, int] = (80, 255, 80)) -> np.ndarray:
    """The 68 points (68, 2), in pixels from the corner, with their chains, over a copy of the image (h, w, 3)."""
    picture = image.copy()
    thickness = max(1, round(image.shape[0] / 500))
    # OpenCV draws with pixel centres at integers, in sixteenths of a pixel here.
    pixels = np.clip(np.rint((points - 0.5) * 16), -(2**20), 2**20).astype(np.int32)
    for chain, closed in CHAINS_68:
        cv2.polylines(picture, [pixels[list(chain)]], closed, color, thickness, cv2.LINE_AA, shift=4)
    for x, y in pixels:
        center = int(x), int(y)
        cv2.circle(picture, center, 16 * thickness, color, -1, cv2.LINE_AA, shift=4)
    return picture


def draw_box(image: np.ndarray, box: np.ndarray, color: tuple[int, int, int] = (255, 200, 40)) -> np.ndarray:
    """A box (left, top, right, bottom) over a copy of the image."""
    left, top, right, bottom = (round(float(edge) - 0.5) for edge in box)
    thickness = max(1, round(image.shape[0] / 400))
    return cv2.rectangle(image.copy(), (left, top), (right, bottom), color, thickness)


def label(image: np.ndarray, text: str) -> np.ndarray:
    """Text in the upper left corner over a copy of the image, dark-rimmed so that it reads on anything."""
    picture, scale = image.copy(), image.shape[1] / 640
    text = text.encode("ascii", "replace").decode()  # OpenCV's font has no more
    for color, thickness in ((0, 0, 0), 4), ((255, 255, 255), 1):
        position = (int(10 * scale) + 2, int(24 * scale) + 4)
        cv2.putText(picture, text, position, FONT, 0.75 * scale, color, max(1, round(thickness * scale)), cv2.LINE_AA)
    return picture


def mosaic(images: list[np.ndarray], columns: int, tile: int) -> np.ndarray:
    """Square tiles of `tile` pixels in rows of `columns`, black where images run out."""
    rows = -(-len(images) // columns)
    picture = np.zeros((rows * tile, columns * tile, 3), dtype=np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        shrunk = cv2.resize(image, (tile, tile), interpolation=cv2.INTER_AREA)
        picture[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile] = shrunk
    return picture


def fit_square(image: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): the whole image in the middle of black, as large as fits."""
    height, width = image.shape[:2]
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    picture = np.zeros((side, side, 3), np.uint8)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    picture[top : top + size[1], left : left + size[0]] = shrunk
    return picture


def color_map(values: np.ndarray, highest: float) -> np.ndarray:
    """(..., 3) float32 RGB in 0..1 of values 0..highest, blue to red (turbo)."""
    levels = np.clip(values / highest * 255, 0, 255).astype(np.uint8)
    return cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_TURBO)[:, 0, ::-1].reshape(*values.shape, 3) / 255.0


def draw_scale(picture: np.ndarray, texts: list[str]) -> None:
    """Draws the colours of `color_map`, the highest at the top, with evenly spaced texts, along the right of a
    picture (h, w, 3) uint8 RGB."""
    height, width = picture.shape[:2]
    unit = min(height, width) / 512
    top, right, thickness = round(40 * unit), width - round(26 * unit), max(1, round(unit))
    ramp = color_map(np.linspace(1, 0, height - 2 * top), 1.0)
    left = right - max(1, round(16 * unit))
    picture[top : height - top, left:right] = np.rint(ramp[:, None] * 255)
    for text, row in zip(texts, np.linspace(top, height - top, len(texts)), strict=True):
        (text_width, _), _ = cv2.getTextSize(text, FONT, 0.45 * unit, thickness)
        place = round(left - 6 * unit) - text_width, round(row + 4 * unit)
        cv2.putText(picture, text, place, FONT, 0.45 * unit, (255, 255, 255), thickness, cv2.LINE_AA)


def error_map(
    errors: np.ndarray, topology: Topology, highest: float, title: str = "mean error, mm", size: int = 512
) -> np.ndarray:
    """The mean face from the front, each vertex coloured by its error, with a scale.

    errors: (N,) millimetres; highest: the error that is drawn red, in mm. Returns (size, size, 3) uint8 RGB.
    """
    low, high = topology.template.min(axis=0), topology.template.max(axis=0)
    pixels_per_metre = 0.84 * size / (high - low)[:2].max()
    screen = (topology.template - (low + high) / 2) * pixels_per_metre
    screen = np.stack([screen[:, 0] + 0.46 * size, size / 2 - screen[:, 1], screen[:, 2]], axis=1).astype(np.float32)
    background = np.full((size, size, 3), 32, dtype=np.uint8)
    picture = rasterize(screen, topology.triangles, color_map(errors, highest).astype(np.float32), bg=background)
    draw_scale(picture, [f"{value:.1f}" for value in (highest, highest / 2, 0)])
    return label(picture, title)


def save_picture(path: Path, image: np.ndarray) -> None:
    """Writes (h, w, 3) uint8 RGB, or (h, w) grey, uint8 or uint16, as the kind of file that the name's ending says.

    Raises InputError where the picture is too large for that, as beyond 65,500 pixels for JPEG."""
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image)
    if not done:
        raise InputError(f"{path}: wanted a picture that such a file can hold, got {image.shape[1]}x{image.shape[0]}")
    write_whole(path, lambda file: file.write(data.tobytes()))
