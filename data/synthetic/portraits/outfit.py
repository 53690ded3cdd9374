"""All pieces that a person wears as one mesh, and how it is fitted to the person's head."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.portraits.head import Head, nearest_weights
from data.synthetic.portraits.pieces import Piece

WHITE = np.full((1, 1, 4), 255, np.uint8)
NEIGHBOURS = 8  # skin vertices whose move a vertex takes part in


@dataclass(frozen=True)
class Outfit:
    """Pieces as one mesh of P vertices; arrays as in Piece.

    surface: (F,) uint8, the number in `textures`, each a pyramid: levels, each half as large
    on_body: (P,) bool
    nearest, weights: (P, NEIGHBOURS), skin vertices that each vertex moves along with, and how much of each
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    surface: np.ndarray
    textures: list[list[np.ndarray]]
    on_body: np.ndarray
    nearest: np.ndarray
    weights: np.ndarray

    def fitted(self, displacement: np.ndarray) -> np.ndarray:
        """(P, 3) float32 vertices on a person whose neutral head is moved by (V, 3) against the mean one."""
        return self.vertices + np.einsum("pk,pkc->pc", self.weights, displacement[self.nearest])


def make_outfit(pieces: Sequence[Piece], head: Head) -> Outfit:
    """pieces: at least one, on the mean head."""
    vertices = np.concatenate([piece.vertices for piece in pieces]).astype(np.float32)
    nearest, weights = nearest_weights(vertices, head.mean[head.skin], NEIGHBOURS)
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    return Outfit(
        vertices=vertices,
        triangles=np.concatenate(
            [piece.triangles + start for piece, start in zip(pieces, starts, strict=False)]
        ).astype(np.int32),
        uv=np.concatenate([piece.uv for piece in pieces]).astype(np.float32),
        albedo=np.concatenate([piece.albedo for piece in pieces]).astype(np.float32),
        gloss=np.concatenate([piece.gloss for piece in pieces]).astype(np.float32),
        surface=np.repeat(np.arange(len(pieces)), [len(piece.triangles) for piece in pieces]).astype(np.uint8),
        textures=[pyramid(WHITE if piece.texture is None else piece.texture) for piece in pieces],
        on_body=np.repeat([piece.on_body for piece in pieces], [len(piece.vertices) for piece in pieces]),
        nearest=nearest + head.skin.start,
        weights=weights,
    )


def pyramid(texture: np.ndarray, smallest: int = 16) -> list[np.ndarray]:
    """The texture (T, T, 4) uint8 and levels of it, each half as large, down to `smallest` texels a side."""
    levels = [np.ascontiguousarray(texture)]
    while len(levels[-1]) > smallest:
        half = len(levels[-1]) // 2
        levels.append(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA))
    return levels


def level_for(levels: list[np.ndarray], span: float, pixels_per_metre: float) -> np.ndarray:
    """The level whose texels are about as large as pixels, for a texture that spans so many metres."""
    texels = len(levels[0]) / max(span * pixels_per_metre, 1.0)
    return levels[int(np.clip(np.round(np.log2(texels)), 0, len(levels) - 1))]
