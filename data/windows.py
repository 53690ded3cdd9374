"""What a network looks at: named views of an image, each with the affine that made it.

A window is (S, S, 3) uint8 RGB. Its affine is (2, 3) and takes image pixels to window pixels, both measured from the
top left corner (pixel i covers [i, i + 1)). It is the whole image's, also where only a part of the image is at hand.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from util.errors import InputError

# How far the face box reaches from the centre of the 68 points' box: left, right, up, down, in units of that box's
# larger side (the published baseline's numbers).
FACE_BOX_REACH = (0.75, 0.75, 0.85, 0.65)


class Picture(NamedTuple):
    """What is at hand of an image.

    pixels: (h, w, 3) uint8 RGB; width, height: of the whole image; complete: whether all of it is in the pixels, or
    only the part around the face and black elsewhere; left, top: where the pixels' corner lies in the image;
    scale: how many pixels an image pixel has become, 1.0 where they are the image's own.
    """

    pixels: np.ndarray
    width: int
    height: int
    complete: bool = True
    left: int = 0
    top: int = 0
    scale: float = 1.0

    def to_pixels(self) -> np.ndarray:
        """(3, 3) float64 affine from image coordinates to coordinates in `pixels`, both from the corner."""
        return np.array([[self.scale, 0, -self.left * self.scale], [0, self.scale, -self.top * self.scale], [0, 0, 1]])

    def whole(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB: the whole image, black where nothing of it is at hand."""
        if self.scale == 1.0:
            return self.pixels
        matrix = opencv_affine(np.linalg.inv(self.to_pixels())[:2])
        return cv2.warpAffine(self.pixels, matrix, (self.width, self.height))


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
    return affine


def opencv_affine(affine: np.ndarray) -> np.ndarray:
    """The inverse of `corner_affine`."""
    matrix = np.array(affine, dtype=np.float64)
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix


def resize_affine(picture: Picture, size: int) -> np.ndarray:
    """The affine (2, 3) of a resize of the whole image to size x size."""
    return np.array([[size / picture.width, 0, 0], [0, size / picture.height, 0]])


def warp(picture: Picture, matrix: np.ndarray, target: np.ndarray) -> None:
    """Warps the picture into `target` (h, w, 3) uint8, whose memory is written to, by an OpenCV affine (2, 3) from the
    image: the very bits that the whole image gives where the picture has its own pixels."""
    if picture.scale != 1.0:
        affine = corner_affine(matrix)
        affine = np.vstack([affine, [0, 0, 1]]) @ np.linalg.inv(picture.to_pixels())
        matrix = opencv_affine(affine[:2])
    cv2.warpAffine(picture.pixels, matrix, target.shape[1::-1], dst=target)


def local_window(picture: Picture, box: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The face box, warped to size x size (published baseline: box corners to the window's outermost pixel centres)."""
    left, top, right, bottom = box
    last = len(window) - 1
    source = np.float32([[left, top], [left, bottom], [right, top]])
    target = np.float32([[0, 0], [0, last], [last, 0]])
    matrix = cv2.getAffineTransform(source, target)
    warp(picture, matrix, window)
    return corner_affine(matrix)


def global_window(picture: Picture, box: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The whole image, black outside the face box, resized to size x size (published baseline)."""
    affine = resize_affine(picture, len(window))
    left, top = (int(max(edge, 0)) for edge in box[:2])
    right, bottom = int(min(box[2], picture.width)), int(min(box[3], picture.height))
    window[:] = 0
    if right > left and bottom > top:
        if picture.scale == 1.0:
            resize_part(picture.pixels, (left, top, right, bottom), window)
        else:
            (first, upper), (last, lower) = (affine @ [[left, right], [top, bottom], [1, 1]]).T
            first, upper, last, lower = math.floor(first), math.floor(upper), math.ceil(last), math.ceil(lower)
            moved = affine - [[0, 0, first], [0, 0, upper]]
            warp(picture, opencv_affine(moved), window[upper:lower, first:last])
    return affine


def resize_part(image: np.ndarray, part: tuple[int, int, int, int], window: np.ndarray) -> None:
    """Draws what a resize of the image, black outside the part (left, top, right, bottom), makes of it, where that is
    not all black."""
    left, top, right, bottom = part
    columns, window_columns = touched(left, right, image.shape[1], window.shape[1])
    rows, window_rows = touched(top, bottom, image.shape[0], window.shape[0])
    blackened = np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
    inside = np.s_[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    blackened[inside] = image[top:bottom, left:right]
    target = window[window_rows, window_columns]
    cv2.resize(blackened, target.shape[1::-1], dst=target)


def touched(low: int, high: int, length: int, size: int) -> tuple[slice, slice]:
    """When `length` pixels are resized to `size`: a part of them that low..high lies in and that gives, resized on its
    own, the very pixels that the whole gives, and these pixels."""
    blocks = math.gcd(length, size)
    step, window_step = length // blocks, size // blocks
    if step < window_step:  # enlarged, pixels reach beyond their block
        return slice(0, length), slice(0, size)
    # OpenCV computes places in float32. They are the same in every block where the scale is a short binary fraction;
    # elsewhere only where the part begins with the image.
    first = low // step if window_step.bit_count() == 1 else 0
    last = -(-high // step)
    return slice(first * step, last * step), slice(first * window_step, last * window_step)


def whole_window(picture: Picture, box: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The whole image, resized to size x size by averaging areas. Raises InputError where only a part is at hand."""
    if not picture.complete:
        raise InputError(
            "window whole: wanted whole images, got parts of them; use --data files, or run step01_preparation.py "
            "--pack lossless with a --pack_margin so large that they are packed whole"
        )
    cv2.resize(picture.pixels, window.shape[1::-1], dst=window, interpolation=cv2.INTER_AREA)
    return resize_affine(picture, len(window))


# Each draws the window (size, size, 3) uint8 of a picture's face box in place and returns its affine (2, 3).
WINDOWS: dict[str, Callable[[Picture, np.ndarray, np.ndarray], np.ndarray]] = {
    "local": local_window,
    "global": global_window,
    "whole": whole_window,
}
