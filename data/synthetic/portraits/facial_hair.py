"""Brows, lashes and beards."""

import numpy as np

from data.synthetic import hair
from data.synthetic.geometry import smooth_step
from data.synthetic.portraits.hair_colours import DyedStrands, HairColours
from data.synthetic.portraits.hair_laying import HairBed
from data.synthetic.portraits.hair_masks import brow_mask


def _dyed(strands: hair.Strands) -> DyedStrands:
    return DyedStrands(**vars(strands), tips=strands.colours)


def grow_brows(rng: np.random.Generator, bed: HairBed, colours: HairColours, masculine: bool) -> list[DyedStrands]:
    """From thin to bushy, from arched to flat; a few people have none."""
    if rng.random() < 0.03:
        return []
    skin = bed.surface.vertices
    thickness = rng.uniform(0.75, 1.35) if masculine else rng.uniform(0.45, 1.1)
    mask = brow_mask(skin, bed.landmarks, thickness, rng.uniform(0.2, 1.3))
    inner, outer = bed.landmarks[22, 0], bed.landmarks[26, 0]
    if rng.random() < 0.05:  # grown together
        mask = np.maximum(mask, 0.5 * mask.max() * (np.abs(skin[:, 0]) < inner) * _between_brows(bed, skin))
    share = np.clip((np.abs(skin[:, 0]) - inner) / (outer - inner), 0.0, 1.0)
    outward = np.sign(skin[:, 0])
    along = np.stack([outward * (0.35 + 0.65 * share), 0.85 - 1.15 * share, -0.45 * share], axis=1)
    density = rng.uniform(0.4, 1.3)
    length = (0.005, 0.0105) if masculine else (0.004, 0.008)
    darker = colours.natural[None] * np.float32(rng.uniform(0.45, 0.95))
    count, width = int(650 * density * thickness), 0.00028 * density**0.5
    return [_dyed(hair.grow_short_hair(rng, bed.surface, mask, darker, count, length, along, 0.5, width))]


def _between_brows(bed: HairBed, skin: np.ndarray) -> np.ndarray:
    height = bed.landmarks[22, 1] - 0.005
    return (1 - smooth_step(np.abs(skin[:, 1] - height), 0.001, 0.004)) * (skin[:, 2] > bed.front)


def grow_lashes(rng: np.random.Generator, bed: HairBed, colours: HairColours, masculine: bool) -> list[DyedStrands]:
    """From hardly seen to long and black with mascara; the upper lid's and the lower's."""
    skin = bed.surface.vertices
    eyes = np.stack([bed.landmarks[36:42].mean(axis=0), bed.landmarks[42:48].mean(axis=0)])
    reach = (skin - eyes[(skin[:, 0] > 0).astype(np.int64)]) * np.float32([0.9, 1.2, 0.0])
    reach = hair.unit(reach)
    mascara = not masculine and rng.random() < 0.5
    strength = rng.uniform(1.1, 1.7) if mascara else rng.uniform(0.5, 1.1)
    shade = np.float32([[0.006, 0.005, 0.005]]) if mascara else np.minimum(colours.natural[None] * 0.5, 0.05)
    lids = (("upper_lash", 0.9, 200, (0.0045, 0.007), 0.00016), ("lower_lash", 0.7, 110, (0.002, 0.004), 0.00011))
    grown = []
    for name, turn, count, length, width in lids:
        forward = reach * np.float32(turn) + np.float32([0.0, 0.0, 0.8])
        length = (length[0] * strength, length[1] * strength)
        mask = bed.masks[name] ** 3
        grown.append(_dyed(hair.grow_short_hair(rng, bed.surface, mask, shade, count, length, forward, 0.0, width)))
    return grown


def grow_beard(rng: np.random.Generator, bed: HairBed, colours: HairColours, masculine: bool) -> list[DyedStrands]:
    """None, short and full, long, goatee, moustache alone, chin strap, or side whiskers; sideburns go along."""
    if not masculine or rng.random() < 0.6:
        return []
    skin, masks = bed.surface.vertices, bed.masks
    corner = bed.landmarks[54, 0]
    x = np.abs(skin[:, 0])
    chin = 1 - smooth_step(x, 0.9 * corner, 1.3 * corner)
    edge = bed.landmarks[12:17].mean(axis=0)
    strap = smooth_step(
        np.interp(x, [0.0, edge[0]], [bed.landmarks[8, 1] + 0.012, edge[1]]) - skin[:, 1], -0.004, 0.004
    )
    kinds = {
        "full": (masks["beard"], masks["moustache"]),
        "goatee": (masks["beard"] * chin, masks["moustache"]),
        "chin": (masks["beard"] * chin, 0.0 * x),
        "moustache": (0.0 * x, masks["moustache"]),
        "strap": (masks["beard"] * np.maximum(strap, smooth_step(x, 0.055, 0.062)), 0.0 * x),
    }
    kind = str(rng.choice(list(kinds), p=[0.55, 0.18, 0.05, 0.14, 0.08]))
    length = rng.choice(
        [rng.uniform(0.002, 0.006), rng.uniform(0.006, 0.015), rng.uniform(0.02, 0.07)], p=[0.4, 0.4, 0.2]
    )
    down = np.tile(np.float32([0.0, -1.0, 0.15]), (len(skin), 1))
    aside = down.copy()
    aside[:, 0] = 0.9 * np.tanh(skin[:, 0] / 0.004)
    shades = colours.roots if kind == "full" else colours.natural[None] * np.float32(rng.uniform(0.8, 1.1))
    grown = []
    for mask, direction, count, stretch in ((kinds[kind][0], down, 3600, 1.0), (kinds[kind][1], aside, 1200, 0.6)):
        reach = (0.5 * stretch * length, stretch * length)
        grown.append(
            _dyed(hair.grow_short_hair(rng, bed.surface, mask**1.5, shades, count, reach, direction, 0.6, 0.00045))
        )
    return grown
