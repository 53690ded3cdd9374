"""How a template becomes a face: its meshes side by side, turning, as frames and as a .gif.

After Pixel2Mesh's prediction, which turns its result by 10 degrees in each of 36 frames; here the start and the mesh
after each block turn together. Flat facets show how fine each mesh is.
"""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from Sim3DR import rasterize
from util.pictures import FONT

FRAMES = 36
TILE = 200
# Of half the tile, what the radius of the turn or half the height fills, whichever is larger.
FILLED = 0.92
MILLISECONDS = 80
BACKGROUND = 24
AMBIENT = 0.25
# Towards the light, in the picture's space: x to the right, y up, z to the viewer.
LIGHT = np.array([-0.35, 0.4, 0.85]) / np.linalg.norm([-0.35, 0.4, 0.85])
# Outside and inside, seen through where the mesh is open; 0..1.
OUTSIDE, INSIDE = np.array([0.93, 0.86, 0.80]), np.array([0.30, 0.40, 0.55])
# How many shades of each a .gif has.
OUTSIDE_SHADES, INSIDE_SHADES = 20, 10


def turning_pictures(stages: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """The FRAMES pictures (TILE, k TILE, 3) uint8 RGB of k meshes side by side, which turn once about the vertical,
    at first seen from the front.

    stages: of each mesh vertices (n, 3), y up, z to the front, in any one unit, and triangles (F, 3), counter-clockwise
    seen from outside. All are drawn at one scale and about one middle.
    """
    every = np.concatenate([verts for verts, _ in stages])
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    x, y, z = (every - middle).T
    scale = FILLED * TILE / 2 / max(np.hypot(x, z).max(), np.abs(y).max())
    names = ["start", *(f"block {number}" for number in range(1, len(stages)))]
    pictures = []
    for angle in np.arange(FRAMES) * 2 * np.pi / FRAMES:
        tiles = [_facets((verts - middle) * scale, triangles, angle) for verts, triangles in stages]
        for tile, name in zip(tiles, names, strict=True):
            cv2.putText(tile, name, (5, 13), FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
        pictures.append(np.concatenate(tiles, axis=1))
    return pictures


def _facets(verts: np.ndarray, triangles: np.ndarray, angle: float) -> np.ndarray:
    """(TILE, TILE, 3) uint8 RGB: a mesh round the origin, in pixels, turned by an angle about the vertical."""
    cosine, sine = np.cos(angle), np.sin(angle)
    corners = (verts @ np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]))[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    outside = normals[:, 2:] > 0
    light = np.maximum(np.where(outside, normals, -normals) @ LIGHT, 0)
    colors = np.where(outside, OUTSIDE, INSIDE) * (AMBIENT + (1 - AMBIENT) * light[:, None])
    # twice as large, for smooth edges; pixel centres lie at whole numbers, y runs down
    screen = corners.reshape(-1, 3) * [2, -2, 2] + [TILE - 0.5, TILE - 0.5, 0]
    background = np.full((2 * TILE, 2 * TILE, 3), BACKGROUND, np.uint8)
    own = np.arange(len(screen), dtype=np.int32).reshape(-1, 3)
    large = rasterize(screen, own, colors.repeat(3, axis=0).astype(np.float32), background)
    return cv2.resize(large, (TILE, TILE), interpolation=cv2.INTER_AREA)


def gif_bytes(pictures: Sequence[np.ndarray]) -> bytes:
    """A .gif without end of `turning_pictures`, in the few colours that they are mixed of."""
    height, width = pictures[0].shape[:2]
    shades = [np.linspace(AMBIENT, 1, OUTSIDE_SHADES)[:, None] * OUTSIDE]
    shades += [np.linspace(AMBIENT, 1, INSIDE_SHADES)[:, None] * INSIDE]
    colors = np.concatenate([[[BACKGROUND] * 3, [255] * 3], *(np.rint(255 * each) for each in shades)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.astype(np.uint8).tobytes())
    whole = Image.fromarray(np.concatenate(pictures)).quantize(palette=palette, dither=Image.Dither.NONE)
    frames = [whole.crop((0, top, width, top + height)) for top in range(0, whole.height, height)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)
    return buffer.getvalue()
