"""The skin as seen from a centre inside: how far it lies off in every direction. What is worn lies over that."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.lighting import remap_points
from data.synthetic.portraits.head import Head
from Sim3DR import interpolate, rasterize_buffers

SIZE = 256  # pixels a side of the map of directions
REACH = 2.7  # radians from straight up that it shows, of pi


@dataclass(frozen=True)
class Star:
    """centre: (3,) canonical metres; distance: (SIZE, SIZE) float32 metres, over azimuth and angle from straight up:
    from the middle outwards the angle grows, downwards lies the front, +x to the right."""

    centre: np.ndarray
    distance: np.ndarray

    def place(self, azimuth: np.ndarray, elevation: np.ndarray, lift: np.ndarray | float = 0.0) -> np.ndarray:
        """(..., 3) points `lift` metres outside the surface, in directions: radians from the front towards +x, and
        above the level; both broadcast."""
        azimuth, elevation = np.broadcast_arrays(azimuth, elevation)
        direction = np.stack(
            [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)], axis=-1
        )
        return self.centre + direction * (self.radius(direction) + lift)[..., None]

    def radius(self, direction: np.ndarray) -> np.ndarray:
        """(...) float32 metres from the centre to the surface along unit directions (..., 3)."""
        column, row = chart(direction.reshape(-1, 3)).T
        return remap_points(self.distance, column, row).reshape(direction.shape[:-1])

    def depth(self, points: np.ndarray) -> np.ndarray:
        """(...) float32 metres that points (..., 3) lie within the surface; negative outside."""
        offset = points - self.centre
        size = np.linalg.norm(offset, axis=-1)
        return self.radius(offset / size[..., None]) - size.astype(np.float32)


def chart(direction: np.ndarray) -> np.ndarray:
    """(N, 2) float32 column and row in a Star's map of unit directions (N, 3): the angle from straight up, unrolled."""
    angle = np.arccos(np.clip(direction[:, 1], -1.0, 1.0)) / REACH
    level = np.hypot(direction[:, 0], direction[:, 2]) + 1e-9
    scale = angle / level * (SIZE / 2)
    return (np.stack([direction[:, 0] * scale, direction[:, 2] * scale], axis=1) + (SIZE - 1) / 2).astype(np.float32)


def make_star(head: Head, centre: np.ndarray, triangles: np.ndarray, outermost: bool, smooth: int) -> Star:
    """The surface of triangles (T, 3) of the head's mean, the outermost or the innermost seen from centre (3,).

    smooth: pixels over which the largest distance is taken, before it is blurred as far; 0: the surface as it is
    """
    offset = head.mean - centre
    size = np.linalg.norm(offset, axis=1)
    flat = np.concatenate([chart(offset / size[:, None]), (size if outermost else -size)[:, None]], axis=1)
    spread = np.ptp(flat[triangles, :2], axis=1).max(axis=1)
    buffers = rasterize_buffers(flat, triangles[spread < SIZE / 4], SIZE, SIZE)  # not those over the pole below
    distance = interpolate(buffers, triangles[spread < SIZE / 4], size[:, None].astype(np.float32))[..., 0]
    distance = filled(distance, buffers.triangle >= 0)
    if smooth:
        distance = cv2.dilate(distance, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (smooth, smooth)))
        distance = cv2.GaussianBlur(distance, (0, 0), smooth / 2.5)
    return Star(np.asarray(centre, np.float32), distance)


def filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """values (H, W) float32 where known, and the nearest known value elsewhere."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(labels.max() + 1, np.float32)
    table[labels[known]] = values[known]
    return table[labels]
