"""Errors of 3D landmarks after alignment, as benchmarks define them, and the curves that sum them up.

Points are (B, K, 3), one row an image, in any unit; errors are shares of a length of the truth, 0.05 being 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from util.checks import check_array
from util.errors import InputError
from util.metrics import mean_distance

# The outer, inner, inner and outer corners of the eyes, the bottom of the nose, the corners of the mouth: what the
# benchmarks align by, among the 68 points and among the 106 of the CVPR 2021 PIC challenge.
ANCHORS_68 = (36, 39, 42, 45, 33, 48, 54)
ANCHORS_106 = (52, 55, 58, 61, 46, 84, 90)
# The pair of points whose distance is the unit of errors.
OUTER_EYES_68 = (36, 45)
NORMALISER_106 = (74, 77)
# All but the outline; the challenge reports them, too.
INNER_106 = tuple(range(33, 106))
# Errors above are failures, and the end of the curve (PIC challenge).
FAILURE = 0.10

Scaling = Literal["least_squares", "radii", "none"]


@dataclass(frozen=True)
class Similarity:
    """One transform an image: scale (B,), rotation (B, 3, 3) and translation (B, 3), in row-vector form."""

    scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """scale * points @ rotation + translation, for points (B, K, 3)."""
        return self.scale[:, None, None] * points @ self.rotation + self.translation[:, None]


def check_pairs(points: np.ndarray, true_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64. Raises InputError or TypeError unless they are finite and of one shape (B, K, 3)."""
    points = check_array("points", points, (None, None, 3)).astype(np.float64)
    return points, check_array("true points", true_points, points.shape).astype(np.float64)


def fit_similarity(points: np.ndarray, true_points: np.ndarray, scaling: Scaling = "least_squares") -> Similarity:
    """The transform that brings points (B, K, 3) closest to the true points in the sense of least squares.

    The rotation, never a reflection, and the least-squares scale are Umeyama's (1991), in closed form. scaling
    "radii" takes the ratio of the root mean square distances from the centre instead, as the PIC challenge does: the
    points keep the size of the truth, where the least-squares scale shrinks them the more the worse they fit. "none"
    keeps the scale. Raises InputError where the rotation is not determined: points in one place or on one line.
    """
    points, true_points = check_pairs(points, true_points)
    centre, true_centre = points.mean(axis=1, keepdims=True), true_points.mean(axis=1, keepdims=True)
    own, true = points - centre, true_points - true_centre
    left, strengths, right = np.linalg.svd(own.transpose(0, 2, 1) @ true)
    if (strengths[:, 1] <= 1e-9 * strengths[:, 0]).any():
        raise InputError("points: wanted three that are not on one line, in prediction and truth; got none")
    handedness = np.sign(np.linalg.det(left @ right))
    strengths[:, 2] *= handedness
    left[:, :, 2] *= handedness[:, None]
    rotation = left @ right
    squares, true_squares = (own**2).sum(axis=(1, 2)), (true**2).sum(axis=(1, 2))
    scale = {
        "least_squares": strengths.sum(axis=1) / squares,
        "radii": np.sqrt(true_squares / squares),
        "none": np.ones(len(points)),
    }[scaling]
    translation = true_centre[:, 0] - scale[:, None] * (centre @ rotation)[:, 0]
    return Similarity(scale, rotation, translation)


def similarity_align(
    points: np.ndarray,
    true_points: np.ndarray,
    anchors: Sequence[int] | None = None,
    scaling: Scaling = "least_squares",
) -> np.ndarray:
    """Points (B, K, 3) after the similarity transform that fits those at the indices `anchors`, or all, to the truth;
    see `fit_similarity` for scaling and what is raised."""
    points, true_points = check_pairs(points, true_points)
    chosen = slice(None) if anchors is None else list(anchors)
    return fit_similarity(points[:, chosen], true_points[:, chosen], scaling).apply(points)


def landmark_nme_3d(
    points: np.ndarray,
    true_points: np.ndarray,
    anchors: Sequence[int] = ANCHORS_68,
    normaliser: tuple[int, int] = OUTER_EYES_68,
    scored: Sequence[int] | None = None,
) -> np.ndarray:
    """(B,) normalised mean error of the CVPR 2021 PIC challenge: the mean distance of the points (B, K, 3) after they
    are aligned by the anchors with the scale of their radii, over the distance between two true points.

    The defaults are for 68 points; ANCHORS_106 and NORMALISER_106 are the challenge's own. scored: the indices whose
    distances count, by default all; INNER_106 is the challenge's inner face. Raises as `fit_similarity`.
    """
    aligned = similarity_align(points, true_points, anchors, "radii")
    unit = np.linalg.norm(true_points[:, normaliser[0]] - true_points[:, normaliser[1]], axis=1)
    if (unit == 0).any():
        raise InputError(f"true points: wanted points {normaliser[0]} and {normaliser[1]} apart, got them in one place")
    chosen = slice(None) if scored is None else list(scored)
    return mean_distance(aligned[:, chosen], true_points[:, chosen]) / unit


def stretched_nme_3d(points: np.ndarray, true_points: np.ndarray) -> np.ndarray:
    """(B,) the 3D error that papers on AFLW2000-3D report: the points (B, K, 3) are first stretched and moved along
    each axis to fill the true points' box; the unit is the cube root of that box's volume.

    Raises InputError where either is flat along an axis.
    """
    points, true_points = check_pairs(points, true_points)
    low, true_low = points.min(axis=1, keepdims=True), true_points.min(axis=1, keepdims=True)
    size, true_size = points.max(axis=1, keepdims=True) - low, true_points.max(axis=1, keepdims=True) - true_low
    for name, extent in (("points", size), ("true points", true_size)):
        if (extent == 0).any():
            raise InputError(f"{name}: wanted a box with a volume, got points that are flat along an axis")
    stretched = (points - low) / size * true_size + true_low
    return mean_distance(stretched, true_points) / np.cbrt(true_size.prod(axis=(1, 2)))


def cumulative_curve(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) the share of the errors (n,) that are at most each of the thresholds (T,).

    Raises InputError where there are no errors or one is not finite.
    """
    errors = check_array("errors", errors, (None,))
    if len(errors) == 0:
        raise InputError("errors: wanted at least one, got none")
    return np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def area_under_curve(errors: np.ndarray, limit: float = FAILURE) -> np.ndarray:
    """(n,) what each of the errors (n,) adds to the area under their cumulative curve from 0 to limit, in shares of the
    whole: the mean is that area, exactly; 1 where all errors are 0.

    The PIC challenge's own script puts trapezoids between the sorted errors, which differs by the order of 1 / n.
    """
    return np.clip(1.0 - np.asarray(errors) / limit, 0.0, None)


def landmark_figures(verts: np.ndarray, true_verts: np.ndarray, keypoints: np.ndarray) -> dict[str, np.ndarray]:
    """3D errors of the 68 points of each image, name -> (B,): the PIC challenge's, its area under the curve up to 10 %
    and its failures above, and the one of papers on AFLW2000-3D, all in percent.

    verts, true_verts: (B, N, 3); keypoints: (68,) vertex indices. A mesh that is not finite has errors of NaN, no area
    and fails.
    """
    points, true_points = (np.asarray(meshes, np.float64)[:, keypoints] for meshes in (verts, true_verts))
    whole = np.isfinite(points).all(axis=(1, 2))
    aligned, stretched = np.full((2, len(points)), np.nan)
    if whole.any():
        aligned[whole] = landmark_nme_3d(points[whole], true_points[whole])
        stretched[whole] = stretched_nme_3d(points[whole], true_points[whole])
    return {
        "nme68_3d_percent": 100.0 * aligned,
        "auc68_3d_percent": 100.0 * np.nan_to_num(area_under_curve(aligned)),
        "failure68_3d_percent": 100.0 * ~(aligned <= FAILURE),
        "nme68_stretched_percent": 100.0 * stretched,
    }
