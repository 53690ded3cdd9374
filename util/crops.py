"""How the morphable-model methods cut a face out of an image: 3DDFA's square, and Deep3D's alignment by five points.

Coordinates are pixels from the image's top left corner, y down.
"""

import numpy as np
from PIL import Image

from util.errors import InputError

# 3DDFA: a box of the face, as detectors give it, grows so many times and moves down by so much of its size.
BOX_GROWTH, BOX_SHIFT = 1.58, 0.14

# Deep3D: eyes, tip of the nose and corners of the mouth of its mean face, in decimetres, and pixels a decimetre.
FIVE_POINTS = np.array(
    [
        [-0.3115, 0.2904, 0.1338],
        [0.3098, 0.2897, 0.1318],
        [0.0033, -0.0462, 0.5524],
        [-0.2522, -0.3813, 0.2241],
        [0.2485, -0.3813, 0.2224],
    ]
)
ALIGNED_SIZE, ALIGNED_SCALE = 224, 102.0


def square_of_box(box: np.ndarray) -> np.ndarray:
    """(4,) left, top, right, bottom of the square that 3DDFA looks at, from a detector's box (4,)."""
    left, top, right, bottom = np.asarray(box, np.float64)
    old = (right - left + bottom - top) / 2
    x, y, side = (left + right) / 2, (top + bottom) / 2 + BOX_SHIFT * old, int(BOX_GROWTH * old)
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


def square_of_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """(4,) the square that 3DDFA looks at, from points (n, 2): as large as the diagonal of the square around them."""
    points = np.asarray(landmarks, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), half = (low + high) / 2, (high - low).max() * np.sqrt(2) / 2
    return np.array([x - half, y - half, x + half, y + half])


def aligned_camera(points: np.ndarray) -> tuple[float, np.ndarray]:
    """How Deep3D's mean face is seen at five points (5, 2): pixels a decimetre, and where its origin is seen (2,).

    Least squares for the affine camera that takes FIVE_POINTS to the points, y up; the scale is the mean length of its
    two rows. Raises InputError for points in one place.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise InputError(f"five points: wanted finite numbers of shape (5, 2), got {points.tolist()}")
    system = np.column_stack([FIVE_POINTS, np.ones(5)])
    camera = np.linalg.lstsq(system, points * [1, -1], rcond=None)[0]
    scale = float(np.linalg.norm(camera[:3], axis=0).mean())
    if not scale > 0:
        raise InputError(f"five points: wanted points that lie apart, got {points.tolist()}")
    return scale, camera[3] * [1, -1]


def aligned_crop(photo: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What published Deep3D networks look at: (ALIGNED_SIZE, ALIGNED_SIZE, 3) uint8, and the affine (2, 3), pixels of
    the photo to those of the crop, both from the top left corner.

    photo: (h, w, 3) uint8 RGB; points: (5, 2) pixels, as in FIVE_POINTS. The photo is resized bicubically (Pillow)
    until a decimetre is ALIGNED_SCALE pixels, and cut with the mean face's origin in the middle. Sizes and places are
    cut to whole pixels towards zero. Deep3D counts y upwards from the middle of the lowest row and cuts as from its
    edge: one photo pixel too low, which its networks are used to. Black beyond the photo. Raises InputError as
    `aligned_camera` does.
    """
    size, (x, y) = aligned_camera(points)
    scale = ALIGNED_SCALE / size
    height, width = photo.shape[:2]
    wide, high = int(width * scale), int(height * scale)
    if not (wide and high):
        told = np.asarray(points).tolist()
        raise InputError(f"five points: wanted points in a photo of {width}x{height}, got {told}")
    left = int(wide / 2 - ALIGNED_SIZE / 2 + (x - width / 2) * scale)
    top = int(high / 2 - ALIGNED_SIZE / 2 + (y + 1 - height / 2) * scale)
    affine = np.array([[wide / width, 0, -left], [0, high / height, -top]])

    crop = np.zeros((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)
    # only the part that is seen is resized: a small face would make a large photo a huge one
    first, last = np.clip([[left, top], [left + ALIGNED_SIZE, top + ALIGNED_SIZE]], 0, [wide, high])
    if (last > first).all():
        part = np.concatenate([first, last]) / np.tile(np.diag(affine), 2)
        (columns, rows), (column, row) = last - first, first - [left, top]
        seen = Image.fromarray(photo).resize((columns, rows), Image.Resampling.BICUBIC, tuple(part))
        crop[row : row + rows, column : column + columns] = np.asarray(seen)
    return crop, affine
