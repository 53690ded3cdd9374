"""The 68 face points in the iBUG order, counted from 0: 0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-67 lips."""

import numpy as np
import torch

# What each point becomes when the face is mirrored.
MIRROR_68 = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *[27, 28, 29, 30],  # nose ridge
        *range(35, 30, -1),  # nose base
        *[45, 44, 43, 42, 47, 46],  # right eye becomes left
        *[39, 38, 37, 36, 41, 40],  # left eye becomes right
        *[54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55],  # outer lips
        *[64, 63, 62, 61, 60, 67, 66, 65],  # inner lips
    ]
)
# Chains of points that are drawn as lines; True where the chain is closed.
CHAINS_68 = [
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
]

# Views of a set of images, by where the nose points: 0 to the left of the image, 1 to the front, 2 to the right.
NUM_VIEWS = 3
# From this nose_offset on, a face that is seen alone is not a frontal one: near 7 degrees, which a third of the real
# data's faces are turned less than.
SIDE_OFFSET = 0.17

NUM_NUMBERS = 2 * 68 + 3
# How well detectors place a point, in half sides of the points' box. Directions in which faces differ by less than
# that are not blown up by whitening.
LANDMARK_PRECISION = 0.01


def landmark_numbers(points: torch.Tensor) -> torch.Tensor:
    """What 68 points (B, 68, 2) say, apart from each other: (B, 139) their places within their own box, from -1 to 1
    along its larger side, then the box's centre and the logarithm of its half side.

    points: from -1 to 1 across the image.
    """
    low, high = points.amin(dim=1), points.amax(dim=1)
    centre, half = (low + high) / 2, ((high - low) / 2).amax(dim=1, keepdim=True)
    within = (points - centre[:, None]) / half[:, None]
    return torch.cat([within.flatten(1), centre, half.log()], dim=1)


def nose_offset(points: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """(...) how far the tip of the nose lies to the right of the middle between the jaw's ends, along the line between
    them and in halves of it: about 1.5 times the tangent of the yaw. points: (..., 68, 2) pixels."""
    low, high, nose = points[..., 0, :], points[..., 16, :], points[..., 30, :]
    across = high - low
    # a hundredth of a pixel, for points in one place
    return (2 * (nose - (low + high) / 2) * across).sum(-1) / ((across**2).sum(-1) + 1e-4)


def view_of(points: torch.Tensor) -> torch.Tensor:
    """(B,) int64 the view, 0..NUM_VIEWS - 1, of faces that are seen alone, with these 68 points (B, 68, 2)."""
    return view_at(nose_offset(points))


def view_at(offset: torch.Tensor) -> torch.Tensor:
    """The view of each `nose_offset`."""
    return 1 + (offset > SIDE_OFFSET).long() - (offset < -SIDE_OFFSET).long()


def whitening_matrix(covariance: np.ndarray) -> np.ndarray:
    """(D, D) matrix that makes numbers (n, D) with this covariance, less their mean, uncorrelated and of deviation 1;
    less than 1 where they hardly vary, see LANDMARK_PRECISION."""
    variances, directions = np.linalg.eigh(covariance)
    return directions / np.sqrt(np.maximum(variances, 0.0) + LANDMARK_PRECISION**2)
