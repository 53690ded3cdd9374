"""What is not skin: eyeballs, teeth, the inside of the mouth and clothes, in the mean head's frame, metres."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from data.synthetic.sculpture import EYE_RADIUS

EYE_UV_SCALE = 0.5  # uv radius of the point at `angle` from the gaze axis: EYE_UV_SCALE * sin(angle / 2)

# Radians from the gaze axis at which the cornea's bulge ends: a tenth beyond an iris with a radius of 5.9 mm
_CORNEA_ANGLE = 1.1 * float(np.arcsin(0.0059 / EYE_RADIUS))
_CORNEA_HEIGHT = 0.0006  # metres that the middle of the cornea stands out of the eyeball's sphere
# Row of teeth: arch half width and depth, height of the crown at the front, metres; teeth in all
_ARCH_WIDTH, _ARCH_DEPTH, _CROWN, _TEETH = 0.0265, 0.0330, 0.0095, 12
_UPPER_TEETH = (-0.0472, 0.0500)  # y of the cutting edge and z of the front of the incisors
_LOWER_TEETH = (-0.0478, 0.0480)
# Sections of the clothes: y of the section, half width, half depth, z of the middle; then how the collar dips in front
_SECTIONS = (
    (-0.1120, 0.0600, 0.0600, -0.062, 1.0),
    (-0.1080, 0.0650, 0.0655, -0.062, 1.0),
    (-0.1110, 0.0710, 0.0715, -0.062, 1.0),
    (-0.1230, 0.0830, 0.0800, -0.062, 0.9),
    (-0.1390, 0.1060, 0.0900, -0.061, 0.6),
    (-0.1560, 0.1420, 0.0990, -0.059, 0.35),
    (-0.1730, 0.1760, 0.1060, -0.057, 0.15),
    (-0.1970, 0.2030, 0.1110, -0.055, 0.0),
    (-0.2350, 0.2190, 0.1170, -0.053, 0.0),
    (-0.3000, 0.2270, 0.1240, -0.050, 0.0),
    (-0.4000, 0.2280, 0.1260, -0.050, 0.0),
    (-0.5500, 0.2220, 0.1250, -0.050, 0.0),
    (-0.8000, 0.2150, 0.1250, -0.050, 0.0),
)
_COLLAR_DIP = 0.040  # metres that the collar lies lower in front than at the sides
_COLLAR_RISE = 0.012  # and higher at the back
_FORWARD = 0.010  # metres that the front of the collar is drawn out


@dataclass(frozen=True)
class Solid:
    """A surface: vertices (V, 3) float64 metres, triangles (F, 3) int32 outward, uv (V, 2) float32."""

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray


def grid_triangles(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles (F, 3) int32 of a grid of vertices, row by row; closed: the last column meets the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]).astype(
        np.int32
    )


def eyeball(rows: int = 25, columns: int = 40) -> Solid:
    """An eyeball of radius 1 about the origin that looks along +z, with the bulge of the cornea.

    uv: the gaze axis is (0.5, 0.5), the angle a from it lies at the radius EYE_UV_SCALE * sin(a / 2); u goes with
    +x, v against +y.
    """
    angle = np.pi * np.linspace(0.0, 1.0, rows) ** 1.3
    turn = np.arange(columns) * (2 * np.pi / columns)
    angle, turn = np.meshgrid(angle, turn, indexing="ij")
    bulge = _CORNEA_HEIGHT / EYE_RADIUS * np.clip(1 - (angle / _CORNEA_ANGLE) ** 2, 0.0, 1.0) ** 1.5
    radius = 1.0 + bulge
    vertices = np.stack(
        [radius * np.sin(angle) * np.cos(turn), radius * np.sin(angle) * np.sin(turn), radius * np.cos(angle)], axis=-1
    )
    spread = EYE_UV_SCALE * np.sin(angle / 2)
    uv = np.stack([0.5 + spread * np.cos(turn), 0.5 - spread * np.sin(turn)], axis=-1)
    triangles = grid_triangles(rows, columns, closed=True)
    tips = triangles[:, 0] // columns == 0  # the pole's row is one point: drop the flat triangles there
    flat = (triangles < columns).sum(axis=1) > 1
    back = (triangles >= (rows - 1) * columns).sum(axis=1) > 1
    triangles = triangles[~((tips & flat) | back)]
    return Solid(vertices.reshape(-1, 3), triangles, uv.reshape(-1, 2).astype(np.float32))


def teeth(upper: bool, columns: int = 97, rows: int = 7) -> Solid:
    """A row of teeth on its arch, from the gums to the cutting edges.

    uv: u along the arch from -x to +x, v from top to bottom
    """
    edge, front = _UPPER_TEETH if upper else _LOWER_TEETH
    shrink = 1.0 if upper else 0.93
    along = np.linspace(-1.0, 1.0, columns)
    down = np.linspace(0.0, 1.0, rows)  # from the gum to the cutting edge
    along, down = np.meshgrid(along, down, indexing="xy")
    turn = along * 1.25
    x = shrink * _ARCH_WIDTH * np.sin(turn) / np.sin(1.25)
    z = front - _ARCH_DEPTH * (1 - np.cos(turn)) / (1 - np.cos(1.25))
    cell = np.abs(np.sin(np.pi * (along + 1) / 2 * _TEETH))
    proud = 0.0009 * np.sqrt(cell) * np.clip(down * 2.2 - 0.2, 0.0, 1.0) - 0.0022 * np.maximum(down - 0.75, 0.0)
    crown = _CROWN * (1.35 - 0.25 * np.abs(along))
    notch = 0.0009 * (1 - np.sqrt(cell)) * down**4 + 0.0012 * along**2
    height = edge + (1 if upper else -1) * ((1 - down) * crown + notch)
    normal = np.stack([np.sin(turn), np.zeros_like(turn), np.cos(turn)], axis=-1)
    vertices = np.stack([x, height, z], axis=-1) + proud[..., None] * normal
    uv = np.stack([(along + 1) / 2, down if upper else 1 - down], axis=-1)
    triangles = grid_triangles(rows, columns, closed=False)
    if not upper:
        triangles = triangles[:, ::-1]
    return Solid(vertices.reshape(-1, 3), np.ascontiguousarray(triangles), uv.reshape(-1, 2).astype(np.float32))


def clothes(rows: int = 60, columns: int = 97) -> Solid:
    """Shoulders and chest under a round collar. uv: u around the body, 0.5 in front, v down.

    The last column lies on the first (at the back), so that a pattern can go around.
    """
    sections = np.array(_SECTIONS)
    knots = np.linspace(0.0, 1.0, len(sections))
    down = np.linspace(0.0, 1.0, rows)
    y, width, depth, middle, collar = PchipInterpolator(knots, sections)(down).T[:, :, None]
    turn = np.linspace(-np.pi, np.pi, columns)[None]
    sine, cosine = np.sin(turn), np.cos(turn)
    power = 0.86  # of the super-ellipse: a body is boxier than an ellipse
    x = width * np.sign(sine) * np.abs(sine) ** power
    z = middle + depth * np.sign(cosine) * np.abs(cosine) ** power
    front, back = np.maximum(cosine, 0.0) ** 1.5, np.maximum(-cosine, 0.0) ** 1.5
    y = y + collar * (_COLLAR_RISE * back - _COLLAR_DIP * front) - 0.010 * front * (collar == 0)
    z = z + collar * _FORWARD * front
    x[:, [0, -1]] = 0.0
    uv = np.stack(np.broadcast_arrays((turn / np.pi + 1) / 2, np.repeat(down[:, None], columns, axis=1)), axis=-1)
    vertices = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
    triangles = grid_triangles(rows, columns, closed=False)
    return Solid(vertices.reshape(-1, 3), triangles, uv.reshape(-1, 2).astype(np.float32))
