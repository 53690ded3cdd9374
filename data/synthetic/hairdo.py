"""What hair a subject has: style, hairline, brows, lashes, beard; and perhaps glasses."""

import numpy as np

from data.synthetic import appearance, hair
from data.synthetic.glasses import draw_glasses
from data.synthetic.shape import FaceModel, skin_of

GLASSES_SHARE = 0.15  # of people


def grow_all_hair(
    rng: np.random.Generator,
    face: FaceModel,
    look: appearance.Look,
    rest: dict[str, np.ndarray],
    normals: dict[str, np.ndarray],
) -> tuple[tuple[hair.Strands, ...], float]:
    """Scalp hair, brows, lashes, beard and perhaps glasses, and how far the scalp shows the hair's colour (0..1)."""
    skin = skin_of(face)
    surface = hair.Surface(rest["skin"], normals["skin"], skin.triangles, rest["clothes"][::3], normals["clothes"][::3])
    palette = appearance.hair_palette(rng, look)
    groups = []
    cover = 0.0
    style = _draw_style(rng, look)
    scalp = _hairline(rng, look, rest["skin"], face.regions["scalp"])
    if style is not None:
        groups.append(hair.grow_scalp_hair(rng, style, surface, scalp, _bare_face(rng, face, rest["skin"]), palette))
        cover = 1.0 if style.name != "buzz" else 0.7
    elif rng.random() < 0.6:
        cover = rng.uniform(0.0, 0.5)
    groups += _brows_and_lashes(rng, face, look, surface, rest, palette)
    groups += _beard(rng, face, look, surface, palette)
    if rng.random() < GLASSES_SHARE:
        groups.append(draw_glasses(rng, rest, skin.triangles))
    return tuple(group for group in groups if len(group.points)), cover


def _bare_face(rng: np.random.Generator, face: FaceModel, skin: np.ndarray) -> np.ndarray:
    """(V,) True where the face stays free of hair: below the brows of most people, below the nose of the others."""
    brow = skin[face.regions["brows"] > 0.5, 1].mean()
    top = brow + rng.uniform(-0.004, 0.012, len(skin)) - 0.03 * (rng.random() < 0.1)
    return (face.regions["face"] > 0.3) & (face.regions["scalp"] < 0.1) & (skin[:, 1] < top)


def _draw_style(rng: np.random.Generator, look: appearance.Look) -> hair.Style | None:
    """A hair style, or None for a bald head."""
    if rng.random() < (0.10 if look.masculine else 0.02):
        return None
    short = {"buzz", "crop", "crop_forward", "spiky"}
    weights = np.ones(len(hair.STYLES))
    for index, style in enumerate(hair.STYLES):
        if style.name in ("bob", "long"):
            weights[index] = 0.15 if look.masculine else 2.5
        if style.name in short:
            weights[index] = 1.5 if look.masculine else 0.3
        if style.name == "afro":
            weights[index] = 1.5 if look.melanin > 0.8 else 0.1
        if style.name == "curly":
            weights[index] = 1.0 if look.melanin < 0.9 else 2.0
    return hair.STYLES[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _hairline(rng: np.random.Generator, look: appearance.Look, skin: np.ndarray, scalp: np.ndarray) -> np.ndarray:
    """The scalp mask (V,) with this person's hairline: higher at the temples and irregular, receding in some men."""
    recede = float(max(0.0, rng.normal(0.0, 0.5))) if look.masculine else 0.0
    inside = scalp > 0.5
    if not inside.any() or recede < 0.05:
        return scalp
    front = skin[inside, 2].max()
    corner = np.exp(-((np.abs(skin[:, 0]) - 0.035) ** 2) / (2 * 0.018**2))
    depth = front - skin[:, 2]
    above = skin[:, 1] > np.quantile(skin[inside, 1], 0.3)
    cut = np.clip(1.0 - (depth - 0.035 * recede * (0.4 + 0.6 * corner)) / 0.012, 0.0, 1.0)
    return scalp * np.where(above, 1.0 - cut, 1.0).astype(np.float32)


def _brows_and_lashes(
    rng: np.random.Generator,
    face: FaceModel,
    look: appearance.Look,
    surface: hair.Surface,
    rest: dict[str, np.ndarray],
    palette: np.ndarray,
) -> list[hair.Strands]:
    skin = surface.vertices
    brows, lashes = face.regions["brows"], face.regions["lash_line"] * (1.0 - face.regions.get("inner_lid", 0.0))
    span = np.abs(skin[brows > 0.4, 0])
    share = np.clip((np.abs(skin[:, 0]) - span.min()) / (np.ptp(span) + 1e-6), 0.0, 1.0)
    outward = np.sign(skin[:, 0])
    along = np.stack([outward * (0.35 + 0.65 * share), 0.85 - 1.15 * share, -0.45 * share], axis=1)
    density = rng.uniform(0.6, 1.2) * (1.25 if look.masculine else 0.9)
    darker = palette * rng.uniform(0.5, 0.95)
    grown = [
        hair.grow_short_hair(
            rng, surface, brows, darker, int(500 * density), (0.005, 0.010), along, 0.5, 0.00019 * density**0.5
        )
    ]
    centres = [(rest[name].min(axis=0) + rest[name].max(axis=0)) / 2 for name in ("eye_left", "eye_right")]
    centre = np.where(skin[:, :1] > 0, *(c for c in sorted(centres, key=lambda c: -c[0])))
    reach = (skin - centre) * [0.9, 1.2, 0.0]
    reach /= np.linalg.norm(reach, axis=1, keepdims=True) + 1e-9
    upper = skin[:, 1] > centre[:, 1] + 0.0005
    forward = reach * np.where(upper, 0.9, 0.7)[:, None] + [0.0, 0.0, 0.8]
    black = np.minimum(palette, 0.03) * (0.5 if look.masculine else 0.35)
    strength = rng.uniform(0.7, 1.0) if look.masculine else rng.uniform(0.9, 1.5)
    grown.append(
        hair.grow_short_hair(
            rng, surface, lashes * upper, black, 190, (0.0045 * strength, 0.007 * strength), forward, 0.0, 0.00014
        )
    )
    grown.append(
        hair.grow_short_hair(
            rng, surface, lashes * ~upper, black, 120, (0.002 * strength, 0.004 * strength), forward, 0.0, 0.00010
        )
    )
    return grown


def _beard(
    rng: np.random.Generator, face: FaceModel, look: appearance.Look, surface: hair.Surface, palette: np.ndarray
) -> list[hair.Strands]:
    skin = surface.vertices
    length = rng.choice([rng.uniform(0.003, 0.008), rng.uniform(0.008, 0.025)])
    grown = []
    for name, wanted, count, stretch in (("beard", look.beard, 4500, 1.0), ("moustache", look.moustache, 1600, 0.7)):
        if not wanted:
            continue
        down = np.tile(np.array([0.0, -1.0, 0.15]), (len(skin), 1))
        if name == "moustache":
            down[:, 0] = 0.9 * np.tanh(skin[:, 0] / 0.004)
        reach = (0.6 * stretch * length, stretch * length)
        grown.append(
            hair.grow_short_hair(rng, surface, face.regions[name] ** 1.5, palette, count, reach, down, 0.6, 0.00048)
        )
    return grown
