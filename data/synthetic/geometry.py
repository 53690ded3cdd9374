"""Soft steps, and polygons in the plane."""

import numpy as np


def smooth_step(value: np.ndarray | float, start: float, end: float) -> np.ndarray:
    """0 at start, 1 at end, smooth in between."""
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def inside_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) whether points (N, 2) lie inside a closed polygon (P, 2), by crossings."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    slope = (b[:, 0] - a[:, 0]) / np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    return np.count_nonzero(spans & (x < a[:, 0] + slope * (y - a[:, 1])), axis=1) % 2 == 1


def polygon_distance(points: np.ndarray, polygon: np.ndarray, closed: bool = True) -> np.ndarray:
    """(N,) distance of points (N, 2) to a polygon (P, 2); closed: negative inside."""
    ends = np.roll(polygon, -1, axis=0) if closed else polygon[1:]
    starts = polygon if closed else polygon[:-1]
    nearest = np.full(len(points), np.inf)
    for a, b in zip(starts, ends, strict=True):
        edge = b - a
        along = np.clip((points - a) @ edge / (edge @ edge), 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(points - a - along[:, None] * edge, axis=1))
    return np.where(inside_polygon(points, polygon), -nearest, nearest) if closed else nearest
