"""Spectacle frames, drawn as the same ribbons that hair is made of."""

import numpy as np

from data.synthetic.hair import Strands
from data.synthetic.noise import random_colour, to_linear

POINTS = 33  # of each piece
CLEARANCE = 0.0015  # metres between frame and skin


def draw_glasses(rng: np.random.Generator, rest: dict[str, np.ndarray], triangles: np.ndarray) -> Strands:
    """Two rims, a bridge and two temples that fit a face; canonical metres.

    rest: neutral vertices of the parts; triangles: (F, 3) of the skin
    """
    skin = rest["skin"]
    eyes = {}
    for side, name in ((1.0, "eye_left"), (-1.0, "eye_right")):
        low, high = rest[name].min(axis=0), rest[name].max(axis=0)
        eyes[side] = np.array([*(low + high)[:2] / 2, high[2]])
    half_height, squareness = rng.uniform(0.016, 0.022), rng.uniform(2.0, 4.0)
    half_width = min(half_height * rng.uniform(1.15, 1.4), 0.40 * (eyes[1.0] - eyes[-1.0])[0])
    depth, drop = rng.uniform(0.010, 0.014), rng.uniform(0.001, 0.004)
    pieces = []
    for side, eye in eyes.items():
        turn = np.linspace(0, 2 * np.pi, POINTS)
        across, up = (np.sign(f(turn)) * np.abs(f(turn)) ** (2 / squareness) for f in (np.cos, np.sin))
        rim = eye + np.stack([side * half_width * across, half_height * up - drop, depth - 0.004 * across], axis=1)
        pieces.append(rim)
    inner = [eyes[side] + [-side * half_width, 0.004 - drop, depth + 0.004] for side in (1.0, -1.0)]
    arch = np.sin(np.linspace(0, np.pi, POINTS))[:, None] * [0.0, 0.003, 0.002]
    pieces.append(np.linspace(inner[0], inner[1], POINTS) + arch)
    for side, eye in eyes.items():
        hinge = eye + np.array([side * half_width, 0.006 - drop, depth - 0.004])
        beside = skin[(np.abs(skin[:, 1] - hinge[1]) < 0.012) & (side * skin[:, 0] > 0)]
        widest = np.abs(beside[:, 0]).max()
        ear = np.array([side * (widest + 0.001), hinge[1], min(-0.045, beside[:, 2].mean())])
        pieces.append(np.linspace(hinge, ear, POINTS))
    points = np.stack(pieces)
    points[:3] += [0.0, 0.0, _lift(skin, points[:3])]
    widths = np.repeat([[1.0], [1.0], [1.1], [1.3], [1.3]], POINTS, axis=1) * rng.uniform(0.0006, 0.0016)
    colour = to_linear(np.full(3, rng.uniform(0.05, 0.2))) if rng.random() < 0.7 else random_colour(rng, (0.2, 0.8))
    root = int(np.flatnonzero((triangles == skin[:, 1].argmax()).any(axis=1))[0])  # the crown moves with no expression
    return Strands(
        points=points.astype(np.float32),
        widths=widths.astype(np.float32),
        colours=np.tile(colour, (len(points), 1)).astype(np.float32),
        triangle=np.full(len(points), root),
        barycentric=np.full((len(points), 3), 1 / 3, np.float32),
        turns=False,
    )


def _lift(skin: np.ndarray, points: np.ndarray) -> float:
    """How far forward (metres) the front of a frame, points (..., 3), has to move to clear the skin (V, 3)."""
    front = skin[skin[:, 2] > 0.0]
    places = points.reshape(-1, 3)
    gap = np.hypot(places[:, None, 0] - front[None, :, 0], places[:, None, 1] - front[None, :, 1])
    behind = np.where(gap < 0.003, front[None, :, 2], -np.inf).max(axis=1)
    return float(max(0.0, (behind + CLEARANCE - places[:, 2]).max()))
