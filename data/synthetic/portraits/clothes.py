"""What covers neck, shoulders and chest. Everything is laid out on the bust by azimuth and metres from the rim of the
head model's skin, which it always covers, if need be by more skin."""

from collections.abc import Callable

import numpy as np

from data.synthetic.noise import random_colour, smooth_noise, to_linear
from data.synthetic.portraits.bust import BOTTOM, Bust
from data.synthetic.portraits.cloth import Cloth, any_colour, draw_cloth, plain_cloth
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.solids import merged, sheet, through, tube

AROUND, DOWN = 49, 20  # vertices of a garment
HEM = -1.40  # metres below the rim at which clothes end, beyond most pictures
WAIST = -0.45  # and ties and rows of buttons
REPEAT = 0.40  # metres of cloth that a texture is laid over, some; around the body a whole number of times
PI = np.pi


def neckline(azimuth: np.ndarray, front: float, side: float, back: float, width: float = 2.0) -> np.ndarray:
    """Metres above the rim of an opening's edge at azimuths: front, side and back; a large width is a narrow V."""
    cosine = np.cos(azimuth)
    ahead, behind = np.maximum(cosine, 0.0) ** width, np.maximum(-cosine, 0.0) ** 2
    return side + (front - side) * ahead + (back - side) * behind


def drape(
    rng: np.random.Generator,
    bust: Bust,
    cloth: Cloth,
    edge: np.ndarray,
    lift: float,
    crease: float = 0.003,
    turn: np.ndarray | None = None,
    hem: float = HEM,
    rows: int = DOWN,
) -> Piece:
    """Cloth from an upper edge (C,), metres above the rim, down to the hem; over azimuths turn (C,), else all around.

    lift: metres off the skin at the edge; it grows downwards; crease: metres that folds are deep, away from the edge
    """
    turn = np.linspace(-PI, PI, AROUND) if turn is None else turn
    share = np.linspace(0.0, 1.0, rows)[:, None] ** 2.2
    along = edge + share * (hem - edge)
    folds = smooth_noise(rng, rows, len(turn), rng.uniform(7, 14))
    folds[:, -1] = folds[:, 0]
    below = np.minimum((edge - along) / 0.05, 1.0)
    off = lift + below * (0.003 + crease * (1.0 + np.maximum(folds, -1.0)))
    off[0] -= 0.0015  # the edge is turned in
    points = bust.place(turn[None], along, off)
    uv = np.stack(np.broadcast_arrays(turn[None] * (3 / (2 * PI)), -along / REPEAT), axis=-1)
    return sheet(points, cloth.tint, cloth.gloss, uv, cloth.texture, on_body=True)


def skin_below(bust: Bust, skin_albedo: np.ndarray) -> Piece:
    """More skin below the rim, for what is cut low: it begins behind the rim."""
    turn, along = (
        np.linspace(-PI, PI, AROUND)[None],
        np.array([0.012, 0.0, -0.02, -0.05, -0.08, -0.12, -0.17, -0.22])[:, None],
    )
    lift = np.interp(along, [-0.22, 0.0, 0.012], [0.002, -0.0006, -0.004])
    return sheet(bust.place(turn, along, lift), skin_albedo, 0.1, on_body=True)


def band(bust: Bust, edge: np.ndarray, turn: np.ndarray, lift: float, width: float, colour: np.ndarray) -> Piece:
    """A flat roll of cloth along an edge (C,) at azimuths (C,): half `width` metres wide."""
    path = bust.place(turn[None], edge[None], lift)[0]
    outward = bust.place(turn[None], edge[None], lift + 0.01)[0] - path
    return sheet(tube(path, np.array([0.0022, width]), outward, 6), colour, closed=True, on_body=True)


def t_shirt(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """Round or V neck, from close to the neck to wide."""
    turn = np.linspace(-PI, PI, AROUND)
    if rng.random() < 0.3:
        edge = neckline(turn, rng.uniform(-0.09, -0.02), rng.uniform(0.035, 0.055), 0.04, rng.uniform(4.0, 7.0))
    else:
        edge = neckline(turn, rng.uniform(-0.035, 0.035), rng.uniform(0.025, 0.06), rng.uniform(0.025, 0.05))
    pieces = [skin_below(bust, skin_albedo)] if edge.min() < 0.012 else []
    colour = np.float32(0.5 * cloth.tint if rng.random() < 0.7 else any_colour(rng))
    rib = band(bust, edge, turn, 0.005, rng.uniform(0.004, 0.010), colour)
    return *pieces, drape(rng, bust, cloth, edge, rng.uniform(0.003, 0.006)), rib


def low_cut(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """A top or dress under bare shoulders, mostly with straps."""
    turn = np.linspace(-PI, PI, AROUND)
    top = rng.uniform(-0.11, -0.06)
    edge = neckline(turn, top - rng.uniform(0.0, 0.03), rng.uniform(-0.12, -0.09), top, rng.uniform(2.0, 5.0))
    pieces = [skin_below(bust, skin_albedo), drape(rng, bust, cloth, edge, 0.003, 0.0015)]
    if rng.random() < 0.75:
        width, place = rng.uniform(0.003, 0.018), rng.uniform(0.45, 0.75)
        tint = np.float32(0.5 * cloth.tint)
        for side in (-1.0, 1.0):
            azimuth = side * np.linspace(place, PI - place, 24)
            ends = np.interp(azimuth, turn, edge)
            path = bust.place(
                azimuth[None], np.linspace(ends[0], ends[-1], 24) + 0.10 * np.sin(np.linspace(0, PI, 24)) - 0.01, 0.003
            )[0]
            across = np.gradient(path, axis=0)
            pieces.append(
                sheet(
                    tube(path, np.array([width, 0.0015]), np.cross(across, path - path.mean(axis=0)), 6),
                    tint,
                    closed=True,
                    on_body=True,
                )
            )
    return tuple(pieces)


def shirt(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """A shirt with a collar, open at the neck or buttoned, perhaps with a tie or a bow tie."""
    dress = rng.random()
    opening = 0.0 if dress < 0.45 else rng.uniform(0.02, 0.09)
    turn = np.linspace(-PI, PI, AROUND)
    neck = neckline(turn, 0.028, 0.062, 0.045)
    edge = neck - opening * np.exp(-np.square(turn / 0.22))
    body = drape(rng, bust, cloth, edge, 0.004)
    buttons = np.linspace(edge[AROUND // 2] - 0.015, WAIST, 7)
    path = bust.place(np.zeros((1, 30)), np.linspace(edge[AROUND // 2], WAIST, 30)[None], 0.014)[0]
    placket = sheet(
        tube(path, np.array([0.014, 0.002]), np.array([1.0, 0.0, 0.0]), 4),
        0.92 * cloth.tint,
        cloth.gloss,
        texture=cloth.texture,
        closed=True,
        on_body=True,
    )
    pieces = [body, placket, collar(rng, bust, cloth, neck, opening)]
    discs = bust.place(np.zeros((1, 7)), buttons[None], 0.0165)[0]
    pearl = to_linear(np.full(3, rng.choice([0.15, 0.85])))
    spots = [disc(place, 0.005, pearl) for place in discs]
    if opening > 0.0:
        pieces = [skin_below(bust, skin_albedo), *pieces]
    if dress < 0.25:
        pieces.append(tie(rng, bust, neck[AROUND // 2]))
    elif dress < 0.33:
        pieces.append(bow_tie(rng, bust, neck[AROUND // 2]))
    return *pieces, merged(spots)


def collar(rng: np.random.Generator, bust: Bust, cloth: Cloth, neck: np.ndarray, opening: float) -> Piece:
    """A stand about the neck with a flap turned down, longest at its two points in front."""
    gap = 0.06 + 2.2 * opening
    turn = np.linspace(gap, 2 * PI - gap, 49)
    height, point = rng.uniform(0.028, 0.040), rng.uniform(0.025, 0.05)
    seam = np.interp((turn + PI) % (2 * PI) - PI, np.linspace(-PI, PI, AROUND), neck) - 0.35 * opening * np.exp(
        -np.square(np.minimum(turn, 2 * PI - turn) / 0.5)
    )
    front = np.exp(-(((np.minimum(turn, 2 * PI - turn) - gap) / 0.35) ** 2))
    tall = height * (1.0 - 0.3 * front)
    drop = 0.012 + point * front
    rows = [
        (seam - 0.004, 0.005),
        (seam + 0.5 * tall, 0.005),
        (seam + tall, 0.006),
        (seam + tall + 0.002, 0.009),
        (seam + 0.5 * tall, 0.013),
        (seam - 0.3 * drop, 0.015),
        (seam - drop, 0.017),
    ]
    points = np.stack([bust.place(turn[None], along[None], lift)[0] for along, lift in rows])
    return sheet(points, cloth.tint, cloth.gloss, texture=cloth.texture, on_body=True)


def disc(place: np.ndarray, radius: float, colour: np.ndarray) -> Piece:
    """A button: radius in metres, turned to the front."""
    path = place + np.linspace(-0.001, 0.001, 3)[:, None] * [0.0, 0.0, 1.0]
    points = tube(path, np.array([[radius], [radius], [0.0]]), np.array([1.0, 0.0, 0.0]), 8)
    return sheet(points, colour, 0.3, closed=True, on_body=True)


def tie(rng: np.random.Generator, bust: Bust, top: float) -> Piece:
    """A knot and what hangs from it."""
    cloth = draw_cloth(rng, plain=0.4)
    along = np.concatenate([top + np.array([0.012, 0.0, -0.03]), np.linspace(top - 0.034, WAIST, 12)])
    width = np.concatenate([[0.016, 0.019, 0.011], np.linspace(0.014, rng.uniform(0.03, 0.045), 12)])
    lift = np.concatenate([[0.018, 0.024, 0.022], np.full(12, 0.0185)])
    path = bust.place(np.zeros((1, 15)), along[None], lift)[0]
    radii = np.stack([width, np.concatenate([[0.006, 0.009, 0.007], np.full(12, 0.0025)])], axis=1)
    points = tube(path, radii, np.array([1.0, 0.0, 0.0]), 8)
    uv = np.stack(np.broadcast_arrays(points[..., 0], -points[..., 1]), axis=-1) / 0.25
    return sheet(points, cloth.tint, 0.12, uv, cloth.texture, closed=True, on_body=True)


def bow_tie(rng: np.random.Generator, bust: Bust, top: float) -> Piece:
    """Two wings beside a knot."""
    cloth = draw_cloth(rng, plain=0.7)
    place = bust.place(np.zeros((1, 1)), np.full((1, 1), top + 0.004), 0.026)[0, 0]
    half, tall = rng.uniform(0.045, 0.065), rng.uniform(0.016, 0.028)
    across = np.linspace(-1.0, 1.0, 17)
    path = place + np.stack([half * across, 0 * across, -0.25 * half * across**2], axis=1)
    size = tall * (0.35 + 0.65 * np.sin(np.minimum(np.abs(across), 1.0) * 1.9)) * (np.abs(across) < 0.999)
    size[8] = 0.45 * tall
    radii = np.stack([size, 0.3 * size + 0.004 * (across == 0.0)], axis=1)
    return sheet(
        tube(path, radii, np.array([0.0, 1.0, 0.0]), 8),
        cloth.tint,
        0.12,
        texture=cloth.texture,
        closed=True,
        on_body=True,
    )


def jacket(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """A suit's jacket with lapels, over a shirt or a T-shirt."""
    inside = plain_cloth(rng, random_colour(rng, (0.0, 0.15), (0.75, 0.95)) if rng.random() < 0.7 else any_colour(rng))
    under = (shirt if rng.random() < 0.75 else t_shirt)(rng, bust, skin_albedo, inside)
    if rng.random() < 0.75:  # dark or grey wool
        cloth = plain_cloth(rng, random_colour(rng, (0.0, 0.5), (0.06, 0.4)))
    low, wide = rng.uniform(-0.30, -0.18), rng.uniform(0.035, 0.06)
    turn = np.linspace(-PI, PI, AROUND)
    along = np.linspace(low, 0.042, 20)
    share = (along - low) / (0.042 - low)
    level = bust.place(np.full((1, 20), 0.5), along[None])[0]
    radius = level[:, 0] / np.sin(0.5)  # metres across per radian, near the front
    slit = np.arcsin(np.minimum((0.004 + rng.uniform(0.045, 0.06) * share) / radius, 0.95))
    edge = np.where(
        np.abs(turn) < slit[-1],
        np.interp(np.abs(turn), slit, along),
        np.maximum(neckline(turn, 0.042, 0.05, 0.035), 0.042 - 0.01 * np.abs(turn)),
    )
    body = drape(rng, bust, cloth, edge, 0.016)
    tint, gloss = 0.9 * cloth.tint, float(rng.choice([0.03, 0.15]))
    broad = wide * np.interp(share, [0.0, 0.5, 0.75, 0.76, 0.82, 1.0], [0.1, 0.8, 1.15, 0.7, 0.95, 0.6])
    pieces = []
    for side in (-1.0, 1.0):
        across = slit + np.linspace(0.0, 1.0, 4)[:, None] * broad / radius
        lift = np.array([0.021, 0.026, 0.028, 0.026])[:, None]
        strip = bust.place(side * across[:, ::-1], along[::-1][None], lift).transpose(1, 0, 2)
        strip = strip if side > 0 else strip[:, ::-1]
        pieces.append(sheet(strip, tint, gloss, strip[..., :2] / REPEAT, cloth.texture, on_body=True))
    around = np.linspace(slit[-1], 2 * PI - slit[-1], 33)
    seam = np.interp((around + PI) % (2 * PI) - PI, turn, edge)
    rows = [(seam, 0.014), (seam + 0.012, 0.014), (seam + 0.013, 0.020), (seam - 0.6 * wide, 0.026)]
    points = np.stack([bust.place(around[None], height[None], lift)[0] for height, lift in rows])
    pieces.append(sheet(points, tint, gloss, points[..., :2] / REPEAT, cloth.texture, on_body=True))
    return *under, body, merged(pieces)


def hoodie(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """Thick, with the hood lying behind the neck and strings in front."""
    turn = np.linspace(-PI, PI, AROUND)
    edge = neckline(turn, rng.uniform(-0.01, 0.02), 0.058, 0.05, 3.0)
    body = drape(rng, bust, cloth, edge, 0.006, 0.006)
    around = np.linspace(-PI + 0.25, PI - 0.25, 49) + PI
    share = np.abs(around - PI) / PI  # 0 at the back
    rise = np.interp((around + PI) % (2 * PI) - PI, turn, edge)
    size = rng.uniform(0.014, 0.024)
    thick = size * (1.15 - 0.75 * share**1.5)
    path = bust.place(around[None], rise[None] - 0.004 + 0.012 * (1 - share), thick + 0.008 * (1 - share))[0]
    up = bust.place(around[None], rise[None] + 0.02, thick)[0] - path
    roll = sheet(
        tube(path, np.stack([1.35 * thick, thick], axis=1), up, 10),
        cloth.tint,
        cloth.gloss,
        texture=cloth.texture,
        closed=True,
        on_body=True,
    )
    white = to_linear(np.full(3, rng.choice([0.1, 0.9])))
    strings = []
    for side in (-1.0, 1.0):
        along = np.linspace(edge[AROUND // 2] + 0.005, -rng.uniform(0.1, 0.2), 12)
        line = bust.place(np.full((1, 12), side * rng.uniform(0.3, 0.5)), along[None], 0.022)[0]
        strings.append(sheet(tube(line, 0.003, np.array([1.0, 0, 0]), 6), white, closed=True, on_body=True))
    pieces = [skin_below(bust, skin_albedo)] if edge.min() < 0.01 else []
    return *pieces, body, roll, merged(strings)


def turtleneck(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """Up the neck, with its top turned over."""
    turn = np.linspace(-PI, PI, AROUND)
    top = neckline(turn, rng.uniform(0.055, 0.07), 0.10, rng.uniform(0.075, 0.09))
    width = rng.uniform(0.025, 0.04)
    rows = ((top, 0.004), (top + 0.003, 0.007), (top, 0.010), (top - width, 0.012), (top - width - 0.002, 0.006))
    points = np.stack([bust.place(turn[None], along[None], lift)[0] for along, lift in rows])
    uv = np.stack(np.broadcast_arrays(turn[None] * 0.5, np.arange(5.0)[:, None] / 20), axis=-1)
    fold = sheet(points, cloth.tint, cloth.gloss, uv, cloth.texture, on_body=True)
    return drape(rng, bust, cloth, top, 0.004, 0.004), fold


def scarf(rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, cloth: Cloth) -> tuple[Piece, ...]:
    """Wound about the neck over a coat or a pullover, its ends perhaps hanging down in front."""
    wool = draw_cloth(rng, plain=0.45)
    under = t_shirt(rng, bust, skin_albedo, cloth)
    pieces = []
    turn = np.linspace(-PI, PI, 41)
    for number in range(2):
        size, tilt = rng.uniform(0.018, 0.026), rng.uniform(-0.012, 0.012)
        wobble = 1.0 + 0.12 * np.interp(turn, np.linspace(-PI, PI, 9), rng.standard_normal(9))
        wobble[-1] = wobble[0]
        along = neckline(turn, 0.01, 0.055, 0.045) + 0.026 * number + tilt * np.sin(turn)
        radii = np.stack([1.25 * size * wobble, size * wobble], axis=1)
        path = bust.place(turn[None], along[None], 0.6 * size + 0.004)[0]
        up = bust.place(turn[None], along[None] + 0.02, 0.6 * size)[0] - path
        uv = np.stack(np.broadcast_arrays(turn[:, None] * 0.35, np.linspace(0, 0.4, 10)[None]), axis=-1)
        pieces.append(sheet(tube(path, radii, up, 10), wool.tint, wool.gloss, uv, wool.texture, True, True))
    if rng.random() < 0.5:
        side = rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 0.5)
        path = bust.place(np.full((1, 20), side), np.linspace(0.015, -rng.uniform(0.2, 0.4), 20)[None], 0.03)[0]
        radii = np.stack([np.linspace(0.03, 0.065, 20), np.full(20, 0.007)], axis=1)
        points = tube(through(path[::3], 20), radii, np.array([1.0, 0.0, 0.0]), 10)
        pieces.append(sheet(points, wool.tint, wool.gloss, points[..., :2] / REPEAT, wool.texture, True, True))
    return *under, merged(pieces)


Garment = Callable[[np.random.Generator, Bust, np.ndarray, Cloth], tuple[Piece, ...]]
# garment -> share of masculine and of other people
GARMENTS: dict[Garment, tuple[float, float]] = {
    t_shirt: (0.36, 0.30),
    low_cut: (0.00, 0.18),
    shirt: (0.20, 0.14),
    jacket: (0.18, 0.12),
    hoodie: (0.12, 0.10),
    turtleneck: (0.06, 0.09),
    scarf: (0.08, 0.07),
}
assert -HEM < -BOTTOM


def draw_clothes(
    rng: np.random.Generator, bust: Bust, skin_albedo: np.ndarray, masculine: bool, flat: bool = False
) -> tuple[tuple[Piece, ...], Cloth]:
    """What somebody with a skin albedo (3,), linear, wears, and the cloth of the sleeves.

    flat: something lies over the shoulders, so nothing stands off there
    """
    shares = np.array([share[0 if masculine else 1] for share in GARMENTS.values()])
    garment = t_shirt if flat else list(GARMENTS)[int(rng.choice(len(shares), p=shares / shares.sum()))]
    cloth = draw_cloth(rng)
    return garment(rng, bust, skin_albedo, cloth), cloth
