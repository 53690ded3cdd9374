"""Things before a face: a sheet of paper, a bar, a microphone on its stand. They hide; their kind matters little."""

import numpy as np

from data.synthetic.noise import random_colour
from data.synthetic.portraits.cloth import draw_cloth
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import capsule, merged, sheet, tube


def draw_object(rng: np.random.Generator, fit: Fitting) -> Piece:
    """A plate over at most half of the face, a bar across it, or a microphone before the mouth."""
    kind = rng.choice(["plate", "bar", "stand"], p=[0.55, 0.25, 0.2])
    if kind == "plate":
        return plate(rng, fit)
    if kind == "bar":
        return bar(rng, fit)
    return stand(rng, fit)


def plate(rng: np.random.Generator, fit: Fitting) -> Piece:
    """A rectangle from outside the face up to somewhere before its middle, at any angle."""
    marks = fit.marks
    middle, half = marks[30] * [0.0, 1.0, 1.0], 0.5 * (marks[16, 0] - marks[0, 0])
    turn = rng.uniform(0.0, 2 * np.pi)
    if np.sin(turn) > 0.3:
        turn = -turn  # more often from below than from above
    inward = np.array([np.cos(turn), np.sin(turn), 0.0])
    along = np.array([-inward[1], inward[0], 0.0])
    tall = 0.5 * abs(marks[27, 1] - marks[8, 1]) + 0.02
    edge = (abs(inward[0]) * half + abs(inward[1]) * tall) * rng.uniform(-0.1, 0.9)
    near, length = rng.uniform(0.02, 0.06), rng.uniform(0.08, 0.25)
    wide = rng.uniform(0.05, 0.20)
    down, across = np.linspace(0.0, 1.0, 9), np.linspace(-1.0, 1.0, 9)
    corner = middle + edge * inward + [0.0, 0.0, near] + rng.uniform(-0.5, 0.5) * wide * along
    bend = rng.uniform(-0.04, 0.04) * np.square(across)
    tilt = rng.uniform(-0.1, 0.5)
    points = (
        corner
        + (down[:, None, None] * length) * (inward + np.array([0.0, 0.0, tilt]))
        + (across[None, :, None] * wide) * along
        + bend[None, :, None] * [0.0, 0.0, 1.0]
    )
    cloth = draw_cloth(rng, plain=0.5)
    return sheet(points, cloth.tint, rng.uniform(0.0, 0.3), texture=cloth.texture)


def bar(rng: np.random.Generator, fit: Fitting) -> Piece:
    """A straight rod across the face."""
    turn, radius = rng.uniform(0.0, np.pi), rng.uniform(0.004, 0.016)
    along = np.array([np.cos(turn), np.sin(turn), rng.uniform(-0.2, 0.2)])
    place = fit.marks[30] + [*rng.uniform(-0.05, 0.05, 2), radius + rng.uniform(0.005, 0.05)]
    place[2] += 0.08  # clear of nose and chin when it slants
    path = place + np.linspace(-0.4, 0.4, 12)[:, None] * along
    points = tube(path, radius, np.array([0.0, 0.0, 1.0]), 10)
    return sheet(points, random_colour(rng, (0.0, 0.8), (0.05, 0.9)), rng.uniform(0.0, 0.5), closed=True)


def stand(rng: np.random.Generator, fit: Fitting) -> Piece:
    """A microphone on a stand from below."""
    mouth = fit.marks[62]
    way = np.array([rng.uniform(-0.6, 0.6), -1.0, rng.uniform(0.1, 0.8)])
    way /= np.linalg.norm(way)
    head = mouth + np.array([rng.uniform(-0.02, 0.02), rng.uniform(-0.04, -0.01), rng.uniform(0.045, 0.09)])
    colour, size = random_colour(rng, (0.0, 0.3), (0.05, 0.5)), rng.uniform(0.018, 0.035)
    across = np.array([1.0, 0.0, 0.3])
    ball = head + np.linspace(-0.3, 0.8, 5)[:, None] * size * way
    rod = head + np.linspace(0.02, 0.5, 8)[:, None] * way
    return merged([
        sheet(capsule(ball, np.full((5, 2), size), across, 14), colour, 0.2, closed=True),
        sheet(tube(rod, np.linspace(0.4, 0.25, 8)[:, None] * size, across, 8), 0.7 * colour, 0.3, closed=True),
    ])  # fmt: skip
