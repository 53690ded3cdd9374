"""Masks of paper or cloth over nose and mouth."""

import numpy as np

from data.synthetic.noise import random_colour
from data.synthetic.portraits.cloth import Cloth, draw_cloth, plain_cloth
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.hats import Cover
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import merged, sheet, through, tube
from data.synthetic.portraits.star import Star

ROWS, COLUMNS = 18, 33


def draw_mask(rng: np.random.Generator, fit: Fitting) -> tuple[Piece, Cover]:
    """A mask with its loops about the ears, and where beards vanish under it.

    It reaches from the nose's bridge (sometimes worn lower) to below the chin.
    """
    marks, skull = fit.marks, fit.skull
    nose, chin, corner = marks[rng.choice([28, 28, 29, 33], p=[0.5, 0.3, 0.1, 0.1])], marks[8], marks[14]
    surgical = rng.random() < 0.5
    cloth = plain_cloth(rng, random_colour(rng, (0.05, 0.3), (0.75, 0.95))) if surgical else draw_cloth(rng, 0.7)
    top, bottom, edge = (angles(skull, place) for place in (nose, chin - np.array([0.0, 0.006, 0.016]), corner))
    wide = edge[0] * rng.uniform(0.88, 1.0)
    share = np.linspace(-1.0, 1.0, COLUMNS)[None]
    across = np.square(share)
    upper = top[1] + (edge[1] + 0.05 - top[1]) * across
    lower = bottom[1] + (edge[1] - 0.35 - bottom[1]) * across
    down = np.linspace(0.0, 1.0, ROWS)[:, None]
    pleats = 0.0012 * np.sin(2 * np.pi * 3 * down) * surgical
    lift = 0.004 + (0.004 + pleats) * np.sin(np.pi * down) * (1 - across**2) * np.ones_like(share)
    points = skull.place(wide * share * (1.0 - 0.12 * np.sin(np.pi * down)), upper + down * (lower - upper), lift)
    uv = points[..., :2] / 0.3
    return merged([sheet(points, cloth.tint, cloth.gloss, uv, cloth.texture), *loops(points, cloth, fit.ear)]), Cover(
        np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        np.array([-nose[1], chin[1] - 0.02, points[0, 0, 2]]),
    )


def angles(skull: Star, place: np.ndarray) -> np.ndarray:
    """(2,) azimuth, without its sign, and elevation of a place (3,), radians."""
    offset = place - skull.centre
    return np.array([abs(np.arctan2(offset[0], offset[2])), np.arctan2(offset[1], np.hypot(offset[0], offset[2]))])


def loops(points: np.ndarray, cloth: Cloth, above_ear: np.ndarray) -> list[Piece]:
    """Bands from the corners of a mask, points (ROWS, COLUMNS, 3), to behind the ears."""
    pieces = []
    for side, column in ((-1.0, 0), (1.0, -1)):
        ear = (above_ear - [0.006, 0.0, 0.0]) * [side, 1.0, 1.0]
        for row, height in ((1, 0.0), (-2, -0.05)):
            knots = np.stack([points[row, column], 0.5 * (points[row, column] + ear) + [0.003 * side, height / 2, 0.0],
                              ear + np.array([0.0, height, -0.012])])  # fmt: skip
            line = tube(through(knots, 8), np.array([0.0018, 0.0008]), np.array([0.0, 1.0, 0.0]), 4)
            pieces.append(sheet(line, cloth.tint, closed=True))
    return pieces
