"""Displacement fields: what a coefficient of identity or expression does to points of the mean head.

A field is a sum of pushes. A push moves what lies within a soft ball or ellipsoid about a centre; pushes off the
midline come in pairs, mirrored. Millimetres in the tables.
"""

from typing import NamedTuple

import numpy as np


class Push(NamedTuple):
    """One soft push: within `size` of `centre` (left side, +x) points move by `move` plus `stretch` * offset.

    centre, size, move: millimetres; size is the standard deviation along x, y, z, inf is everywhere
    stretch: relative growth along x, y, z about the centre
    side: both (mirrored pair), odd (the mirror image is moved the opposite way in x, y, z: an asymmetry),
        left or right (that side alone)
    part: all, or upper or lower: what lies above or below the line of the mouth
    """

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stretch: tuple[float, float, float] = (0.0, 0.0, 0.0)
    side: str = "both"
    part: str = "all"


def evaluate(pushes: tuple[Push, ...], points: np.ndarray, below_mouth: np.ndarray | None = None) -> np.ndarray:
    """(N, 3) metres: the sum of pushes at points (N, 3) metres of the mean head.

    below_mouth: (N,) 0 above the line of the mouth .. 1 below it, for pushes of one lip; without it they are whole.
    """
    total = np.zeros_like(points, dtype=float)
    for push in pushes:
        centre, size = np.array(push.centre) / 1000, np.array(push.size) / 1000
        move, stretch = np.array(push.move) / 1000, np.array(push.stretch)
        flips = {"both": (1, -1), "odd": (1, -1), "left": (1,), "right": (-1,)}[push.side]
        if push.centre[0] == 0 and push.side == "both":
            flips = (1,)
        for flip in flips:
            mirror = np.array([flip, 1.0, 1.0])
            offset = points * mirror - centre
            weight = np.exp(-0.5 * np.sum((offset / size) ** 2, axis=1))[:, None]
            if push.part != "all" and below_mouth is not None:
                weight = weight * (below_mouth if push.part == "lower" else 1.0 - below_mouth)[:, None]
            sign = flip if push.side == "odd" else 1.0
            total += sign * weight * (move + stretch * offset) * mirror
    return total
