"""What a person wears: surfaces beside the head's own, made for the mean head and fitted to each person's."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """One surface, on the mean head. Both of its sides are seen.

    vertices: (V, 3) float32 canonical metres; triangles: (F, 3) int32, counter-clockwise from outside
    uv: (V, 2) float32, u right, v down, repeating beyond 0..1
    albedo: (V, 3) float32 linear, times the texture's; gloss: (V,) float32, strength of the mirror reflection, 0..1
    texture: (T, T, 4) uint8, sRGB and opacity (below 128: a hole); None for plain white
    on_body: True where it moves with the shoulders (clothes), False where with the head (hats, glasses, hands)
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    texture: np.ndarray | None = None
    on_body: bool = False
