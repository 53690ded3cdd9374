"""Boxes: left, top, right, bottom in pixels from a picture's top left corner."""

import numpy as np


def tight_box(points: np.ndarray) -> np.ndarray:
    """(4,) the smallest box that holds points (n, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """(n,) areas of boxes (n, 4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def common_areas(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) areas of what a box (4,) and each of the boxes (n, 4) both cover."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return np.maximum(high - low, 0.0).prod(axis=1)


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) what a box (4,) and each of the boxes (n, 4) have in common, over their union."""
    common = common_areas(box, boxes)
    return common / (box_areas(box[None])[0] + box_areas(boxes) - common)
