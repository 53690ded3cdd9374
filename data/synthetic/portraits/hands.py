"""Hands at the face or beside it, one's own or another person's, perhaps holding something.

A hand is made as a left one: its wrist at the origin, fingers along +y, its palm facing +z, its thumb on the side of
-x; the right one is its mirror image.
"""

from typing import NamedTuple

import numpy as np

from data.synthetic.noise import random_colour, to_linear
from data.synthetic.portraits.cloth import Cloth, draw_cloth
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import capsule, merged, sheet, through, tube
from data.synthetic.portraits.star import Star

# Index to little finger: where it starts (x, y), its length and its radius, metres; then the thumb's bones and radius
FINGERS = (
    (-0.031, 0.090, 0.072, 0.0086),
    (-0.010, 0.095, 0.080, 0.0090),
    (0.012, 0.091, 0.074, 0.0084),
    (0.032, 0.082, 0.057, 0.0074),
)
THUMB, THUMB_RADIUS = (0.042, 0.034, 0.028), 0.0104
BENDS = np.radians([72.0, 95.0, 60.0])  # of the joints of a finger that is quite bent
FOREARM = 0.26  # metres
# How far the four fingers are bent
FLAT, BENT, ROUND = (0.1, 0.1, 0.1, 0.15), (0.22, 0.25, 0.28, 0.32), (0.45, 0.45, 0.45, 0.5)
FIST, POINTING, TWO = (0.85, 0.9, 0.95, 1.0), (0.0, 0.9, 0.9, 1.0), (0.0, 0.05, 0.9, 0.95)


class Grip(NamedTuple):
    """A hand's place, for the left hand; x of the right one is turned around.

    at: name of the place on the face, see `places`
    offset: metres from there; anchor: the place in the hand that comes to lie there; fingers, palm: where they point
    curl: how far index, middle, ring and little finger are bent, 0..1; thumb: likewise
    thing: what it holds
    """

    at: str
    offset: tuple[float, float, float]
    anchor: tuple[float, float, float]
    fingers: tuple[float, float, float]
    palm: tuple[float, float, float]
    curl: tuple[float, float, float, float]
    thumb: float
    thing: str | None = None


# fmt: off
GRIPS = (
    Grip("chin", (0.010, -0.004, 0.002), (-0.025, 0.09, 0.025), (-0.45, 0.85, 0.15), (-0.3, 0.25, -1.0), FIST, 0.2),
    Grip("chin", (0.012, -0.012, -0.010), (0.0, 0.085, 0.02), (-0.6, 0.5, 0.7), (-0.1, 1.0, -0.3), BENT, 0.1),
    Grip("cheek", (0.0, 0.0, 0.0), (0.0, 0.07, 0.014), (0.05, 1.0, -0.25), (-1.0, 0.1, -0.35), FLAT, 0.2),
    Grip("cheek", (0.0, -0.005, 0.0), (-0.01, 0.10, 0.03), (-0.1, 1.0, 0.1), (-0.9, 0.1, -0.5), FIST, 0.7),
    Grip("mouth", (0.0, 0.0, 0.0), (0.0, 0.11, 0.010), (-0.85, 0.5, 0.0), (0.0, 0.0, -1.0), FLAT, 0.1),
    Grip("mouth", (0.0, 0.0, 0.0), (-0.03, 0.15, 0.0), (-0.5, 0.85, -0.1), (-0.2, 0.0, -1.0), POINTING, 0.5),
    Grip("forehead", (0.0, 0.0, 0.0), (0.0, 0.13, 0.010), (-0.6, 0.75, -0.1), (0.0, -0.2, -1.0), FLAT, 0.1),
    Grip("temple", (0.0, 0.0, 0.0), (-0.02, 0.15, 0.0), (-0.35, 0.9, -0.2), (-0.7, -0.1, -0.7), TWO, 0.4),
    Grip("eye", (0.0, 0.0, 0.01), (-0.02, 0.13, 0.012), (-0.4, 0.9, 0.0), (0.1, -0.1, -1.0), FLAT, 0.1),
    Grip("beside", (0.0, 0.0, 0.0), (0.0, 0.06, 0.0), (0.15, 1.0, 0.0), (-0.1, 0.0, 1.0), FLAT, 0.0),
    Grip("beside", (-0.02, -0.03, 0.04), (0.0, 0.06, 0.0), (-0.1, 1.0, 0.1), (0.2, 0.0, 1.0), TWO, 0.9),
    Grip("beside", (-0.02, -0.05, 0.05), (0.0, 0.06, 0.0), (-0.8, 0.3, 0.4), (-0.4, 0.1, -0.9), FIST, 0.0),
    Grip("ear", (0.0, -0.03, 0.03), (0.0, 0.08, 0.030), (-0.05, 1.0, -0.2), (-1.0, 0.0, 0.15), BENT, 0.3, "telephone"),
    Grip("mouth", (0.0, -0.09, 0.055), (0.0, 0.08, 0.03), (-0.8, 0.1, 0.6), (-0.5, 0.1, -0.7), FIST, 0.6, "microphone"),
    Grip("mouth", (0.01, -0.045, 0.05), (0.0, 0.08, 0.04), (-0.9, 0.1, -0.2), (-0.2, 0.0, -1.0), ROUND, 0.2, "cup"),
    Grip("beside", (0.0, -0.03, 0.05), (0.0, 0.08, 0.02), (-0.1, 1.0, 0.0), (0.0, 0.1, -1.0), BENT, 0.3, "telephone"),
)
# fmt: on
SINKS, GIVES = 0.03, 0.004  # share of a hand's points that may lie inside the head, and how deep flesh gives, metres


def places(fit: Fitting) -> dict[str, np.ndarray]:
    """Places (3,) on the left of the mean head that a Grip can name."""
    marks, eye = fit.marks, fit.eye
    outward = marks[16] - marks[0]
    outward /= np.linalg.norm(outward)
    return {
        "chin": marks[8],
        "cheek": marks[13],
        "mouth": marks[62],
        "forehead": marks[27] + [0.0, 1.1 * (marks[27, 1] - marks[30, 1]), 0.0],
        "temple": 0.5 * (marks[16] + marks[26]),
        "eye": eye,
        "ear": fit.ear,
        "beside": marks[14] + 0.085 * outward + [0.0, 0.0, 0.04],
    }


def hand(curl: tuple[float, float, float, float], thumb: float, spread: float) -> list[np.ndarray]:
    """Solids (R, C, 3) of a left hand; spread: radians between fingers."""
    across = np.array([1.0, 0.0, 0.0])
    spine = np.array([[0.0, -0.012, 0.0], [0.0, 0.02, 0.0], [0.0, 0.045, 0.001], [0.0, 0.07, 0.001], [0.0, 0.088, 0.0]])
    widths = np.array([[0.026, 0.018], [0.032, 0.017], [0.039, 0.0165], [0.042, 0.014], [0.039, 0.011]])
    solids = [capsule(spine, widths, across, 14)]
    for number, ((x, y, length, radius), bent) in enumerate(zip(FINGERS, curl, strict=True)):
        turn = np.concatenate([[0.0], np.cumsum(bent * BENDS)])
        sway = (number - 1.3) * spread * (1.0 - bent)
        bones = length * np.array([0.3, 0.44, 0.30, 0.26])
        steps = np.stack([np.sin(sway) * np.cos(turn), np.cos(sway) * np.cos(turn), np.sin(turn)], axis=1)
        joints = np.array([x, y - 0.018, 0.0]) + np.concatenate(
            [np.zeros((1, 3)), (bones[:, None] * steps).cumsum(axis=0)]
        )
        radii = np.linspace(1.08, 0.82, 11)[:, None] * [radius, radius]
        solids.append(capsule(through(joints, 11), radii, across, 8))
    ways = np.array([[-0.72, 0.66, 0.12], [-0.42, 0.90, 0.10], [-0.20, 0.97, 0.06]])
    closed = np.array([[-0.45, 0.60, 0.65], [0.35, 0.60, 0.70], [0.75, 0.45, 0.30]])
    ways = (1 - thumb) * ways + thumb * closed
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    steps = np.array(THUMB)[:, None] * ways
    joints = np.array([-0.020, 0.022, 0.004]) + np.concatenate([np.zeros((1, 3)), steps.cumsum(axis=0)])
    radii = np.interp(np.arange(10), [0, 3, 9], [1.35, 1.1, 0.82])[:, None] * [THUMB_RADIUS, THUMB_RADIUS]
    return [*solids, capsule(through(joints, 10), radii, np.array([0.0, 0.3, -1.0]), 8)]


def thing_held(rng: np.random.Generator, name: str) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Solids (R, C, 3) with albedo (3,) and gloss of what a left hand holds, in the hand's frame."""
    along = np.array([-1.0, 0.0, 0.0])  # towards the thumb
    if name == "telephone":
        colour = to_linear(np.full(3, rng.choice([0.06, 0.12, 0.8]))) if rng.random() < 0.6 else random_colour(rng)
        path = np.array([0.0, 0.095, 0.026]) + np.linspace(-0.075, 0.075, 6)[:, None] * [0.15, 1.0, 0.0]
        return [(capsule(path, np.array([[0.036, 0.0045]]), np.array([1.0, 0, 0]), 12), colour, 0.4)]
    if name == "microphone":
        path = np.array([0.0, 0.085, 0.032]) + np.linspace(-0.08, 0.085, 6)[:, None] * along
        ball = path[-1] + np.linspace(0.004, 0.024, 4)[:, None] * along
        forward, dark = np.array([0.0, 0.0, 1.0]), to_linear(np.full(3, rng.uniform(0.05, 0.3)))
        size = rng.uniform(0.019, 0.027)
        return [(capsule(path, np.array([[0.013, 0.013]]), forward, 8), dark, 0.2),
                (capsule(ball, np.array([[size, size]]), forward, 12), dark + 0.1, 0.3)]  # fmt: skip
    radius, tall = rng.uniform(0.030, 0.041), rng.uniform(0.040, 0.065)
    path = np.array([0.0, 0.085, 0.018 + radius]) + np.linspace(-tall, tall, 6)[:, None] * along
    walls = tube(path, np.linspace(0.85, 1.05, 6)[:, None] * radius, np.array([0.0, 0.0, 1.0]), 18)
    walls = np.concatenate(
        [np.repeat(path[:1, None], 18, axis=1), walls, walls[-1:] * 0.97 + 0.03 * path[-1], walls[1:2]]
    )
    return [(walls, random_colour(rng, (0.0, 0.8), (0.2, 0.95)), 0.3)]


def draw_hand(rng: np.random.Generator, fit: Fitting, skin_albedo: np.ndarray, sleeve: Cloth) -> tuple[Piece, ...]:
    """A hand with its forearm, from anywhere in GRIPS; skin_albedo: (3,) linear, of the person; sleeve: their cloth.

    One hand in eight is somebody else's: of another colour and from another side.
    """
    grip, side = GRIPS[int(rng.integers(len(GRIPS)))], float(rng.choice([-1.0, 1.0]))
    mine = rng.random() < 0.88
    jitter = rng.normal(0.0, 0.12, (2, 3))
    fingers, palm = np.array(grip.fingers) + jitter[0], np.array(grip.palm) + jitter[1]
    curl = tuple(np.clip(np.array(grip.curl) + rng.normal(0.0, 0.07, 4), 0.0, 1.0))
    size = rng.uniform(0.86, 1.04)
    solids = [(solid, skin_albedo, 0.08) for solid in hand(curl, grip.thumb, rng.uniform(0.02, 0.16))]
    skins = len(solids)
    if grip.thing is not None:
        solids += thing_held(rng, grip.thing)
    palm = palm - fingers * (palm @ fingers) / (fingers @ fingers)
    axes = np.stack([np.cross(fingers, palm), fingers, palm])
    axes *= size / np.linalg.norm(axes, axis=1, keepdims=True)
    target = places(fit)[grip.at] + np.array(grip.offset) + rng.normal(0.0, 0.006, 3)
    moved = [(solid - np.array(grip.anchor)) @ axes + target for solid, _, _ in solids]
    wrist = -np.array(grip.anchor) @ axes + target
    mirror = np.array([side, 1.0, 1.0])
    moved, wrist = [solid * mirror for solid in moved], wrist * mirror
    outward = -axes[2] * mirror / np.linalg.norm(axes[2])
    if grip.at == "beside":
        outward = np.array([side, 0.0, 0.0])
    way = pushed_out(fit.skull, np.concatenate([solid.reshape(-1, 3) for solid in moved]), outward, fit.marks[8, 1])
    moved, wrist = [solid + way for solid in moved], wrist + way
    if mine:
        arm = own_arm(fit, wrist, side)
    else:
        arm = wrist - axes[1] * mirror / size * np.linspace(0.0, 0.45, 8)[:, None]
        skin_albedo, sleeve = skin_albedo * rng.uniform(0.4, 1.6), draw_cloth(rng)
    bare = int(rng.integers(2, 6))
    across = axes[0] * mirror
    hand_way = axes[1] * mirror
    knots = np.concatenate([wrist + np.array([[0.03], [0.005]]) * hand_way, arm[1:6]])
    thick = np.array([0.95, 0.95, 1.0, 1.12, 1.25, 1.32, 1.35])[:, None] * size * [0.028, 0.019]
    forearm = tube(through(knots, 14), through(thick, 14), across, 10)
    pieces = [sheet(right(solid, side), np.minimum(skin_albedo, 0.9), 0.08, closed=True) for solid in moved[:skins]]
    pieces.append(sheet(forearm, np.minimum(skin_albedo, 0.9), 0.08, closed=True))
    pieces += [
        sheet(right(solid, side), albedo, gloss, closed=True)
        for solid, (_, albedo, gloss) in zip(moved[skins:], solids[skins:], strict=True)
    ]
    cover = tube(through(arm[bare - 1 :], 14), np.linspace(0.038, 0.055, 14)[:, None] * size, across, 12)
    uv = np.stack(np.broadcast_arrays(np.linspace(0, 1, 12)[None], np.linspace(0, 1, 14)[:, None]), axis=-1)
    return merged(pieces), sheet(cover, sleeve.tint, sleeve.gloss, uv, sleeve.texture, closed=True)


def right(solid: np.ndarray, side: float) -> np.ndarray:
    """A solid's points (R, C, 3) in an order that keeps its outside outside after mirroring (side -1)."""
    return solid[:, ::-1] if side < 0 else solid


def own_arm(fit: Fitting, wrist: np.ndarray, side: float) -> np.ndarray:
    """(9, 3) from the wrist over the elbow to the shoulder."""
    low = fit.bust.place(np.full((1, 1), side * np.pi / 2), np.full((1, 1), -0.05))[0, 0]
    hanging = low + np.array([0.05 * side, -0.28, 0.16])
    elbow = wrist + FOREARM * (hanging - wrist) / np.linalg.norm(hanging - wrist)
    shoulder = low - np.array([0.03 * side, 0.04, 0.0])
    share = np.linspace(0.0, 1.0, 6)[:, None]
    upper = np.array([0.3, 0.65, 1.0])[:, None]
    return np.concatenate([wrist + share * (elbow - wrist), elbow + upper * (shoulder - elbow)])


def pushed_out(skull: Star, points: np.ndarray, outward: np.ndarray, low: float) -> np.ndarray:
    """(3,) how points (P, 3) have to move along `outward` (3,) to leave the head above the height `low`, metres.

    Flesh gives: SINKS and GIVES.
    """
    way = np.zeros(3)
    for _ in range(5):
        moved = (points + way).astype(np.float32)
        inside = np.where(moved[:, 1] > low - 0.01, skull.depth(moved), np.float32(-1.0))
        deepest = np.partition(inside, -int(SINKS * len(inside)))[-int(SINKS * len(inside))] - GIVES
        if deepest <= 0.001:
            break
        way = way + deepest * outward
    return way
