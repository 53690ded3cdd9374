"""What a network looks at: named views of an image, each with the affine that made it.

A window is (S, S, 3) uint8 RGB. Its affine is (2, 3) and takes image pixels to window pixels, both measured from the
top left corner (pixel i covers [i, i + 1)). It is the whole image's, also where only a part of the image is at hand.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from util.alignment import align, five_points
from util.crops import ALIGNED_SCALE, ALIGNED_SIZE, aligned_camera, square_of_landmarks
from util.errors import InputError

# How far the face box reaches from the centre of the 68 points' box: left, right, up, down, in units of that box's
# larger side (the published baseline's numbers).
FACE_BOX_REACH = (0.75, 0.75, 0.85, 0.65)
# How far windows reach beyond the face box, in shares of its side: the aligned one this far at 99 in 100 of the real
# data's poses; what lies farther is its outermost corners.
WINDOW_MARGINS = {"aligned": 0.35, "five_points": 0.25, "square": 0.04}
# Those that show where in the image the face is.
IMAGE_WINDOWS = ("global", "whole")


class Picture(NamedTuple):
    """What is at hand of an image.

    pixels: (h, w, 3) uint8 RGB; width, height: of the whole image; complete: whether all of it is in the pixels, or
    only the part around the face and black elsewhere; left, top: where the pixels' corner lies in the image;
    scale: how many pixels an image pixel has become, 1.0 where they are the image's own; turn: by what angle, radians
    anticlockwise as seen, the image is turned about its middle before it is looked at (`turn_affine`): all that asks
    for places in the image then means the turned one.
    """

    pixels: np.ndarray
    width: int
    height: int
    complete: bool = True
    left: int = 0
    top: int = 0
    scale: float = 1.0
    turn: float = 0.0

    def whole(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB: the whole image, black where nothing of it is at hand."""
        if self.is_plain():
            return self.pixels
        image = np.zeros((self.height, self.width, 3), np.uint8)
        warp(self, np.eye(2, 3), image)
        return image

    def is_plain(self) -> bool:
        """Whether its pixels are those of the image that is looked at."""
        return self.scale == 1.0 and self.turn == 0.0


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


def turn_affine(angle: float, width: int, height: int) -> np.ndarray:
    """The affine (2, 3) that turns an image of that size about its middle, by radians anticlockwise as seen."""
    cosine, sine = math.cos(angle), math.sin(angle)
    turn, middle = np.array([[cosine, sine], [-sine, cosine]]), np.array([width, height]) / 2  # y is down
    return np.column_stack([turn, middle - turn @ middle])


def resize_affine(picture: Picture, size: int) -> np.ndarray:
    """The affine (2, 3) of a resize of the whole image to size x size."""
    return np.array([[size / picture.width, 0, 0], [0, size / picture.height, 0]])


def warp(picture: Picture, matrix: np.ndarray, target: np.ndarray) -> None:
    """Warps the picture into `target` (h, w, 3) uint8, whose memory is written to, by an OpenCV affine (2, 3) from the
    image: the very bits that the whole image gives where the picture has its own pixels."""
    if picture.turn != 0.0:  # in one warp with the window's
        turn = opencv_affine(turn_affine(picture.turn, picture.width, picture.height))
        matrix = np.column_stack([matrix[:, :2] @ turn[:, :2], matrix[:, :2] @ turn[:, 2] + matrix[:, 2]])
    if picture.scale != 1.0:
        # The centre of pixel i lies, as OpenCV counts, at (i + 0.5) / scale - 0.5 from the corner.
        place = np.array([picture.left, picture.top]) + 0.5 / picture.scale - 0.5
        matrix = np.column_stack([matrix[:, :2] / picture.scale, matrix[:, :2] @ place + matrix[:, 2]])
    cv2.warpAffine(picture.pixels, matrix, target.shape[1::-1], dst=target)


def local_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The face box, warped to size x size (published baseline: box corners to the window's outermost pixel centres)."""
    left, top, right, bottom = box
    last = len(window) - 1
    source = np.float32([[left, top], [left, bottom], [right, top]])
    target = np.float32([[0, 0], [0, last], [last, 0]])
    matrix = cv2.getAffineTransform(source, target)
    warp(picture, matrix, window)
    return corner_affine(matrix)


def global_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The whole image, black outside the face box, resized to size x size (published baseline)."""
    affine = resize_affine(picture, len(window))
    left, top = (int(max(edge, 0)) for edge in box[:2])
    right, bottom = int(min(box[2], picture.width)), int(min(box[3], picture.height))
    window[:] = 0
    if right > left and bottom > top:
        draw_part = resize_part if picture.is_plain() else warp_part
        draw_part(picture, (left, top, right, bottom), window)
    return affine


def resize_part(picture: Picture, part: tuple[int, int, int, int], window: np.ndarray) -> None:
    """Draws what a resize of the whole image, black outside the part (left, top, right, bottom), makes of it, where
    that is not all black."""
    left, top, right, bottom = part
    columns, window_columns = touched(left, right, picture.width, len(window))
    rows, window_rows = touched(top, bottom, picture.height, len(window))
    blackened = np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
    inside = np.s_[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    blackened[inside] = picture.pixels[top:bottom, left:right]
    target = window[window_rows, window_columns]
    cv2.resize(blackened, target.shape[1::-1], dst=target)


def warp_part(picture: Picture, part: tuple[int, int, int, int], window: np.ndarray) -> None:
    """What resize_part does, from a picture of another scale or turn: nearly the same."""
    left, top, right, bottom = part
    columns = resized_share(left, right, picture.width, len(window))
    rows = resized_share(top, bottom, picture.height, len(window))
    first, last = (edge * len(window) // picture.width for edge in (left, right - 1))
    upper, lower = (edge * len(window) // picture.height for edge in (top, bottom - 1))
    target = window[upper : lower + 1, first : last + 1]
    moved = resize_affine(picture, len(window)) - [[0, 0, first], [0, 0, upper]]
    warp(picture, opencv_affine(moved), target)
    for row in {upper, lower}:  # where the part mixes with the black around it
        window[row] = np.rint(window[row] * rows[row])
    for column in {first, last}:
        window[:, column] = np.rint(window[:, column] * columns[column])


def resized_share(low: int, high: int, length: int, size: int) -> np.ndarray:
    """(size,) how much of low..high is in each pixel when `length` pixels are resized to `size`, from 0 to 1."""
    share = np.zeros((1, length), np.float32)
    share[:, low:high] = 1.0
    return cv2.resize(share, (size, 1))[0]


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


def whole_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The whole image, resized to size x size by averaging areas. Raises InputError where only a part is at hand."""
    if not picture.complete:
        raise InputError(
            "window whole: wanted whole images, got parts of them; use --data files, or run step01_preparation.py "
            "--pack lossless with a --pack_margin so large that they are packed whole"
        )
    cv2.resize(picture.whole(), window.shape[1::-1], dst=window, interpolation=cv2.INTER_AREA)
    return resize_affine(picture, len(window))


def aligned_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The face upright and of one size, its eyes, nose and mouth where they are in every aligned window (JMLR's; there
    they are placed as pixel centres and the warp is bicubic). Black beyond the picture. Where the box is not that of
    the landmarks, the window is moved and grown as the box was. Raises InputError for landmarks in one place."""
    own = face_box(landmarks)
    scale = (box[2] - box[0]) / (own[2] - own[0]) if own[2] > own[0] else 1.0
    moved = (landmarks - own[:2]) * scale + box[:2]
    affine = align(moved, len(window))
    warp(picture, opencv_affine(affine), window)
    return affine


def square_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """3DDFA's square around the 68 points, resized to size x size; moved and grown as the box was. Black beyond the
    picture."""
    own, square = face_box(landmarks), square_of_landmarks(landmarks)
    growth = (box[2] - box[0]) / (own[2] - own[0]) if own[2] > own[0] else 1.0
    left, top, right, _ = (square - np.tile(own[:2], 2)) * growth + np.tile(box[:2], 2)
    if not right > left:
        raise InputError(f"window square: wanted landmarks that lie apart, got all at {landmarks[0].tolist()}")
    scale = len(window) / (right - left)
    affine = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
    warp(picture, opencv_affine(affine), window)
    return affine


def five_point_window(picture: Picture, box: np.ndarray, landmarks: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Deep3D's: the face of one size, not turned, and the middle of its mean face in the middle (util.crops; sizes and
    places are cut to whole pixels there); moved and grown as the box was. Black beyond the picture. Raises InputError
    for landmarks in one place."""
    own = face_box(landmarks)
    growth = (box[2] - box[0]) / (own[2] - own[0]) if own[2] > own[0] else 1.0
    size, centre = aligned_camera(five_points(landmarks))
    x, y = (centre - own[:2]) * growth + box[:2]
    scale = ALIGNED_SCALE / (size * growth) * len(window) / ALIGNED_SIZE
    half = len(window) / 2
    affine = np.array([[scale, 0, half - scale * x], [0, scale, half - scale * y]])
    warp(picture, opencv_affine(affine), window)
    return affine


# Each draws the window (size, size, 3) uint8 of a picture's face in place and returns its affine (2, 3). box: the face
# box (4,), which training moves; landmarks: the 68 points (68, 2), which stay.
WINDOWS: dict[str, Callable[[Picture, np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "aligned": aligned_window,
    "local": local_window,
    "global": global_window,
    "square": square_window,
    "five_points": five_point_window,
    "whole": whole_window,
}
