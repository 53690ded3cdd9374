"""A picture of a morphable model, for people: its mean face and what its first components do."""

import numpy as np

from models.morphable import MorphableModel
from Sim3DR import rasterize
from util.pictures import LIGHT, label

SHOWN = 4
BACKGROUND = 40


def draw_model(model: MorphableModel, size: int = 240) -> np.ndarray:
    """Rows of (size, size, 3) uint8 RGB tiles: identity, expression and, where there is one, albedo. In each the mean
    face comes first, then the first components at -2 and +2 deviations."""
    parts = [("identity", model.identity * model.identity_deviations[:, None, None], False)]
    parts.append(("expression", model.expression * model.expression_deviations[:, None, None], False))
    parts += [("albedo", model.albedo, True)] if model.has_colors else []
    rows = []
    for name, basis, colored in parts:
        tiles = [label(draw_face(model, 0, 0, size, colored), f"mean, {name}")]
        for number in range(SHOWN):
            for sign in (-2, 2):
                change = sign * basis[number] if number < len(basis) else None
                tiles.append(_tile(model, change, f"{name} {number + 1}: {sign:+d}", size, colored))
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def _tile(model: MorphableModel, change: np.ndarray | None, text: str, size: int, colored: bool) -> np.ndarray:
    """The face with one change; empty where there is no such component."""
    if change is None:
        return np.full((size, size, 3), BACKGROUND, np.uint8)
    return label(draw_face(model, 0, change, size, True) if colored else draw_face(model, change, 0, size, False), text)


def draw_face(
    model: MorphableModel, move: np.ndarray | int, tint: np.ndarray | int, size: int, colored: bool
) -> np.ndarray:
    """(size, size, 3) uint8 RGB: the mean face from the front, its vertices moved, in the model's unit, and its albedo
    changed, in colours without light, or grey and lit."""
    low, high = model.mean.min(axis=0), model.mean.max(axis=0)
    screen = (model.mean + move - (low + high) / 2) * (0.8 * size / (high - low)[:2].max())
    screen = np.float32(screen * [1, -1, 1] + [size / 2, size / 2, 0])
    background = np.full((size, size, 3), BACKGROUND, np.uint8)
    if colored:
        return rasterize(screen, model.triangles, np.float32(np.clip(model.albedo_mean + tint, 0, 1)), bg=background)
    # Screen y points down, which turns triangles inside out: the other way round they face the camera again.
    return LIGHT(screen, np.ascontiguousarray(model.triangles[:, ::-1]), background)
