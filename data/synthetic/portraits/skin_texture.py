"""Fine detail of the skin as textures that multiply the colours at the vertices: pores, freckles, moles, scars, the
roots of beard and brows, wrinkles.

Everything is painted as the logarithm of a factor; pigments' logarithms are those of data.synthetic.appearance.
"""

import cv2
import numpy as np

from data.synthetic.appearance import HAEMOGLOBIN, MELANIN, bake, pigment_colour
from data.synthetic.portraits.head import FACE, Head
from data.synthetic.portraits.texels import detail_texels, periodic_noise, piece
from data.synthetic.portraits.traits import Traits
from data.synthetic.portraits.wrinkles import draw_wrinkles

FACE_SIZE, SCALP_SIZE = 512, 256
REGIONS = ("lips", "nose", "cheeks", "forehead", "front", "eyelids", "lid_line", "beard", "moustache", "brows")
NOISES = {  # reach down and across, texels of the face
    "pores": (0.7, 0.7),
    "mottle": (3.0, 3.0),
    "patches": (11.0, 11.0),
    "spots": (1.6, 1.6),
    "hairs": (0.6, 3.0),
    "roots": (0.5, 0.5),
    "lines": (5.0, 0.8),
}
MOLE = 17  # texels a side of the patch that a mole is painted in


class SkinTexturePainter:
    """Paints the fine detail of face and scalp; where things lie in the face's texture is found once."""

    def __init__(self, head: Head, masks: dict[str, np.ndarray]) -> None:
        """masks: those of colour_masks and hair_masks, (V,) each."""
        stacked = np.stack([masks[name][head.source] for name in REGIONS], axis=1)
        maps = bake(head.uv, head.drawn_triangles[head.surface == FACE], stacked, FACE_SIZE)
        self._maps = {name: np.ascontiguousarray(maps[..., index]) for index, name in enumerate(REGIONS)}
        first = np.zeros(len(head.mean), np.int64)
        first[head.source[::-1]] = np.arange(len(head.source))[::-1]
        self._marks = FACE_SIZE * head.uv[first[head.landmarks68]].astype(np.float64)
        rng = np.random.default_rng(0x7E)
        self._noises = {name: periodic_noise(rng, FACE_SIZE, *reach) for name, reach in NOISES.items()}
        maps = self._maps
        self._bare = 1.0 - np.maximum(maps["lips"], maps["lid_line"])
        self._pore_map = (0.5 + 0.9 * maps["nose"] + 0.5 * maps["cheeks"] + 0.3 * maps["forehead"]) * self._bare
        self._freckle_map = (0.25 * maps["front"] + 0.5 * maps["cheeks"] + 0.6 * maps["nose"]) * self._bare
        self._beard_map = np.maximum(maps["beard"], maps["moustache"]) * self._bare

    def paint_face(self, rng: np.random.Generator, traits: Traits) -> np.ndarray:
        """(FACE_SIZE, FACE_SIZE, 4) uint8."""
        even = np.float32(1.0 - 0.7 * traits.make_up.foundation)
        mottle, pores = self._noise(rng, "mottle"), self._noise(rng, "pores")
        melanin = np.float32((0.02 + 0.018 * traits.melanin) * even) * mottle
        blood = np.float32(0.05 * traits.blotches * even) * self._noise(rng, "patches")
        blood += np.float32(0.025 * even) * self._noise(rng, "mottle")
        if traits.freckles:
            spots = np.clip(self._noise(rng, "spots") - np.float32(rng.uniform(1.2, 2.1)), 0.0, 0.6)
            melanin += np.float32(traits.freckles * even) * spots * self._freckle_map
        self._paint_spots(rng, traits, melanin, blood)
        light = np.float32(-0.035 * traits.pores) * pores * self._pore_map
        light += np.float32(0.10) * np.minimum(self._noise(rng, "lines"), 0.5) * self._maps["lips"]
        wrinkles = draw_wrinkles(rng, self._marks, FACE_SIZE, traits.wrinkles)
        light -= wrinkles
        blood += 0.3 * wrinkles
        share, roots = self._roots(rng, traits)
        planes = [
            light - MELANIN[channel] * melanin - HAEMOGLOBIN[channel] * blood + roots[channel] * share
            for channel in range(3)
        ]
        return detail_texels(cv2.merge(planes))

    def paint_scalp(self, rng: np.random.Generator, traits: Traits) -> np.ndarray:
        """(SCALP_SIZE, SCALP_SIZE, 4) uint8: grain that passes for skin, and for the roots of hair when it is dark."""
        part = slice(0, SCALP_SIZE)
        grain = np.float32(0.05) * self._noise(rng, "roots")[part, part]
        grain += np.float32(0.03 * traits.blotches) * self._noise(rng, "mottle")[part, part]
        return detail_texels(np.repeat(grain[..., None], 3, axis=2))

    def _noise(self, rng: np.random.Generator, name: str) -> np.ndarray:
        return piece(rng, self._noises[name])

    def _paint_spots(self, rng: np.random.Generator, traits: Traits, melanin: np.ndarray, blood: np.ndarray) -> None:
        """Moles, age spots, pimples and a scar, in place."""
        for _ in range(traits.moles):
            _dab(rng, melanin, rng.uniform(0.6, 2.2), rng.uniform(0.2, 1.3))
        for _ in range(int(rng.poisson(12.0 * max(0.0, traits.age - 0.55)))):
            _dab(rng, melanin, rng.uniform(1.5, 5.0), rng.uniform(0.1, 0.3))
        if rng.random() < 0.2:
            for _ in range(int(rng.integers(2, 40))):
                _dab(rng, blood, rng.uniform(0.8, 2.5), rng.uniform(0.2, 0.7))
        if rng.random() < 0.06:
            start, step = rng.uniform(0.2, 0.8, 2) * FACE_SIZE, rng.normal(0.0, 20.0, 2)
            line = np.round(start + np.linspace(0, 1, 6)[:, None] * step + rng.normal(0, 1.0, (6, 2))).astype(np.int32)
            scar = cv2.polylines(np.zeros(melanin.shape, np.uint8), [line], False, 255, 1, cv2.LINE_AA)
            scar = cv2.GaussianBlur(scar, (0, 0), 1.0).astype(np.float32) / np.float32(255)
            melanin -= np.float32(min(0.4, traits.melanin)) * scar
            blood += np.float32(rng.uniform(-0.3, 0.8)) * scar

    def _roots(self, rng: np.random.Generator, traits: Traits) -> tuple[np.ndarray, np.ndarray]:
        """Stubble and the brows' roots: their share of each texel, and the logarithm (3,) of what they do to skin."""
        skin = pigment_colour(np.float32(traits.melanin), np.float32(traits.haemoglobin), traits.carotene)
        darker = np.log((0.55 * traits.roots + 0.003) / skin)
        darker = np.clip(darker - max(0.0, float(darker.mean())), -3.0, 0.3).astype(np.float32)
        share = np.float32(0.8 * traits.brows) * self._maps["brows"]
        share *= np.clip(1.0 + 0.35 * self._noise(rng, "hairs"), 0.2, 1.5)
        if traits.stubble:
            grain = np.clip(0.4 + 0.6 * self._noise(rng, "roots"), 0.0, 1.2)
            share += np.float32(0.45 * traits.stubble) * grain * self._beard_map
        return share, darker


def _dab(rng: np.random.Generator, pigment: np.ndarray, radius: float, strength: float) -> None:
    """Adds a soft dot at a random place, in place."""
    row, column = (int(value) for value in rng.integers(0, FACE_SIZE - MOLE, 2))
    place = np.arange(MOLE, dtype=np.float32) - MOLE // 2
    squares = place[:, None] ** 2 * np.float32(rng.uniform(0.6, 1.6)) + place**2
    dot = np.clip(1.5 - np.sqrt(squares) / np.float32(radius), 0.0, 1.0)
    pigment[row : row + MOLE, column : column + MOLE] += np.float32(strength) * dot
