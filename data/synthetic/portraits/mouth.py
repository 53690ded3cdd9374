"""Teeth, gums and tongue."""

import numpy as np

from data.synthetic.geometry import smooth_step
from data.synthetic.noise import to_linear
from data.synthetic.portraits.head import Head
from data.synthetic.portraits.texels import DETAIL_MEAN, detail_texels, periodic_noise, piece
from data.synthetic.portraits.traits import Traits

MOUTH_SIZE = 256
WHITE, YELLOW = to_linear(np.array([0.90, 0.88, 0.84])), to_linear(np.array([0.78, 0.68, 0.48]))
GUMS = to_linear(np.array([0.72, 0.42, 0.42]))
ENAMEL_GRAIN, GUM_GRAIN = 0.03, 0.12  # deviation of the texels' logarithms


class MouthPainter:
    """Colours of what is in the mouth."""

    def __init__(self, head: Head) -> None:
        self._teeth, self._gums = head.regions["teeth"], head.regions["gums_tongue"]
        teeth, normals = head.mean[self._teeth], head.normals[self._teeth]
        bite = head.mean[head.landmarks68[60:68], 1].mean()  # the teeth meet about where the lips do
        outwards = teeth - [0.0, 0.0, teeth[:, 2].mean() - 0.01]
        outwards[:, 1] = 0.0
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
        facing = (outwards * normals).sum(axis=1)
        back = smooth_step(teeth[:, 2], np.quantile(teeth[:, 2], 0.2), teeth[:, 2].max() - 0.006)
        self._shade = ((0.35 + 0.65 * smooth_step(facing, 0.0, 0.7)) * (0.4 + 0.6 * back)).astype(np.float32)[:, None]
        self._root = smooth_step(np.abs(teeth[:, 1] - bite), 0.006, 0.013).astype(np.float32)[:, None]
        depth = head.mean[self._gums, 2]
        self._gum_shade = (0.35 + 0.65 * smooth_step(depth, depth.max() - 0.05, depth.max()))[:, None]
        self._grain = periodic_noise(np.random.default_rng(0x60), MOUTH_SIZE, 1.5)

    def shade(self, rng: np.random.Generator, traits: Traits, albedo: np.ndarray, gloss: np.ndarray) -> None:
        """Sets albedo (V, 3), divided by the mean texel, and gloss (V,) of teeth and gums; in place."""
        yellow = np.float32(traits.teeth) + 0.25 * self._root
        enamel = (WHITE + yellow * (YELLOW - WHITE)) * np.float32(rng.uniform(0.75, 1.0))
        albedo[self._teeth] = enamel * self._shade / DETAIL_MEAN
        tone = GUMS * np.exp(rng.normal(0.0, 0.1, 3) - 0.25 * min(traits.melanin, 1.5))
        albedo[self._gums] = tone * self._gum_shade / DETAIL_MEAN
        gloss[self._teeth], gloss[self._gums] = 0.7, 0.5

    def paint_teeth(self, rng: np.random.Generator) -> np.ndarray:
        """(MOUTH_SIZE, MOUTH_SIZE, 4) uint8: faint stains."""
        return self._paint(rng, ENAMEL_GRAIN)

    def paint_gums(self, rng: np.random.Generator) -> np.ndarray:
        """(MOUTH_SIZE, MOUTH_SIZE, 4) uint8: the tongue's roughness."""
        return self._paint(rng, GUM_GRAIN)

    def _paint(self, rng: np.random.Generator, strength: float) -> np.ndarray:
        grain = np.float32(strength) * piece(rng, self._grain)
        return detail_texels(np.repeat(grain[..., None], 3, axis=2))
