"""Soft masks on the skin of the mean head, and its unwrapping for pictures."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from data.synthetic import chart
from data.synthetic.geometry import polygon_distance, smooth_step
from data.synthetic.head import FineHead
from data.synthetic.sculpture import EYE_CENTRE
from data.synthetic.template import BROW_LINE, lid_margin, lip_outline

# Unwrapping: angle from straight up (degrees) to v
_UV_ROWS = ((0, 0.0), (20, 0.065), (41, 0.16), (90, 0.48), (137, 0.82), (155, 0.90), (175, 1.0))
_UV_CROWN = np.radians(60.0)  # above this angle from straight up the rows get shorter
_UV_FRONT, _UV_FOCUS = 2.4, 0.8  # the larger, the more of the width the front of the head gets

_NECK = (0.060, 0.150)  # metres below the origin, in front, where the neck begins to follow the body and where it ends


def unwrap(directions: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(N, 2) uv of chart directions (N, 3): u right, v down, the back of the head at u = 0 and 1.

    side: (N,) sign of x, which decides for points on the midline behind.
    """
    azimuth = np.abs(np.arctan2(directions[:, 0], directions[:, 2]))
    polar = np.arccos(np.clip(directions[:, 1], -1.0, 1.0))
    turn = azimuth / np.pi
    across = 0.5 * (_UV_FOCUS * (1.0 - (1.0 - turn) ** _UV_FRONT) + (1.0 - _UV_FOCUS) * turn)
    across *= np.sin(np.minimum(polar / _UV_CROWN, 1.0) * np.pi / 2)
    rows = np.array(_UV_ROWS)
    down = PchipInterpolator(np.radians(rows[:, 0]), rows[:, 1])(polar)
    return np.stack([0.5 + side * across, down], axis=1).astype(np.float32)


def _soft_inside(distance: np.ndarray, width: float) -> np.ndarray:
    return smooth_step(-distance, -width, width)


def build_regions(head: FineHead) -> dict[str, np.ndarray]:
    """Masks (V,) float32, 0..1, on the fine head's vertices. All are mirror-symmetric."""
    x, y, z = np.abs(head.vertices[:, 0]), head.vertices[:, 1], head.vertices[:, 2]
    front = 1000 * np.stack([x, y], axis=1)
    facing = smooth_step(z, 0.0, 0.02)
    mirrored = head.directions * np.where(head.directions[:, :1] < 0, [-1, 1, 1], [1, 1, 1])
    ear_radius, _ = chart.ear_coordinates(mirrored)
    regions = {}
    regions["ears"] = 1.0 - smooth_step(ear_radius, 0.78, 0.95)
    lips = polygon_distance(front, lip_outline())
    regions["lips"] = _soft_inside(lips, 0.7) * facing
    brow = polygon_distance(front, BROW_LINE, closed=False)
    thickness = np.interp(front[:, 0], [10, 16, 40, 56], [3.0, 4.4, 3.6, 1.6])
    regions["brows"] = (1 - smooth_step(brow / thickness, 0.55, 1.25)) * facing
    margin = lid_margin() + 1000 * EYE_CENTRE[:2]
    eye = polygon_distance(front, margin)
    regions["eyelids"] = (1 - smooth_step(eye, 3.0, 9.0)) * facing
    regions["lash_line"] = (1 - smooth_step(eye, 0.25, 1.3)) * facing
    regions["nose"] = _nose(x, y, z)
    nostril = np.linalg.norm((np.stack([x, y, z], 1) - [0.0066, -0.0183, 0.0634]) / [0.0035, 0.0046, 0.0058], axis=1)
    regions["nostrils"] = 1 - smooth_step(nostril, 0.6, 1.05)
    cheek = np.linalg.norm((np.stack([x, y, z], 1) - [0.043, -0.014, 0.030]) / [0.022, 0.018, 0.025], axis=1)
    regions["cheeks"] = 1 - smooth_step(cheek, 0.3, 1.3)
    regions["scalp"] = _scalp(x, y, z) * (1 - regions["ears"])
    regions["moustache"] = _moustache(x, y, z) * (1 - regions["lips"]) * (1 - regions["nostrils"])
    regions["beard"] = _beard(x, y, z) * (1 - regions["lips"]) * (1 - regions["ears"]) * (1 - regions["moustache"])
    regions["face"] = _face(head)
    return {name: np.clip(mask, 0, 1).astype(np.float32) for name, mask in regions.items()}


def _nose(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    half = np.interp(y, [-0.024, -0.018, -0.008, 0.020, 0.034], [0.012, 0.019, 0.017, 0.010, 0.010])
    return (1 - smooth_step(x - half, -0.002, 0.004)) * smooth_step(y, -0.026, -0.020) * (
        1 - smooth_step(y, 0.024, 0.036)
    ) * smooth_step(z, 0.02, 0.04)  # fmt: skip


def _scalp(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Behind a hairline: over the forehead, back at the temples, sideburns before the ears, down to the nape."""
    # seen from the side: how far in front the hairline lies at a height
    line = np.interp(
        y,
        [-0.080, -0.060, -0.035, -0.012, 0.010, 0.030, 0.055, 0.075, 0.090, 0.100],
        [-0.110, -0.085, -0.062, -0.030, -0.006, -0.001, 0.012, 0.028, 0.045, 0.060],
    )
    return (1 - smooth_step(z - line, -0.004, 0.004)) * smooth_step(y, -0.080, -0.068)


def _moustache(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    low = np.interp(x, [0.0, 0.015, 0.026, 0.034], [-0.040, -0.042, -0.050, -0.058])
    high = np.interp(x, [0.0, 0.012, 0.024, 0.034], [-0.0235, -0.024, -0.034, -0.048])
    return smooth_step(y - low, -0.002, 0.002) * (1 - smooth_step(y - high, -0.003, 0.001)) * (
        1 - smooth_step(x, 0.026, 0.036)
    ) * smooth_step(z, 0.03, 0.045)  # fmt: skip


def _beard(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    top = np.interp(
        x, [0.0, 0.016, 0.028, 0.040, 0.052, 0.060, 0.070], [-0.054, -0.054, -0.047, -0.040, -0.033, -0.016, 0.004]
    )
    below = smooth_step(top - y, -0.003, 0.005)
    behind = smooth_step(z, -0.030, -0.016)
    return below * behind * smooth_step(y + 0.35 * np.minimum(z, 0.02), -0.116, -0.094)


def _face(head: FineHead) -> np.ndarray:
    """1 well inside the labelled face, 0 well outside."""
    y, z = head.vertices[:, 1], head.vertices[:, 2]
    return smooth_step(z, -0.026, -0.010) * smooth_step(y, -0.100, -0.085) * (1 - smooth_step(y, 0.090, 0.100))


def neck_weight(points: np.ndarray) -> np.ndarray:
    """(N,) 0 on the head .. 1 at the base of the neck."""
    # the neck leans forward: its top and its base are higher at the back
    height = points[:, 1] + 0.30 * (points[:, 2] + 0.01)
    return smooth_step(-height, *_NECK)
