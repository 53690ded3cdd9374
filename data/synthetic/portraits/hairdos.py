"""A person's hair: what is on the scalp, brows, lashes and beard, grown on the mean head once a person."""

from dataclasses import dataclass, fields, replace

import numpy as np

from data.synthetic.geometry import smooth_step
from data.synthetic.portraits.facial_hair import grow_beard, grow_brows, grow_lashes
from data.synthetic.portraits.hair_colours import DyedStrands, draw_colours
from data.synthetic.portraits.hair_cuts import CUTS, Cut
from data.synthetic.portraits.hair_laying import HairBed
from data.synthetic.portraits.scalp_hair import grow_scalp

WIDER = 0.75  # strands that are 1 / n as many are n ** this as wide: they overlap many times, and less so when fewer
WIDEST = np.float32(0.10)  # half width of a widened strand, as a share of its length

DENSE = 400_000.0  # strands to the square metre at which the skin below is hardly seen
UNDER = 0.7  # share of the colour that a beard has on the skin under it, at most


@dataclass(frozen=True)
class Hairdo:
    """All of a person's hair on the mean head.

    scalp: moves with the head; others: follow the skin; `triangle` counts the head's `skin_triangles`
    paint: (V, 4) float32 on the skin's vertices: linear albedo that shows from below hair, and its share 0..1
    cut: name of the Cut, or "bald"
    """

    scalp: DyedStrands | None
    others: tuple[DyedStrands, ...]
    paint: np.ndarray
    cut: str


def grow(
    rng: np.random.Generator,
    bed: HairBed,
    colour: np.ndarray,
    melanin: float,
    masculine: bool,
    age: float,
    cut: Cut | None = None,
) -> Hairdo:
    """Grows a person's hair.

    colour: (3,) linear albedo of the hair by nature; melanin: the skin's; age: years, which makes grey and bald
    cut: how the hair is worn; drawn if not given, bald heads among them
    """
    colours = draw_colours(rng, colour, masculine, age)
    mask, bald = _hairline(rng, bed, masculine, age)
    if cut is None:
        shaven = rng.random() < (0.06 if masculine else 0.01)
        cut = None if shaven else _draw_cut(rng, melanin, masculine, bald)
    scalp, cover = None, 0.35 * rng.random()
    if cut is not None:
        scalp = grow_scalp(rng, bed, cut, mask, colours)
        cover = 0.8 if cut.name == "buzz" else 1.0
    groups = [grow_brows(rng, bed, colours, masculine), grow_lashes(rng, bed, colours, masculine)]
    beard = grow_beard(rng, bed, colours, masculine)
    colour = colours.roots.mean(axis=0)
    paint = np.concatenate([np.tile(colour, (len(mask), 1)), cover * mask[:, None]], axis=1)
    for strands in beard:
        _paint(paint, bed, strands)
    others = tuple(strands for group in (*groups, beard) for strands in group if len(strands.points))
    name = cut.name if cut is not None else "bald"
    return Hairdo(scalp, others, paint.astype(np.float32), name)


def _paint(paint: np.ndarray, bed: HairBed, strands: DyedStrands) -> None:
    """Lays the colour of strands on the skin around their roots, as densely as they grow; changes paint (V, 4)."""
    corners = bed.surface.triangles[strands.triangle].ravel()
    roots = np.bincount(corners, minlength=len(paint)) / 3
    around = np.bincount(bed.surface.triangles.ravel(), np.repeat(bed.area, 3), len(paint)) / 3
    share = UNDER * (1 - np.exp(-roots / np.maximum(around, 1e-9) / DENSE))
    here = share > paint[:, 3]
    paint[here, :3] = strands.colours.mean(axis=0) if len(strands.colours) else 0.0
    paint[here, 3] = share[here]


def _draw_cut(rng: np.random.Generator, melanin: float, masculine: bool, bald: bool) -> Cut:
    dark = float(smooth_step(melanin, 0.5, 1.2))
    weights = np.array(
        [cut.often[0 if masculine else 1] * ((1 - dark) * cut.melanin[0] + dark * cut.melanin[1]) for cut in CUTS]
    )
    if bald:  # most who have little wear it short
        weights *= [1.0 if cut.length[1] < 0.04 else 0.03 for cut in CUTS]
    return CUTS[int(rng.choice(len(CUTS), p=weights / weights.sum()))]


def _hairline(rng: np.random.Generator, bed: HairBed, masculine: bool, age: float) -> tuple[np.ndarray, bool]:
    """Where and how densely hair grows on the scalp, (V,), and whether little is left on top.

    The line lies higher or lower, wavers, has corners or a peak, recedes, or leaves a ring.
    """
    skin = bed.surface.vertices
    x, y, z = np.abs(skin[:, 0]), skin[:, 1], skin[:, 2]
    above = smooth_step(y, bed.brow, bed.brow + 0.5 * bed.third)
    recede = max(0.0, rng.normal(0.0, 0.35) + 0.012 * (age - 35)) if masculine else abs(rng.normal(0.0, 0.12))
    corners = np.exp(-(((x - 0.042) / 0.020) ** 2))
    middle = np.exp(-((x / 0.012) ** 2))
    back = rng.normal(0.0, 0.006) + 0.050 * recede * corners + 0.018 * recede - rng.uniform(0.0, 0.006) * middle
    wave = np.sin(skin[:, 0] * rng.uniform(150, 260) + rng.uniform(0, 7)) + np.sin(420 * skin[:, 0] + 100 * z)
    mask = smooth_step(bed.behind - above * (back + 0.0012 * wave), -0.004, rng.uniform(0.004, 0.014))
    mask *= 1 - bed.masks["ears"]
    ring = masculine and rng.random() < np.clip((age - 30) / 120, 0.02, 0.25)
    if ring:
        top = bed.brow + rng.uniform(0.15, 0.5) * bed.third
        mask *= 1 - (1 - 0.1 * rng.random()) * smooth_step(y - 0.25 * np.minimum(z, 0.0), top, top + 0.025)
    elif masculine and rng.random() < np.clip((age - 30) / 100, 0.0, 0.3):  # thin at the crown
        crown = np.array([0.0, bed.crown - 0.008, bed.front - 0.06])
        spot = np.linalg.norm(skin - crown, axis=1)
        mask *= 1 - rng.uniform(0.5, 1.0) * (1 - smooth_step(spot, 0.02, 0.05))
    return mask.astype(np.float32), ring or recede > 0.8


def thin(strands: DyedStrands, share: float) -> DyedStrands:
    """Every so manieth strand, wider for it: for small pictures. share: 0..1 of the strands that stay.

    Short ones stay slim, since the skin under them has their colour.
    """
    count = len(strands.points)
    kept = (np.arange(max(1, round(share * count))) / share).astype(np.int64) if count else np.zeros(0, np.int64)
    kept = kept[kept < count]
    picked = {field.name: getattr(strands, field.name)[kept] for field in fields(strands) if field.name != "turns"}
    steps = np.diff(picked["points"], axis=1)
    length = np.sqrt(np.square(steps).sum(axis=2)).sum(axis=1, keepdims=True)
    picked["widths"] = np.minimum(
        picked["widths"] * np.float32(share**-WIDER), np.maximum(picked["widths"], WIDEST * length)
    )
    return replace(strands, **picked)
