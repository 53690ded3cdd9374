"""The similarity transform that brings a face's eyes, nose and mouth to where they are in every aligned window."""

import numpy as np

from util.errors import InputError

# Where the eyes' middles, the tip of the nose and the corners of the mouth lie in a window, in shares of its side: the
# template of ArcFace (Deng et al., CVPR 2019) for 112 pixels, 16 farther right and 8 farther down in 144 (JMLR).
ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
TEMPLATE = np.add(ARCFACE, [16, 8]) / 144
# Of the 68 points, those whose means are these five.
FIVE_OF_68 = np.array([[36, 39], [42, 45], [30, 30], [48, 48], [54, 54]])


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(5, d) float64 the points of the template from 68 points (68, d): eyes' middles are those of their corners."""
    return np.asarray(landmarks, dtype=np.float64)[FIVE_OF_68].mean(axis=1)


def similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The (2, 3) rotation, uniform scale and shift that brings points (n, 2) nearest to targets (n, 2) by least squares
    (Umeyama, PAMI 1991; in the plane, points are complex numbers and the transform is a line).

    Raises InputError where the points say nothing of it: all in one place, or not finite.
    """
    first, second = (np.asarray(each, dtype=np.float64) @ [1, 1j] for each in (points, targets))
    centred = first - first.mean()
    spread = np.vdot(centred, centred).real
    turn = np.vdot(centred, second) / spread if spread > 0 else 0.0
    if not 0 < abs(turn) < np.inf:
        raise InputError(f"alignment: wanted finite points that lie apart, got {np.asarray(points).tolist()}")
    shift = second.mean() - turn * first.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(2, 3) image pixels to pixels of an aligned window of that side, from 68 points (68, 2) pixels, both from the top
    left corner. Raises InputError as `similarity` does."""
    return similarity(five_points(landmarks), TEMPLATE * size)
