"""What a network looks at: named views of an image, each with the affine that made it.

A window is (S, S, 3) uint8 RGB. Its affine is (2, 3) float32 and takes image pixels to window pixels, both measured
from the top left corner (pixel i covers [i, i + 1)).
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

# How far the face box reaches from the centre of the 68 points' box: left, right, up, down, in units of that box's
# larger side (the published baseline's numbers).
FACE_BOX_REACH = (0.75, 0.75, 0.85, 0.65)


class Window(NamedTuple):
    image: np.ndarray
    affine: np.ndarray


def face_box(landmarks: np.ndarray) -> np.ndarray:
    """(4,) float64 left, top, right, bottom of the square around the 68 points (68, 2), in pixels."""
    low, high = landmarks.min(axis=0).astype(np.float64), landmarks.max(axis=0).astype(np.float64)
    (x, y), size = (low + high) / 2, (high - low).max()
    left, right, up, down = FACE_BOX_REACH
    return np.array([x - left * size, y - up * size, x + right * size, y + down * size])


def corner_affine(matrix: np.ndarray) -> np.ndarray:
    """An OpenCV affine (2, 3), which has pixel centres at integers, as one between coordinates from the corner."""
    affine = np.array(matrix, dtype=np.float64)
    affine[:, 2] += 0.5 - affine[:, :2] @ [0.5, 0.5]
    return affine.astype(np.float32)


def resize_affine(image: np.ndarray, size: int) -> np.ndarray:
    """The affine (2, 3) of a resize to size x size."""
    height, width = image.shape[:2]
    return np.array([[size / width, 0, 0], [0, size / height, 0]], dtype=np.float32)


def local_window(image: np.ndarray, box: np.ndarray, size: int) -> Window:
    """The face box, warped to size x size (published baseline: box corners to the window's outermost pixel centres)."""
    left, top, right, bottom = box
    source = np.float32([[left, top], [left, bottom], [right, top]])
    target = np.float32([[0, 0], [0, size - 1], [size - 1, 0]])
    matrix = cv2.getAffineTransform(source, target)
    return Window(cv2.warpAffine(image, matrix, (size, size)), corner_affine(matrix))


def global_window(image: np.ndarray, box: np.ndarray, size: int) -> Window:
    """The whole image, black outside the face box, resized to size x size (published baseline)."""
    height, width = image.shape[:2]
    left, top = (int(max(edge, 0)) for edge in box[:2])
    right, bottom = int(min(box[2], width)), int(min(box[3], height))
    blackened = np.zeros_like(image)
    if right > left and bottom > top:
        blackened[top:bottom, left:right] = image[top:bottom, left:right]
    return Window(cv2.resize(blackened, (size, size)), resize_affine(image, size))


def whole_window(image: np.ndarray, box: np.ndarray, size: int) -> Window:
    """The whole image, resized to size x size by averaging areas."""
    return Window(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), resize_affine(image, size))


WINDOWS: dict[str, Callable[[np.ndarray, np.ndarray, int], Window]] = {
    "local": local_window,
    "global": global_window,
    "whole": whole_window,
}
