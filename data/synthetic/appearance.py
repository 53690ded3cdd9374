"""How one subject looks: colours drawn at random, and the textures painted from them.

Textures are float32 (T, T, 4): linear albedo (red, green, blue) and gloss, the strength of the mirror reflection.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.noise import fractal_noise, smooth_noise, to_linear
from Sim3DR import interpolate, rasterize_buffers

SKIN_SIZE = 1024  # texels a side of the skin's texture
BAKE_SIZE = 512  # texels a side while regions are laid out
EYE_SIZE = 256

# Reflectance of bloodless, unpigmented skin, and what pigments take from it: albedo = BASE * exp(-amount * pigment).
SKIN_BASE = np.float32([0.80, 0.70, 0.62])
MELANIN = np.float32([0.95, 1.20, 1.45])
HAEMOGLOBIN = np.float32([0.12, 0.75, 0.62])
CAROTENE = np.float32([0.00, 0.06, 0.40])

HAIR_COLOURS = {  # sRGB
    "black": (22, 20, 20),
    "dark brown": (46, 33, 26),
    "brown": (80, 56, 40),
    "light brown": (116, 86, 60),
    "dark blond": (146, 116, 80),
    "blond": (188, 158, 112),
    "red": (128, 62, 34),
    "auburn": (88, 44, 32),
    "grey": (122, 120, 118),
    "white": (196, 194, 190),
}
IRIS_COLOURS = {  # sRGB near the pupil and at the rim
    "dark brown": ((52, 32, 20), (38, 24, 16)),
    "brown": ((104, 66, 34), (66, 40, 22)),
    "hazel": ((124, 88, 44), (88, 92, 58)),
    "green": ((116, 108, 62), (82, 104, 82)),
    "blue": ((126, 136, 138), (74, 104, 138)),
    "grey": ((136, 140, 136), (94, 106, 114)),
}


@dataclass(frozen=True)
class Look:
    """What is drawn once per subject; pigments in the units of the constants above, colours linear.

    melanin, haemoglobin, carotene: amounts; hair (3,) and hair_greying 0..1; iris: a key of IRIS_COLOURS
    iris_angle, pupil_angle: radians seen from the eyeball's centre
    freckles, blotches, stubble, lip_colour, eye_shadow, oiliness: strengths, about 0..1
    lipstick: (3,) linear, or None; beard, moustache: True where hair grows there; masculine: sways hair and brows
    """

    melanin: float
    haemoglobin: float
    carotene: float
    hair: np.ndarray
    hair_greying: float
    iris: str
    iris_angle: float
    pupil_angle: float
    freckles: float
    blotches: float
    stubble: float
    lip_colour: float
    lipstick: np.ndarray | None
    eye_shadow: float
    oiliness: float
    beard: bool
    moustache: bool
    masculine: bool


def draw_look(rng: np.random.Generator) -> Look:
    """Draws a subject's colours; hair and eyes go with the skin's melanin, as they mostly do."""
    melanin = float(rng.choice([rng.uniform(0.10, 0.35), rng.uniform(0.3, 0.8), rng.uniform(0.8, 1.9)]))
    fair = melanin < 0.35
    masculine = bool(rng.random() < 0.5)
    if fair:
        hair = rng.choice(list(HAIR_COLOURS), p=[0.08, 0.2, 0.2, 0.14, 0.11, 0.09, 0.05, 0.05, 0.05, 0.03])
        iris = rng.choice(list(IRIS_COLOURS), p=[0.1, 0.2, 0.15, 0.12, 0.33, 0.1])
    else:
        hair = rng.choice(list(HAIR_COLOURS), p=[0.5, 0.28, 0.08, 0.01, 0.01, 0.01, 0.01, 0.02, 0.05, 0.03])
        iris = rng.choice(list(IRIS_COLOURS), p=[0.6, 0.3, 0.06, 0.02, 0.01, 0.01])
    facial_hair = masculine and rng.random() < 0.4
    lipstick = None
    if not masculine and rng.random() < 0.3:
        lipstick = to_linear(np.array([rng.uniform(0.45, 0.8), rng.uniform(0.1, 0.35), rng.uniform(0.15, 0.4)]))
    return Look(
        melanin=melanin,
        haemoglobin=float(rng.uniform(0.35, 0.80)),
        carotene=float(rng.uniform(0.0, 0.6)),
        hair=to_linear(np.array(HAIR_COLOURS[str(hair)]) / 255.0),
        hair_greying=float(max(0.0, rng.normal(-0.25, 0.25))),
        iris=str(iris),
        iris_angle=float(rng.uniform(0.47, 0.52)),
        pupil_angle=float(rng.uniform(0.13, 0.26)),
        freckles=float(rng.uniform(0.3, 1.0)) if fair and rng.random() < 0.3 else 0.0,
        blotches=float(rng.uniform(0.2, 1.0)),
        stubble=float(rng.uniform(0.1, 0.8)) if masculine and rng.random() < 0.7 else 0.0,
        lip_colour=float(rng.uniform(0.5, 1.2)),
        lipstick=lipstick,
        eye_shadow=float(rng.uniform(0.2, 1.0)),
        oiliness=float(rng.uniform(0.3, 1.0)),
        beard=bool(facial_hair and rng.random() < 0.75),
        moustache=bool(facial_hair and rng.random() < 0.85),
        masculine=masculine,
    )


def pigment_colour(melanin: np.ndarray, haemoglobin: np.ndarray, carotene: float) -> np.ndarray:
    """(..., 3) linear albedo of skin with the given pigments (...)."""
    density = melanin[..., None] * MELANIN + haemoglobin[..., None] * HAEMOGLOBIN + carotene * CAROTENE
    return SKIN_BASE * np.exp(-density.astype(np.float32))


def bake(uv: np.ndarray, triangles: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Lays values (V, C) of a part's vertices out on its texture: (size, size, C) float32, spread past the seams."""
    flat = np.zeros((len(uv), 3), np.float32)
    flat[:, :2] = uv * size - 0.5
    buffers = rasterize_buffers(flat, triangles, size, size)
    picture = interpolate(buffers, triangles, np.ascontiguousarray(values, dtype=np.float32))
    covered = (buffers.triangle >= 0).astype(np.float32)
    for reach in (3, 7, 15, 31):
        share = cv2.blur(covered, (reach, reach))
        spread = cv2.blur(picture, (reach, reach)).reshape(picture.shape) / (share[..., None] + 1e-6)
        empty = (covered == 0) & (share > 0)
        picture[empty] = spread[empty]
        covered[empty] = 1.0
    return picture


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), sigma)


class RegionMaps:
    """The skin's region masks laid out on its texture, by name; a region that the face model lacks is all 0."""

    def __init__(self, uv: np.ndarray, triangles: np.ndarray, regions: dict[str, np.ndarray]) -> None:
        """uv (V, 2), triangles (F, 3) of the skin; regions: name -> (V,) masks 0..1."""
        self.names = sorted(regions)
        stacked = np.stack([regions[name] for name in self.names], axis=1)
        self.maps = bake(uv, triangles, stacked, BAKE_SIZE)

    def __getitem__(self, name: str) -> np.ndarray:
        """(BAKE_SIZE, BAKE_SIZE) float32 mask."""
        if name not in self.names:
            return np.zeros(self.maps.shape[:2], np.float32)
        return np.ascontiguousarray(self.maps[..., self.names.index(name)])


def paint_skin(rng: np.random.Generator, look: Look, regions: RegionMaps, hair_cover: float) -> np.ndarray:
    """(SKIN_SIZE, SKIN_SIZE, 4) skin texture.

    hair_cover: how far the scalp takes on the colour of the hair on it, 0 shaven .. 1 thick
    """
    size = BAKE_SIZE
    patches = fractal_noise(rng, size, size, 6, 5, 0.6, channels=2)
    nose, cheeks, lips = regions["nose"], regions["cheeks"], regions["lips"]
    eyelids = regions["eyelids"]
    sockets = np.clip(_soft(eyelids, 6.0) * 1.4, 0, 1)
    melanin = look.melanin * (1.0 + 0.08 * patches[..., 0] + 0.35 * look.eye_shadow * sockets)
    melanin += 0.10 * look.eye_shadow * sockets + 0.12 * lips + 0.05 * _soft(regions["brows"], 4.0)
    flush = 0.55 * _soft(cheeks, 12.0) + 0.45 * _soft(nose, 8.0) + 0.7 * _soft(regions["ears"], 5.0)
    haemoglobin = look.haemoglobin * (1.0 + look.blotches * (0.6 * flush + 0.16 * patches[..., 1]))
    haemoglobin += 0.15 * sockets + 0.35 * _soft(regions["nostrils"], 2.0)
    haemoglobin += look.lip_colour * lips * (0.75 + 0.10 * smooth_noise(rng, size, size, 60))
    mucosa = np.maximum(regions["inner_lid"], regions["inner_mouth"])
    melanin *= 1.0 - 0.6 * mucosa
    haemoglobin += mucosa * (0.5 + 0.7 * (regions["inner_mouth"] > 0.0))

    melanin = cv2.resize(melanin, (SKIN_SIZE, SKIN_SIZE), interpolation=cv2.INTER_LINEAR)
    haemoglobin = cv2.resize(haemoglobin, (SKIN_SIZE, SKIN_SIZE), interpolation=cv2.INTER_LINEAR)
    fine = smooth_noise(rng, SKIN_SIZE, SKIN_SIZE, 340)
    melanin += (0.03 + 0.04 * look.melanin) * fine
    haemoglobin += 0.06 * smooth_noise(rng, SKIN_SIZE, SKIN_SIZE, 150)
    if look.freckles:
        where = cv2.resize(_soft(np.maximum(cheeks, nose), 14.0), (SKIN_SIZE, SKIN_SIZE)) + 0.15
        spots = smooth_noise(rng, SKIN_SIZE, SKIN_SIZE, 200) + 0.6 * smooth_noise(rng, SKIN_SIZE, SKIN_SIZE, 30)
        melanin += look.freckles * 0.35 * where * np.clip(spots - 1.3, 0.0, 1.0)
    _add_moles(rng, melanin)
    albedo = pigment_colour(melanin, haemoglobin, look.carotene)
    gloss = look.oiliness * (0.55 + 0.7 * _soft(nose, 6.0) + 0.15 * patches[..., 0] * 0.3) + 0.9 * lips
    gloss = cv2.resize(gloss, (SKIN_SIZE, SKIN_SIZE)) * np.clip(1.0 + 0.35 * fine, 0.2, 2.0)
    _tint_hair_regions(rng, look, regions, hair_cover, albedo, gloss)
    if look.lipstick is not None:
        share = cv2.resize(np.clip(lips * 1.2, 0, 1), (SKIN_SIZE, SKIN_SIZE))[..., None] * 0.75
        albedo = albedo * (1 - share) + look.lipstick * share * (0.35 + 0.65 * np.exp(-0.8 * look.melanin))
    return np.dstack([albedo, gloss]).astype(np.float32)


def _add_moles(rng: np.random.Generator, melanin: np.ndarray) -> None:
    for _ in range(int(rng.integers(3, 30))):
        centre = tuple(int(value) for value in rng.integers(0, SKIN_SIZE, 2))
        spot = np.zeros((17, 17), np.float32)
        cv2.circle(spot, (8, 8), int(rng.integers(1, 4)), rng.uniform(0.2, 1.2), -1, cv2.LINE_AA)
        patch = melanin[centre[1] : centre[1] + 17, centre[0] : centre[0] + 17]
        patch += cv2.GaussianBlur(spot, (0, 0), 0.8)[: patch.shape[0], : patch.shape[1]]


def _tint_hair_regions(
    rng: np.random.Generator,
    look: Look,
    regions: RegionMaps,
    hair_cover: float,
    albedo: np.ndarray,
    gloss: np.ndarray,
) -> None:
    """Darkens the skin where hair roots show through: scalp, stubble, brows and the line of the lashes; in place."""
    grain = np.clip(0.94 + 0.08 * smooth_noise(rng, SKIN_SIZE, SKIN_SIZE, 330), 0.0, 1.0)
    edge = 0.12 * fractal_noise(rng, BAKE_SIZE, BAKE_SIZE, 30, 3)
    scalp = _soft(regions["scalp"], 2.0 + 8.0 * (1.0 - hair_cover))
    jaw = np.maximum(regions["beard"], regions["moustache"])
    stubble = max(look.stubble, 0.6 if look.beard or look.moustache else 0.0)
    covers = (
        (np.clip(1.8 * (scalp + edge * (scalp > 0.02)) - 0.5, 0, 1), 0.97 * hair_cover, grain),
        (_soft(jaw, 3.0), 0.45 * stubble, grain),
        (_soft(regions["brows"], 1.2), 0.35, grain),
        (_soft(regions["lash_line"], 0.8) * (1.0 - regions["inner_lid"]), 0.6, np.float32(1.0)),
    )
    for number, (mask, strength, texture) in enumerate(covers):
        share = cv2.resize(mask, (SKIN_SIZE, SKIN_SIZE), interpolation=cv2.INTER_LINEAR) * strength * texture
        share = np.clip(share, 0.0, 1.0)
        roots = 0.7 * look.hair if number == 0 else np.minimum(0.5 * look.hair, 0.6 * albedo)  # stubble only darkens
        albedo += share[..., None] * (roots - albedo)
        gloss *= 1.0 - 0.7 * share


def hair_palette(rng: np.random.Generator, look: Look) -> np.ndarray:
    """(32, 3) linear albedos that the strands take: the hair colour with its own variation and grey hairs."""
    palette = look.hair * np.exp(rng.normal(0.0, 0.15, (32, 1)) + rng.normal(0.0, 0.04, (32, 3)))
    grey = rng.random(32) < look.hair_greying
    palette[grey] = to_linear(np.full(3, 0.55)) * rng.uniform(0.5, 1.1, (int(grey.sum()), 1))
    return palette.astype(np.float32)


def paint_eye(rng: np.random.Generator, look: Look, directions: np.ndarray) -> np.ndarray:
    """(T, T, 4) eye texture from the unit directions (T, T, 3) of its texels seen from the eyeball's centre.

    The pupil looks along +z. Gloss is 1 all over: the eye is wet.
    """
    size = directions.shape[0]
    off_axis = np.arccos(np.clip(directions[..., 2], -1.0, 1.0))
    around = np.arctan2(directions[..., 1], directions[..., 0])
    inner, outer = (to_linear(np.array(colour) / 255.0) for colour in IRIS_COLOURS[look.iris])
    radius = np.clip(off_axis / look.iris_angle, 0.0, 1.2)
    fibres = _ring_noise(rng, around, 90) * 0.22 + _ring_noise(rng, around + 3.0 * radius, 30) * 0.15
    blend = np.clip((radius - 0.45) / 0.35 + 0.25 * fibres, 0.0, 1.0)[..., None]
    iris = (inner * (1 - blend) + outer * blend) * np.exp(fibres)[..., None] * rng.uniform(0.6, 1.2)
    limbal = np.clip((radius - 0.84) / 0.14, 0.0, 1.0)[..., None]
    iris = iris * (1.0 - 0.75 * limbal)
    pupil = np.clip((off_axis - look.pupil_angle) / 0.025 + 0.5, 0.0, 1.0)[..., None]
    iris = 0.004 + iris * pupil

    sclera = to_linear(np.array([0.85, 0.82, 0.79]) * rng.uniform(0.9, 1.02))
    redness = np.clip((off_axis - 0.7) / 0.8, 0.0, 1.0)[..., None]
    veins = np.clip(fractal_noise(rng, size, size, 10, 4, channels=1) - 0.9, 0.0, 1.0)[..., None]
    white = sclera * (1.0 - redness * np.float32([0.12, 0.36, 0.36])) * (1.0 - veins * np.float32([0.02, 0.15, 0.15]))
    share = np.clip((off_axis - look.iris_angle) / 0.035 + 0.5, 0.0, 1.0)[..., None]
    return np.dstack([iris * (1 - share) + white * share, np.ones((size, size))]).astype(np.float32)


def _ring_noise(rng: np.random.Generator, angle: np.ndarray, cells: int) -> np.ndarray:
    """Noise of deviation 1 that depends on an angle (radians) and closes around the circle."""
    values = rng.standard_normal(cells)
    place = (angle / (2 * np.pi)) % 1.0 * cells
    low = place.astype(np.int64) % cells
    share = place % 1.0
    return values[low] * (1 - share) + values[(low + 1) % cells] * share


def paint_teeth(rng: np.random.Generator, positions: np.ndarray) -> np.ndarray:
    """(T, T, 4) teeth texture from the canonical positions (T, T, 3) of its texels: enamel, dark in the gaps."""
    enamel = to_linear(np.array([0.86, 0.82, 0.74]) * rng.uniform(0.8, 1.05))
    across = positions[..., 0]
    width = 0.0075
    gap = (across / width) % 1.0
    gap = np.minimum(gap, 1.0 - gap)
    tone = 0.55 + 0.45 * np.clip(gap / 0.10, 0.0, 1.0)
    albedo = enamel * tone[..., None]
    return np.dstack([albedo, np.full(across.shape, 0.8)]).astype(np.float32)


def paint_mouth(size: int = 16) -> np.ndarray:
    """(T, T, 4) texture of the inside of the mouth: wet dark red."""
    texture = np.empty((size, size, 4), np.float32)
    texture[:] = (*to_linear(np.array([0.52, 0.22, 0.21])), 0.4)
    return texture
