"""Colours of hair: natural, grey, dyed, with lighter tips."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.hair import Strands, unit
from data.synthetic.noise import to_linear


@dataclass(frozen=True)
class DyedStrands(Strands):
    """Strands whose colour changes towards their tips: `colours` are the roots', tips (S, 3) float32 linear albedo."""

    tips: np.ndarray


@dataclass(frozen=True)
class HairColours:
    """roots, tips: (P, 3) float32 linear albedos from which strands take theirs, the same row of both
    natural: (3,) what grows from the skin, undyed: brows, beard"""

    roots: np.ndarray
    tips: np.ndarray
    natural: np.ndarray


def draw_colours(rng: np.random.Generator, colour: np.ndarray, masculine: bool, age: float) -> HairColours:
    """Varies a natural colour (3,), greys it with age (years), and dyes some people's hair."""
    natural = colour.astype(np.float32) * np.float32(np.exp(rng.normal(0.0, 0.15)))
    variants = np.tile(natural, (12, 1)) * np.exp(rng.normal(0.0, 0.16, (12, 1))).astype(np.float32)
    grey = np.clip(rng.normal((age - 48) / 30, 0.3), 0.0, 1.0)
    if grey > 0.1 and not (not masculine and rng.random() < 0.6):
        white = np.float32([0.50, 0.49, 0.47]) * rng.uniform(0.5, 1.1, (12, 1)).astype(np.float32)
        share = np.clip(grey * 1.2 + rng.normal(-0.1, 0.18, (12, 1)), 0.0, 0.95).astype(np.float32)
        variants = variants + share * (white - variants)
    tips = variants * np.float32(rng.uniform(0.9, 1.25))  # the sun bleaches them
    kind = rng.random() * (2.0 if masculine else 1.0)
    if kind < 0.03:  # vivid
        hue, value = rng.integers(0, 180), rng.integers(90, 230)
        vivid = cv2.cvtColor(np.uint8([[[hue, rng.integers(140, 256), value]]]), cv2.COLOR_HSV2RGB)[0, 0]
        variants, tips = _dye(rng, to_linear(vivid / 255.0), tips if rng.random() < 0.2 else variants)
    elif kind < 0.15:  # dyed to another natural colour
        shade = np.array([[170, 130, 85], [60, 35, 25], [110, 45, 28], [205, 175, 130], [20, 17, 18]])[rng.integers(5)]
        variants, tips = _dye(rng, to_linear(shade / 255.0), variants)
    elif kind < 0.27:  # balayage
        tips = tips + np.float32(rng.uniform(0.4, 0.9)) * (to_linear(np.array([0.72, 0.55, 0.36])) - tips)
    return HairColours(variants.astype(np.float32), tips.astype(np.float32), natural)


def _dye(rng: np.random.Generator, dye: np.ndarray, variants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tips = dye * np.exp(rng.normal(0.0, 0.15, (len(variants), 1)))
    regrown = rng.uniform(0.0, 0.7) if rng.random() < 0.4 else 0.0
    return tips + regrown * (variants - tips), tips


def colour_strands(rng: np.random.Generator, colours: HairColours, roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours at the roots and at the tips (S, 3) float32 of strands with roots (S, 3): neighbours go together."""
    streaks = unit(rng.standard_normal((3, 3))) * rng.uniform(60, 250, (3, 1))
    wave = np.sin(roots @ streaks.T.astype(np.float32)).sum(axis=1) / 3
    place = (wave + 0.5 * rng.standard_normal(len(roots))) * 0.35 + 0.5
    row = (np.clip(place, 0.0, 0.999) * len(colours.roots)).astype(np.int64)
    shade = np.exp(rng.normal(0.0, 0.15, (len(roots), 1))).astype(np.float32)
    return colours.roots[row] * shade, colours.tips[row] * shade
