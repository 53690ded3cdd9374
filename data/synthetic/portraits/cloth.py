"""Cloth: textures for clothes and hats, from a store that each process paints once."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from data.synthetic.garments import paint_clothes
from data.synthetic.noise import fractal_noise, random_colour, smooth_noise, to_srgb

TEXELS = 256  # a side
PRINTS, WEAVES = 40, 10  # different ones
WEAVE_LEVEL = 0.5  # mean of a weave's texture, linear: an albedo is a colour over this


@dataclass(frozen=True)
class Cloth:
    """texture: (TEXELS, TEXELS, 4) uint8 sRGB and opacity; tint: (3,) float32, times the texture's albedo; gloss."""

    texture: np.ndarray
    tint: np.ndarray
    gloss: float


def draw_cloth(rng: np.random.Generator, plain: float = 0.5) -> Cloth:
    """Any cloth; plain: the share that is of one colour."""
    if rng.random() < plain:
        return plain_cloth(rng, any_colour(rng))
    tint = rng.uniform(0.35, 1.05, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0.5, 1.0))
    return Cloth(printed(int(rng.integers(PRINTS))), tint.astype(np.float32), float(rng.uniform(0.01, 0.08)))


def plain_cloth(rng: np.random.Generator, colour: np.ndarray) -> Cloth:
    """Cloth of one colour (3,), linear."""
    tint = (colour / WEAVE_LEVEL).astype(np.float32)
    return Cloth(weave(int(rng.integers(WEAVES))), tint, float(rng.uniform(0.01, 0.08)))


def any_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 linear colour of a garment: black, white, grey and navy more often than others."""
    kind = rng.random()
    if kind < 0.25:
        return random_colour(rng, (0.0, 0.2), (0.05, 0.22))
    if kind < 0.42:
        return random_colour(rng, (0.0, 0.06), (0.78, 0.97))
    if kind < 0.6:
        return random_colour(rng, (0.0, 0.35), (0.2, 0.8))
    return random_colour(rng, (0.3, 0.9), (0.15, 0.85))


@cache
def printed(number: int) -> np.ndarray:
    """(TEXELS, TEXELS, 4) uint8: one of PRINTS patterns, in its own colours, with soft creases."""
    rng = np.random.default_rng((0xC107, number))
    albedo, folds = paint_clothes(rng)
    shade = 1.0 + np.clip(1.2 * folds[..., 1], -0.25, 0.2)
    return opaque(mirrored((albedo[..., :3] * shade[..., None])[:TEXELS:2, :TEXELS:2]))


@cache
def weave(number: int) -> np.ndarray:
    """(TEXELS, TEXELS, 4) uint8 grey of mean WEAVE_LEVEL: yarn or ribs, and soft creases."""
    rng = np.random.default_rng((0x3EA7E, number))
    half = TEXELS // 2
    grey = 1.0 + rng.uniform(0.02, 0.08) * fractal_noise(rng, half, half, rng.uniform(2, 5), 4)
    grey += rng.uniform(0.01, 0.05) * smooth_noise(rng, half, half, 100)
    rows, columns = np.mgrid[0:half, 0:half].astype(np.float32)
    if number % 3 == 0:  # knitted ribs
        grey += rng.uniform(0.05, 0.2) * np.sin(2 * np.pi * columns / rng.choice([4, 8, 16]))
    if number % 3 == 1:  # rough yarn
        grey += 0.06 * np.sin(2 * np.pi * rows / 4) * np.sin(2 * np.pi * columns / 4)
    grey = WEAVE_LEVEL * np.clip(grey / grey.mean(), 0.4, 1.6)
    return opaque(mirrored(np.repeat(grey[..., None], 3, axis=2)))


def mirrored(quarter: np.ndarray) -> np.ndarray:
    """(2H, 2W, C) of quarter (H, W, C) and its mirror images: it repeats without a seam."""
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    return np.concatenate([half, half[::-1]], axis=0)


def opaque(albedo: np.ndarray) -> np.ndarray:
    """(T, T, 4) uint8: linear albedo (T, T, 3) as sRGB, without holes."""
    colour = np.rint(255.0 * to_srgb(albedo)).astype(np.uint8)
    return np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
