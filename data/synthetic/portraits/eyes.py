"""The eyeballs' texture, which both share, and how the lids darken them."""

import numpy as np

from data.synthetic.appearance import IRIS_COLOURS, bake
from data.synthetic.geometry import smooth_step
from data.synthetic.noise import to_linear
from data.synthetic.portraits.head import EYES, Head, sphere_centre
from data.synthetic.portraits.texels import periodic_noise, piece, to_texels
from data.synthetic.portraits.traits import Traits

EYE_SIZE = 256
RING = 1024  # steps around the iris in which its fibres are drawn
WIDEST = 0.55  # radians, more than the largest iris
SCLERA = to_linear(np.array([0.75, 0.72, 0.69]))
# radii to the limbus and of the pupil are in metres; angles are seen from the eyeball's centre


class EyePainter:
    """Paints eyes on a head; where the texels lie on the eyeball is found once."""

    def __init__(self, head: Head) -> None:
        places = head.mean[head.source] - sphere_centre(head.mean[head.regions["sclera_l"]])
        left = (head.source >= head.regions["sclera_l"].start) & (head.source < head.regions["sclera_l"].stop)
        right = (head.source >= head.regions["sclera_r"].start) & (head.source < head.regions["sclera_r"].stop)
        triangles = head.drawn_triangles[(head.surface == EYES) & left[head.drawn_triangles].all(axis=1)]
        baked = bake(head.uv, triangles, places, EYE_SIZE)
        # The eyes rest turned outwards, so that of each another texel is in front; the pupil is in the middle of these.
        foremost = [head.uv[eye][np.argmax(places[eye, 2])] for eye in (left, right)]
        column, row = np.floor(EYE_SIZE * np.mean(foremost, axis=0)).astype(int)
        self._radius = float(np.linalg.norm(baked[row, column]))
        axis = baked[row, column] / self._radius
        baked /= np.linalg.norm(baked, axis=2, keepdims=True) + 1e-6
        self._off_axis = np.arccos(np.clip(baked @ axis, -1.0, 1.0)).astype(np.float32)
        around = np.arctan2(baked[..., 1] - axis[1], baked[..., 0] - axis[0])
        self._around = (around / (2 * np.pi) * RING).astype(np.int32) % RING
        self._sideways = np.abs(baked[..., 0]).astype(np.float32)
        near = np.flatnonzero((self._off_axis < WIDEST).any(axis=0))
        self._window = (slice(near[0], near[-1] + 1),) * 2  # the iris lies in the middle of the texture
        self._veins = np.clip(periodic_noise(np.random.default_rng(0xE1), EYE_SIZE, 5.0) - 0.7, 0.0, 1.0)
        self._shade = self._lids_shade(head)
        self._eyes = slice(head.regions["sclera_l"].start, head.regions["sclera_r"].stop)

    def _lids_shade(self, head: Head) -> np.ndarray:
        """Share of light (V', 1) that lids and lashes leave the eyeballs in their mean position."""
        shades = []
        for name, corners in (("sclera_l", slice(42, 48)), ("sclera_r", slice(36, 42))):
            points, lids = head.mean[head.regions[name]], head.mean[head.landmarks68[corners]]
            middle, width = lids.mean(axis=0), np.ptp(lids[:, 0])
            upper, lower = lids[[1, 2], 1].mean(), lids[[4, 5], 1].mean()
            height = upper - lower
            shade = 1.0 - 0.45 * smooth_step(points[:, 1], upper - 0.55 * height, upper + 0.1 * height)
            shade *= 1.0 - 0.15 * (1.0 - smooth_step(points[:, 1], lower - 0.1 * height, lower + 0.3 * height))
            shade *= 1.0 - 0.35 * smooth_step(np.abs(points[:, 0] - middle[0]), 0.25 * width, 0.55 * width)
            shades.append(shade)
        return np.concatenate(shades)[:, None].astype(np.float32)

    def shade(self, albedo: np.ndarray, gloss: np.ndarray) -> None:
        """Sets the eyes' albedo (V, 3), which multiplies their texture, and gloss (V,); in place."""
        albedo[self._eyes] = self._shade
        gloss[self._eyes] = 1.0

    def paint(self, rng: np.random.Generator, traits: Traits) -> np.ndarray:
        """(EYE_SIZE, EYE_SIZE, 4) uint8: pupil, iris with fibres and limbal ring, sclera with veins."""
        limbus, pupil = np.arcsin([traits.iris_radius / self._radius, traits.pupil_radius / self._radius])
        off_axis = self._off_axis[self._window]
        radius = off_axis / np.float32(limbus)
        fibres = (0.22 * _ring_noise(rng, 110) + 0.15 * _ring_noise(rng, 40))[self._around[self._window]]
        spread = np.exp(rng.normal(0.0, 0.12, 3) + rng.normal(0.0, 0.2)).astype(np.float32)
        inner, outer = (to_linear(np.array(colour) / 255.0) * spread for colour in IRIS_COLOURS[traits.iris])
        share = np.clip((radius - rng.uniform(0.35, 0.6)) / 0.35 + 0.25 * fibres, 0.0, 1.0)[..., None]
        iris = (inner + share * (outer - inner)) * np.exp(fibres)[..., None]
        ring = np.clip((radius - 0.80) / 0.18, 0.0, 1.0) * np.float32(rng.uniform(0.4, 0.85))
        open_ = np.clip((off_axis - np.float32(pupil)) / 0.02 + 0.5, 0.0, 1.0)
        iris = 0.004 + iris * ((1.0 - ring) * open_)[..., None]
        red = np.float32(0.15 + 0.85 * traits.sclera)
        veins = 0.5 * red * piece(rng, self._veins) * np.clip(1.5 * self._off_axis - 0.4, 0.0, 1.0)
        corners = np.clip((self._sideways - 0.45) / 0.5, 0.0, 1.0) * (0.3 + 0.5 * red)
        white = SCLERA * np.float32([1.0, 1.0, 1.0 - 0.15 * traits.sclera]) * np.float32(rng.uniform(0.85, 1.05))
        white = white * (1.0 - (veins + corners)[..., None] * np.float32([0.10, 0.42, 0.40]))
        edge = np.clip((off_axis - np.float32(limbus)) / 0.05 + 0.5, 0.0, 1.0)[..., None]
        white[self._window] = iris + edge * (white[self._window] - iris)
        return to_texels(white)


def _ring_noise(rng: np.random.Generator, bumps: int) -> np.ndarray:
    """(RING,) float32 noise of deviation 1 that closes around a circle."""
    values = rng.standard_normal(bumps).astype(np.float32)
    places = np.linspace(0.0, bumps, RING, endpoint=False)
    return np.interp(places, np.arange(bumps + 1), np.append(values, values[0])).astype(np.float32)
