"""Glasses: rims and temples as tubes, dark lenses as sheets; made for the mean head's eyes, nose and ears."""

import numpy as np

from data.synthetic.noise import random_colour, to_linear
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import merged, sheet, through, tube

POINTS = 33  # around a rim
CLEARANCE = 0.002  # metres between a frame and the skin


def outline(rng: np.random.Generator, half_width: float, half_height: float) -> tuple[np.ndarray, np.ndarray]:
    """x (POINTS,), away from the nose, and y (POINTS,) of a rim about the eye, metres; the last point is the first."""
    turn = np.linspace(0, 2 * np.pi, POINTS)
    power = 2 / rng.choice([2.0, rng.uniform(2.2, 2.8), rng.uniform(3.0, 5.0)])
    x, y = (np.sign(f(turn)) * np.abs(f(turn)) ** power for f in (np.cos, np.sin))
    kind = rng.random()
    if kind < 0.15:  # cat's eyes
        y = y + 0.35 * np.maximum(x, 0.0) ** 2 * (y > -0.2)
    elif kind < 0.35:  # wider above than below
        x = x * (1.0 + 0.14 * y)
    elif kind < 0.45:  # drops
        y, x = y - 0.25 * np.maximum(-y, 0.0) * x, x * (1.0 + 0.1 * y)
    return half_width * x, half_height * y


def draw_glasses(rng: np.random.Generator, fit: Fitting, sunny: bool) -> Piece:
    """Glasses of any kind; sunny: with lenses that cannot be seen through."""
    tall = rng.uniform(0.018, 0.026) if sunny else rng.uniform(0.014, 0.023)
    half_width = min(tall * rng.uniform(1.1, 1.5), 0.86 * fit.eye[0])
    x, y = outline(rng, half_width, tall)
    drop, wrap = rng.uniform(0.000, 0.006), rng.uniform(0.03, 0.14)
    place = np.array([max(fit.eye[0], half_width + 0.006), fit.eye[1] - drop, fit.eye[2] + rng.uniform(0.008, 0.013)])
    rim = place + np.stack([x, y, -wrap * (x + half_width) - 0.06 * np.abs(y)], axis=1)
    rim[:, 2] += lifted(fit.front, rim)
    thick = rng.uniform(0.0004, 0.0009) if rng.random() < 0.4 else rng.uniform(0.0011, 0.0028)
    colour, gloss = frame_colour(rng, thick)
    style = rng.choice(["full", "half", "none"], p=[0.76, 0.12, 0.12])
    radii = np.full((POINTS, 2), [thick, 1.2 * thick])
    if style != "full":
        radii *= 0.25 if style == "none" else np.where(y > 0.1 * tall, 1.0, 0.25)[:, None]
    forward = np.array([0.0, 0.0, 1.0])
    solids = [tube(rim, radii, forward, 6)]
    hinge = rim[np.argmax(x + 0.3 * y)]
    solids.append(temple(rng, fit, hinge, thick))
    shapes = [(points, colour, gloss, True) for points in solids]
    if sunny:
        shapes.append((lens(rim), *lens_colours(rng, rim), False))
    pieces = []
    for points, albedo, shine, closed in shapes:
        mirror = points[:, ::-1] * [-1.0, 1.0, 1.0]
        turned = albedo[:, ::-1] if np.ndim(albedo) == 3 else albedo
        pieces += [sheet(points, albedo, shine, closed=closed), sheet(mirror, turned, shine, closed=closed)]
    inner = rim[np.argmin(x - 0.5 * y)]
    arch = np.stack([inner, inner * [0.5, 1, 1] + [0, 0.003, 0.002], inner * [0, 1, 1] + [0, 0.004, 0.003]])
    bridge = through(np.concatenate([arch, arch[1::-1] * [-1, 1, 1]]), 13)
    bridge[:, 2] += lifted(fit.front, bridge)
    pieces.append(sheet(tube(bridge, max(1.1 * thick, 0.0008), forward, 6), colour, gloss, closed=True))
    return merged(pieces)


def temple(rng: np.random.Generator, fit: Fitting, hinge: np.ndarray, thick: float) -> np.ndarray:
    """(K, 6, 3) points of the left temple, from the hinge over the ear."""
    out = max(fit.ear[0], hinge[0] + 0.002)
    knots = np.array([
        hinge + np.array([0.0, 0.0, 0.001]),
        [hinge[0] + 0.003, hinge[1] + 0.001, hinge[2] - 0.004],
        [0.4 * hinge[0] + 0.6 * out + 0.002, 0.5 * (hinge[1] + fit.ear[1]), 0.5 * (hinge[2] + fit.ear[2])],
        [out, fit.ear[1], fit.ear[2]],
        [out - 0.004, fit.ear[1] - 0.012, fit.ear[2] - 0.022],
    ])  # fmt: skip
    return tube(
        through(knots, 17), np.array([max(thick, 0.0007) * rng.uniform(1.0, 2.2), thick]), np.array([0, 1.0, 0]), 6
    )


def lens(rim: np.ndarray) -> np.ndarray:
    """(4, POINTS, 3): rings from a rim (POINTS, 3) to its middle, bulging forward."""
    middle = rim[:-1].mean(axis=0)
    share = np.array([1.0, 0.66, 0.33, 0.0])[:, None, None]
    return (middle + share * (rim - middle) + (1 - share**2) * [0.0, 0.0, 0.002])[::-1]


def lens_colours(rng: np.random.Generator, rim: np.ndarray) -> tuple[np.ndarray, float]:
    """Albedo (4, POINTS, 3) of dark or mirroring lenses, often lighter below, and gloss."""
    points = lens(rim)
    dark = (
        random_colour(rng, (0.0, 0.7), (0.03, 0.25))
        if rng.random() < 0.85
        else random_colour(rng, (0.2, 0.9), (0.3, 0.7))
    )
    low, high = rim[:, 1].min(), rim[:, 1].max()
    fade = rng.choice([0.0, rng.uniform(0.0, 0.12)]) * (high - points[..., 1:2]) / (high - low)
    return dark + fade, float(rng.uniform(0.5, 1.0))


def frame_colour(rng: np.random.Generator, thick: float) -> tuple[np.ndarray, float]:
    """Linear albedo (3,) and gloss: thin frames of metal, others of black, brown, clear or bright plastic."""
    kind = rng.random()
    if thick < 0.001:
        metal = [(0.75, 0.62, 0.35), (0.62, 0.62, 0.62), (0.12, 0.12, 0.13)][int(rng.integers(3))]
        return to_linear(np.array(metal)), 0.6
    if kind < 0.55:
        return to_linear(np.full(3, rng.uniform(0.03, 0.14))), 0.35
    if kind < 0.8:
        return random_colour(rng, (0.4, 0.8), (0.15, 0.45)) * np.float32([1.0, 0.75, 0.5]), 0.35
    return random_colour(rng, (0.0, 0.9), (0.3, 0.9)), 0.35


def lifted(front: np.ndarray, points: np.ndarray) -> float:
    """Metres that points (P, 3) have to come forward to clear the skin in front (K, 3)."""
    gap = np.square(points[:, None, :2] - front[None, :, :2]).sum(axis=2)
    behind = np.where(gap < 0.004**2, front[None, :, 2], -np.inf).max(axis=1)
    return float(max(0.0, (behind + CLEARANCE - points[:, 2]).max()))
