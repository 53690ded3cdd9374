"""What is worn on the head, laid out on the skull by azimuth and elevation seen from between the ears; radians."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.synthetic.noise import random_colour, smooth_noise, to_linear
from data.synthetic.portraits.cloth import Cloth, any_colour, draw_cloth, plain_cloth
from data.synthetic.portraits.clothes import drape, neckline
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import capsule, merged, sheet, tube
from data.synthetic.portraits.star import Star

AROUND, DOWN = 49, 15  # vertices of a crown
PI = np.pi


@dataclass(frozen=True)
class Cover:
    """A convex part of space in which hair is not seen: where place @ normal > offset for all P of them.

    normals: (P, 3) unit ones, or 0 for all of space or none; offsets: (P,) metres
    """

    normals: np.ndarray
    offsets: np.ndarray

    def depth(self, points: np.ndarray) -> np.ndarray:
        """(...) float32 metres that points (..., 3) of the mean head lie inside; negative outside."""
        return (points @ self.normals.T.astype(np.float32) - self.offsets.astype(np.float32)).min(axis=-1)


HatAndCover = tuple[tuple[Piece, ...], Cover]  # pieces, and where the hair on the head is not seen
NOTHING = Cover(np.zeros((1, 3)), np.ones(1))
EVERYTHING = Cover(np.zeros((1, 3)), -np.ones(1))


def rim(azimuth: np.ndarray, front: float, side: float, back: float) -> np.ndarray:
    """Elevation of a hat's edge at azimuths, in radians; front, side, back in degrees."""
    ahead, behind = np.maximum(np.cos(azimuth), 0.0) ** 2, np.maximum(-np.cos(azimuth), 0.0) ** 2
    return np.radians(side + (front - side) * ahead + (back - side) * behind)


def above(skull: Star, edge: np.ndarray) -> Cover:
    """The space above a hat's edge, elevations (AROUND,) from the back: above the plane that is parallel to the line
    from its front to its back and goes through its highest place, so that no hair is missing below the hat."""
    around = skull.place(np.linspace(-PI, PI, AROUND), edge, 0.015)  # about as far out as the cloth
    along = around[AROUND // 2] - around[0]
    normal = np.array([0.0, along[2], -along[1]]) / np.hypot(along[1], along[2])
    return Cover(normal[None], np.array([(around @ normal).max() - 0.003]))


def crown(
    skull: Star, cloth: Cloth, edge: np.ndarray, lift: np.ndarray, rows: int = DOWN, top: float = 0.5 * PI
) -> Piece:
    """A dome from the elevation `top` down to an edge (AROUND,); lift: (rows, AROUND) metres off the skull."""
    azimuth = np.linspace(-PI, PI, AROUND)[None]
    elevation = top + np.linspace(0.0, 1.0, rows)[:, None] * (edge - top)
    uv = np.stack(np.broadcast_arrays(azimuth / (2 * PI) * 2, -elevation / 2), axis=-1)
    return sheet(skull.place(azimuth, elevation, lift), cloth.tint, cloth.gloss, uv, cloth.texture)


def brim(
    skull: Star,
    edge: np.ndarray,
    lift: float,
    length: np.ndarray,
    droop: np.ndarray,
    cloth: Cloth,
    ahead: float | None = None,
) -> Piece:
    """A brim from a hat's edge (AROUND,): length (AROUND,) metres outwards, and how far it ends lower (AROUND,);
    ahead: the azimuth that it is drawn out to, radians, if it does not go all around."""
    azimuth = np.linspace(-PI, PI, AROUND)
    start = skull.place(azimuth, edge, lift - 0.004)
    outward = np.stack([np.sin(azimuth), np.zeros(AROUND), np.cos(azimuth)], axis=-1)
    if ahead is not None:
        outward = 0.35 * outward + 0.65 * np.array([np.sin(ahead), 0.0, np.cos(ahead)])
    share = np.linspace(0.0, 1.0, 6)[:, None, None]
    points = start + share * length[:, None] * outward - share**1.6 * droop[:, None] * [0.0, 1.0, 0.0]
    points = np.concatenate([points, points[-1:] - [0.0, 0.003, 0.0], points[:1] - [0.0, 0.004, 0.0]])
    return sheet(points, cloth.tint, cloth.gloss, points[..., ::2] / 0.4, cloth.texture)


def cap(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """A baseball cap, forwards, backwards or askew."""
    cloth, second = draw_cloth(rng, plain=0.8), plain_cloth(rng, any_colour(rng))
    turned = float(rng.choice([0.0, PI, rng.uniform(-0.8, 0.8)], p=[0.75, 0.15, 0.1]))
    azimuth = np.linspace(-PI, PI, AROUND)
    edge = rim(azimuth, rng.uniform(17, 30), rng.uniform(8, 16), rng.uniform(-12, 4))
    share = np.linspace(0.0, 1.0, DOWN)[:, None]
    ahead = np.maximum(np.cos(azimuth - turned), 0.0)
    lift = 0.009 + rng.uniform(0.004, 0.014) * (1 - share**2) + 0.010 * ahead * np.sin(PI * share)
    dome = crown(fit.skull, cloth, edge, lift)
    reach = np.clip(np.cos(azimuth - turned) - 0.5, 0.0, None) / 0.5
    length = rng.uniform(0.06, 0.075) * np.sqrt(reach)
    visor = cloth if rng.random() < 0.6 else second
    peak = brim(fit.skull, edge, 0.010, length, rng.uniform(0.2, 0.5) * length, visor, turned)
    button = fit.skull.place(np.zeros(1), np.full(1, PI / 2), lift[0, :1] + 0.002)[0]
    path = button + np.linspace(-0.002, 0.002, 3)[:, None] * [0.0, 1.0, 0.0]
    knob = sheet(capsule(path, np.full(2, 0.006), np.array([1.0, 0.0, 0.0]), 8), second.tint, closed=True)
    return (merged([dome, peak, knob]),), above(fit.skull, edge)


def beanie(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """Knitted, over the ears or above them, with or without a cuff and a bobble."""
    cloth = draw_cloth(rng, plain=0.7)
    azimuth = np.linspace(-PI, PI, AROUND)
    edge = rim(azimuth, rng.uniform(14, 34), rng.uniform(-14, 16), rng.uniform(-30, -8))
    share = np.linspace(0.0, 1.0, DOWN)[:, None]
    lift = np.tile(0.007 + rng.uniform(0.0, 0.03) * (1 - share) ** 1.5, (1, AROUND))
    lift += 0.002 * smooth_noise(rng, DOWN, AROUND, 8) * np.sin(PI * share)
    lift[:, -1] = lift[:, 0]
    pieces = [crown(fit.skull, cloth, edge, lift)]
    if rng.random() < 0.6:
        width = rng.uniform(0.25, 0.45)
        off = np.array([0.004, 0.011, 0.013, 0.012, 0.006])[:, None]
        pieces.append(crown(fit.skull, cloth, edge, np.broadcast_to(off, (5, AROUND)), 5, edge + width))
    if rng.random() < 0.25:
        ball = fit.skull.place(np.zeros(1), np.full(1, PI / 2), lift[0, :1] + 0.02)[0]
        path = ball + np.linspace(-0.002, 0.002, 2)[:, None] * [0.0, 1.0, 0.0]
        size = np.full(2, rng.uniform(0.022, 0.035))
        pieces.append(sheet(capsule(path, size, np.array([1.0, 0.0, 0.0]), 12), any_colour(rng) / 0.5, closed=True))
    return (merged(pieces),), above(fit.skull, edge)


def brimmed(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """A hat with a brim all around: felt with a crease, straw, or a soft one."""
    cloth = plain_cloth(rng, random_colour(rng, (0.1, 0.55), (0.08, 0.85)) if rng.random() < 0.6 else any_colour(rng))
    azimuth = np.linspace(-PI, PI, AROUND)
    edge = rim(azimuth, rng.uniform(18, 30), rng.uniform(14, 20), rng.uniform(0, 14))
    share = np.linspace(0.0, 1.0, DOWN)[:, None]
    tall = rng.uniform(0.015, 0.05)
    shoulder = np.sin(PI * np.clip(share, 0.0, 0.8) / 0.8) ** 0.7
    lift = 0.007 + tall * (0.5 * (1 - share) + 0.7 * shoulder) * np.ones(AROUND)
    dome = crown(fit.skull, cloth, edge, lift)
    length = rng.uniform(0.035, 0.11) * (1.0 + 0.15 * np.cos(azimuth))
    droop = length * (rng.uniform(-0.1, 0.5) + rng.uniform(-0.25, 0.15) * np.square(np.sin(azimuth)))
    ribbon = Cloth(cloth.texture, np.float32(any_colour(rng) / 0.5), 0.15)
    off = np.broadcast_to(
        np.interp(np.arange(3), [0, 2], [0.012, 0.010])[:, None], (3, AROUND)
    ) + 0.45 * tall * np.array([[0.9], [0.5], [0.1]])
    around = crown(fit.skull, ribbon, edge, off, 3, edge + 0.22)
    return (merged([dome, brim(fit.skull, edge, 0.009, length, droop, cloth), around]),), above(fit.skull, edge)


def headband(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """A band about the head; hair comes out above it and below."""
    cloth = draw_cloth(rng, plain=0.6)
    edge = rim(np.linspace(-PI, PI, AROUND), rng.uniform(20, 42), rng.uniform(14, 40), rng.uniform(-10, 10))
    off = np.array([0.004, 0.009, 0.010, 0.010, 0.009, 0.004])[:, None] + rng.uniform(0.0, 0.004)
    return (crown(fit.skull, cloth, edge, np.tile(off, (1, AROUND)), 6, edge + rng.uniform(0.1, 0.4)),), NOTHING


def turban(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """Wound cloth: ridges that rise to one side."""
    cloth = draw_cloth(rng, plain=0.85)
    azimuth = np.linspace(-PI, PI, AROUND)
    edge = rim(azimuth, rng.uniform(20, 34), rng.uniform(0, 12), rng.uniform(-14, 0))
    share = np.linspace(0.0, 1.0, 2 * DOWN)[:, None]
    wound = np.abs(np.sin(PI * (rng.uniform(3, 5) * share + rng.uniform(0.6, 1.2) * np.abs(np.sin(azimuth / 2)))))
    lift = rng.uniform(0.018, 0.034) * np.sin(PI * np.clip(share, 0.0, 0.97)) ** 0.5 + 0.007 * wound + 0.005
    return (crown(fit.skull, cloth, edge, lift, 2 * DOWN),), above(fit.skull, edge)


def helmet(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """A hard shell with straps to the chin: for a bicycle (with openings between ribs) or a building site."""
    azimuth = np.linspace(-PI, PI, AROUND)
    edge = rim(azimuth, rng.uniform(22, 32), rng.uniform(16, 24), rng.uniform(0, 12))
    colour = random_colour(rng, (0.0, 0.95), (0.1, 0.95))
    shell = Cloth(None, colour, rng.uniform(0.2, 0.7))
    share = np.linspace(0.0, 1.0, DOWN)[:, None]
    lift = 0.022 + 0.010 * (1 - share) + 0.006 * rng.integers(2) * np.cos(6 * azimuth) * np.sin(PI * share)
    lift[-1] -= 0.014
    pieces = [crown(fit.skull, shell, edge, lift)]
    if rng.random() < 0.5:
        length = 0.035 * np.sqrt(np.clip(np.cos(azimuth) - 0.2, 0.0, None)) + 0.006
        pieces.append(brim(fit.skull, edge, 0.022, length, 0.2 * length, shell))
    for side in (-1.0, 1.0):
        place = side * np.linspace(1.45, 0.0, 16)
        down = np.radians(np.interp(np.linspace(0, 1, 16), [0.0, 0.65, 1.0], [14.0, -42.0, -57.0]))
        path = fit.skull.place(place, down, 0.002)
        across = np.cross(np.gradient(path, axis=0), path - fit.skull.centre)
        points = tube(path, np.array([0.008, 0.001]), across, 6)
        pieces.append(sheet(points, to_linear(np.full(3, 0.15)), closed=True))
    return (merged(pieces),), above(fit.skull, edge)


def headphones(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """A bow over the head and a cushion on each ear."""
    lean = rng.uniform(0.0, 0.25)  # radians that the bow stands behind the middle
    turn = np.linspace(-0.5 * PI + 0.05, 0.5 * PI - 0.05, 25)
    path = fit.skull.place(np.sign(turn) * (0.5 * PI + lean), 0.5 * PI - np.abs(turn), 0.014)
    colour = random_colour(rng, (0.0, 0.8), (0.05, 0.9)) if rng.random() < 0.5 else to_linear(np.full(3, 0.1))
    pieces = [sheet(tube(path, np.array([0.013, 0.004]), np.array([0.0, 0.0, 1.0])), colour, 0.3, closed=True)]
    size = rng.uniform(0.028, 0.042)
    for end in (path[0], path[-1]):
        out = np.sign(end[0]) * np.array([1.0, 0.0, 0.0])
        middle = end + np.array([0.0, -0.022, 0.004]) - 0.012 * out
        line = middle + np.array([0.0, 0.002, 0.010, 0.016, 0.022, 0.026, 0.027])[:, None] * out
        radii = np.array([0.7, 0.95, 1.0, 0.9, 0.85, 0.7, 0.0])[:, None] * [1.15 * size, size]
        points = tube(line, radii, np.array([0.0, 1.0, 0.0]), 16)
        pieces.append(sheet(points, 0.8 * colour, 0.2, closed=True))
    return (merged(pieces),), NOTHING


def shroud(
    skull: Star, cloth: Cloth, opening: np.ndarray, elevation: np.ndarray, lift: np.ndarray, columns: int = AROUND
) -> Piece:
    """Cloth about head and neck, open over the face: opening (R,), half its width in radians of azimuth, at
    elevations (R,); lift: (R, columns) metres."""
    share = np.linspace(-1.0, 1.0, columns)[None]
    azimuth = PI + share * (PI - opening[:, None])
    points = skull.place(azimuth, elevation[:, None], lift)
    points = np.concatenate([points[:, :1] - 0.012 * np.array([0.0, 0.0, 1.0]), points,
                             points[:, -1:] - 0.012 * np.array([0.0, 0.0, 1.0])], axis=1)  # fmt: skip
    uv = np.stack([points[..., 0] + points[..., 2], points[..., 1]], axis=-1) / 0.35
    return sheet(points, cloth.tint, cloth.gloss, uv, cloth.texture)


def throat(rng: np.random.Generator, fit: Fitting, cloth: Cloth, height: float) -> Piece:
    """The same cloth over neck and shoulders, up to a height above the rim of the skin in front, metres."""
    edge = neckline(np.linspace(-PI, PI, AROUND), height, max(height, 0.06), max(height, 0.08))
    return drape(rng, fit.bust, cloth, edge, 0.018, 0.008, hem=-rng.uniform(0.07, 0.16), rows=9)


def hood(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """The hood of a pullover or a coat, drawn over the head."""
    elevation = np.radians(np.linspace(90.0, -61.0, 26))
    top, wide = rng.uniform(30, 50), np.radians(rng.uniform(60, 80))
    opening = wide * np.clip((np.radians(top) - elevation) / np.radians(22.0), 0.0, 1.0) ** 0.5
    opening *= np.clip((elevation + np.radians(90.0)) / np.radians(50.0), 0.0, 1.0)
    lift = rng.uniform(0.016, 0.034) * np.ones((26, AROUND)) + 0.003 * smooth_noise(rng, 26, AROUND, 8)
    lift += 0.012 * np.abs(np.linspace(-1.0, 1.0, AROUND)) ** 4
    edge = fit.skull.place(np.array([wide]), np.zeros(1))[0]
    cover = Cover(np.array([[0.0, 0.0, -1.0]]), np.array([0.035 - edge[2]]))  # one sees a little into it
    cloth = draw_cloth(rng, plain=0.8)
    return (shroud(fit.skull, cloth, opening, elevation, lift), throat(rng, fit, cloth, 0.02)), cover


def headscarf(rng: np.random.Generator, fit: Fitting) -> HatAndCover:
    """Cloth close about the face and under the chin, over the hair."""
    elevation = np.radians(np.linspace(90.0, -62.0, 28))
    top, wide = rng.uniform(24, 36), np.radians(rng.uniform(42, 56))
    opening = wide * np.clip((np.radians(top) - elevation) / np.radians(26.0), 0.0, 1.0) ** 0.5
    opening *= np.clip((elevation + np.radians(rng.uniform(50, 55))) / np.radians(24.0), 0.0, 1.0) ** 0.5
    fold = np.abs(np.linspace(-1.0, 1.0, AROUND))
    lift = 0.004 + rng.uniform(0.008, 0.024) * (1 - fold**6) * np.ones((28, 1))
    lift = lift + 0.003 * smooth_noise(rng, 28, AROUND, 9) * (1 - fold**8)
    cloth = draw_cloth(rng, plain=0.65)
    return (shroud(fit.skull, cloth, opening, elevation, lift), throat(rng, fit, cloth, 0.112)), EVERYTHING


Hat = Callable[[np.random.Generator, Fitting], HatAndCover]
HATS: dict[Hat, float] = {
    cap: 0.26,
    beanie: 0.22,
    brimmed: 0.12,
    headband: 0.08,
    turban: 0.04,
    helmet: 0.06,
    headphones: 0.07,
    hood: 0.08,
    headscarf: 0.07,
}
