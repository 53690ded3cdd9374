"""The skin's colours at the vertices: tone, patches, flush, make-up; all that is coarser than the mesh.

Random patches are fields in space, so that they run over the seam between face and back of the head.
"""

import numpy as np

from data.synthetic.appearance import pigment_colour
from data.synthetic.noise import to_linear
from data.synthetic.portraits.head import Head, weighted_sum
from data.synthetic.portraits.texels import DETAIL_MEAN
from data.synthetic.portraits.traits import MakeUp, Traits

WAVES = 32  # of which a random field is made
PATCH, BLOTCH = 0.045, 0.014  # metres: reach of the two kinds of fields


class SkinPainter:
    """Colours of the skin and of the sockets behind it, on a head's vertices."""

    def __init__(self, head: Head, masks: dict[str, np.ndarray]) -> None:
        """masks: those of colour_masks and hair_masks, (V,) each."""
        self._count = len(head.mean)
        self._sockets = [head.regions[name] for name in ("mouth_socket", "eye_socket_l", "eye_socket_r")]
        end = max(region.stop for region in self._sockets)
        self._masks = {name: np.ascontiguousarray(mask[:end]) for name, mask in masks.items()}
        rng = np.random.default_rng(0x5C)
        self._waves = {reach: waves(rng, head.mean[:end], reach) for reach in (PATCH, BLOTCH)}

    def paint(self, rng: np.random.Generator, traits: Traits) -> tuple[np.ndarray, np.ndarray]:
        """Albedo (V, 3), divided by DETAIL_MEAN, and gloss (V,), float32; on eyes, gums and teeth 1 and 0."""
        masks, even = self._masks, np.float32(1.0 - 0.7 * traits.make_up.foundation)
        wide, other_wide = self._field(rng, PATCH), self._field(rng, PATCH)
        fine, other_fine = self._field(rng, BLOTCH), self._field(rng, BLOTCH)
        rings, flush = np.float32(traits.rings) * masks["rings"] * even, np.float32(traits.flush * even)
        melanin = np.float32(traits.melanin) * (1.0 + even * (0.07 * wide + 0.04 * fine) + 0.25 * rings)
        burnt = 0.5 * masks["forehead"] + 0.6 * masks["nose"] + 0.5 * masks["cheeks"] + 0.2 * masks["front"]
        melanin += np.float32(0.05 + 0.2 * traits.tan * min(traits.melanin, 0.5)) * burnt
        melanin += 0.10 * rings + 0.05 * masks["eyelids"] * np.float32(traits.rings)
        melanin += np.float32(0.12 + 0.15 * traits.melanin * rng.uniform(-1, 1)) * masks["lips"]
        reddish = 0.55 * masks["cheeks"] + 0.7 * masks["nose_tip"] + 0.5 * masks["ears"] + 0.2 * masks["chin"]
        reddish += np.clip(0.5 * other_wide, 0.0, 1.0) * (0.4 * masks["cheeks"] + 0.2 * masks["neck"])
        blood = np.float32(traits.haemoglobin) * (1.0 + even * np.float32(traits.blotches) * (0.13 * other_fine))
        blood += flush * 0.45 * reddish + 0.15 * rings + 0.25 * masks["nostrils"]
        blood += np.float32(traits.lips) * masks["lips"] + 0.2 * masks["mouth_line"]
        wet = np.maximum(0.7 * masks["lid_rim"], masks["inner_mouth"])
        melanin *= 1.0 - 0.6 * wet
        melanin += 1.5 * masks["nostrils"]  # what little light comes out of them
        blood += 0.35 * wet + 0.4 * masks["inner_mouth"]
        self._mark(traits, fine, wide, melanin, blood)
        albedo = pigment_colour(np.maximum(melanin, 0.02), np.maximum(blood, 0.0), traits.carotene)
        self._shade_stubble(traits, albedo)
        self._make_up(traits.make_up, albedo)
        gloss = np.float32(traits.oil) * (0.35 + 0.5 * masks["nose"] + 0.3 * masks["forehead"] + 0.1 * other_fine)
        gloss += (0.35 + 0.4 * min(traits.make_up.lips, 0.5)) * masks["lips"] + 0.8 * wet + 0.1
        return self._whole(albedo, gloss)

    def _field(self, rng: np.random.Generator, reach: float) -> np.ndarray:
        """A random field of deviation 1."""
        fixed = self._waves[reach]
        weights = rng.standard_normal(WAVES).astype(np.float32) / np.float32(np.sqrt(0.5 * WAVES))
        return weighted_sum(np.zeros(fixed.shape[1], np.float32), weights, fixed)

    def _mark(self, traits: Traits, fine: np.ndarray, wide: np.ndarray, melanin: np.ndarray, blood: np.ndarray) -> None:
        """Vitiligo and birthmarks, seldom; in place."""
        if traits.vitiligo:
            bare = np.clip(5.0 * (0.6 * fine + 0.8 * wide - 1.6 + traits.vitiligo), 0.0, 1.0)
            melanin -= bare * (melanin - 0.05)
        if traits.birthmark:
            mark = np.clip(4.0 * (0.4 * fine - wide - 1.4), 0.0, 1.0) * np.float32(traits.birthmark)
            melanin += 0.25 * mark
            blood += 0.8 * mark

    def _shade_stubble(self, traits: Traits, albedo: np.ndarray) -> None:
        """The shadow of a shaven beard, bluish grey; in place."""
        where = np.maximum(self._masks["beard"], self._masks["moustache"])
        share = (np.float32(0.5 * traits.stubble) * where)[:, None]
        roots = np.minimum(0.55 * albedo * np.float32([0.85, 1.0, 1.1]), 0.5 * traits.roots + 0.3 * albedo)
        albedo += share * (roots - albedo)

    def _make_up(self, make_up: MakeUp, albedo: np.ndarray) -> None:
        masks, black = self._masks, to_linear(np.array([0.09, 0.07, 0.07]))
        for colour, strength, mask in (
            (make_up.blush, make_up.cheeks, masks["cheeks"]),
            (make_up.shadow, make_up.lids, masks["eyelids"]),
            (make_up.lipstick, make_up.lips, masks["lips"] * (1.0 - masks["inner_mouth"])),
            (black, 0.7, masks["upper_lash"]),  # the roots of the lashes
            (black, make_up.liner, masks["lid_line"] * (1.0 - masks["lid_rim"])),
        ):
            if strength:
                share = (np.float32(strength) * mask)[:, None]
                tone = np.minimum(1.0, 0.1 + albedo[:, :1] / 0.4)  # dark skin shows through
                albedo += share * (colour * tone - albedo)

    def _whole(self, albedo: np.ndarray, gloss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mouth, *eyes = self._sockets
        albedo[mouth] = to_linear(np.array([0.42, 0.16, 0.15]))
        for socket in eyes:
            albedo[socket] = to_linear(np.array([0.62, 0.36, 0.32]))
        whole, shine = np.ones((self._count, 3), np.float32), np.zeros(self._count, np.float32)
        whole[: len(albedo)] = albedo / DETAIL_MEAN
        shine[: len(gloss)] = np.clip(gloss, 0.0, 1.0)
        return whole, shine


def waves(rng: np.random.Generator, points: np.ndarray, reach: float) -> np.ndarray:
    """(WAVES, V) cosines over points (V, 3): weighted at random they make a Gaussian field whose correlation falls off
    within `reach` metres (Rahimi and Recht, random features, 2007)."""
    directions = rng.standard_normal((WAVES, 3)).astype(np.float32) / np.float32(reach)
    phases = rng.uniform(0.0, 2 * np.pi, WAVES).astype(np.float32)
    return np.cos(np.einsum("vi,wi->wv", points, directions) + phases[:, None]).astype(np.float32)
