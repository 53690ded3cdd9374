"""Every figure that a prediction is judged by, each image on its own.

Arrays have one row an image: verts (B, N, 3) canonical metres, R_t (B, 4, 4) row-vector poses. Lower is better
everywhere but in success rates and F1. `image_metrics` gives all of them, `summarise` a data set's figures.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from util.camera import project, transform
from util.checks import check_array
from util.errors import InputError
from util.pose import pose_to_6dof

MILLIMETRES = 1000.0
# |yaw| in degrees: name -> more than the first, at most the second number.
YAW_BINS = {"0_30": (-np.inf, 30.0), "30_60": (30.0, 60.0), "60_90": (60.0, np.inf)}
# Pixel2Mesh's scale, the diagonal of an object's box, and its threshold for F1, a square.
PIXEL2MESH_SIZE, PIXEL2MESH_TAU = 0.57, 1e-4
# The figures that Pixel2Mesh averages over groups, too.
GROUPED = ("chamfer_p2m", "f1_tau_percent", "f1_2tau_percent")


def mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(B,) mean Euclidean distance between corresponding points of a and b (B, N, 2 or 3)."""
    return np.linalg.norm(a - b, axis=-1).mean(axis=-1)


def score_parts(
    verts: np.ndarray, R_t: np.ndarray, true_verts: np.ndarray, true_R_t: np.ndarray
) -> dict[str, np.ndarray]:
    """The challenge's score of each image and its three parts, (B,) millimetres (WCPA Track 2, ECCV 2022).

    score_all: everything predicted; score_pose: the true mesh under the predicted pose; score_shape: ten times the
    error of the predicted mesh under the true pose; score: their sum.
    """
    truth = transform(true_verts, true_R_t)
    parts = {
        "score_all": mean_distance(truth, transform(verts, R_t)),
        "score_pose": mean_distance(truth, transform(true_verts, R_t)),
        "score_shape": 10.0 * mean_distance(truth, transform(verts, true_R_t)),
    }
    parts = {name: MILLIMETRES * value for name, value in parts.items()}
    return {"score": sum(parts.values()), **parts}


def rotation_geodesic(R_t: np.ndarray, true_R_t: np.ndarray) -> np.ndarray:
    """(B,) angle in degrees of the rotation between the two poses."""
    difference = R_t[:, :3, :3] @ true_R_t[:, :3, :3].transpose(0, 2, 1)
    # |difference - 1| = sqrt(8) sin(angle / 2) keeps its precision at small angles, where arccos of the trace loses it.
    half_sine = np.linalg.norm(difference - np.eye(3), axis=(1, 2)) / np.sqrt(8.0)
    return np.degrees(2.0 * np.arcsin(np.clip(half_sine, 0.0, 1.0)))


def pose_errors(R_t: np.ndarray, true_R_t: np.ndarray) -> dict[str, np.ndarray]:
    """(B,) absolute errors: pitch, yaw, roll and the geodesic in degrees, tx, ty, tz in mm, and 5 degrees 5 cm.

    success_5deg_5cm is 1.0 where the geodesic is under 5 degrees and the translation is off by under 5 cm, else 0.0.
    """
    difference = pose_to_6dof(R_t) - pose_to_6dof(true_R_t)
    angles = np.degrees(np.abs((difference[:, :3] + np.pi) % (2 * np.pi) - np.pi))
    translation = MILLIMETRES * np.abs(difference[:, 3:])
    geodesic = rotation_geodesic(R_t, true_R_t)
    close = (geodesic < 5.0) & (np.linalg.norm(translation, axis=1) < 50.0)
    return {
        "pitch_error_deg": angles[:, 0],
        "yaw_error_deg": angles[:, 1],
        "roll_error_deg": angles[:, 2],
        "rotation_error_deg": geodesic,
        "tx_error_mm": translation[:, 0],
        "ty_error_mm": translation[:, 1],
        "tz_error_mm": translation[:, 2],
        "success_5deg_5cm": close.astype(np.float64),
    }


def landmark_nme(points: np.ndarray, true_points: np.ndarray) -> np.ndarray:
    """(B,) mean distance of (B, 68, 2) points over the root of the area of the true points' tight box, in percent."""
    width, height = (true_points.max(axis=1) - true_points.min(axis=1)).T
    return 100.0 * mean_distance(points, true_points) / np.sqrt(width * height)


def nearest_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) distance of each of points (N, 3) to the nearest of others (M, 3); NaN if any number is not finite."""
    if not (np.isfinite(points).all() and np.isfinite(others).all()):
        return np.full(len(points), np.nan)
    return cKDTree(others).query(points)[0]


def chamfer_f1(
    points: np.ndarray, true_points: np.ndarray, thresholds_mm: Sequence[float] = (1.0, 2.0)
) -> dict[str, np.ndarray]:
    """Chamfer distance and F1 of each image, (B,), as Pixel2Mesh defines them, which need no correspondence.

    points: (B, N, 3) and true_points: (B, M, 3), metres. chamfer_mm2 is the mean squared distance of the points to the
    nearest true points plus that of the true points to the nearest points, in square millimetres; f1_1mm_percent the
    harmonic mean of the shares of both that are nearer than 1 mm. The default thresholds are a quarter and a half of
    what lies between neighbouring vertices of the challenge's mesh (4.0 mm).

    chamfer_p2m, f1_tau_percent and f1_2tau_percent are in the scale of Pixel2Mesh's tables: ShapeNet's objects, whose
    boxes have a diagonal of one, times 0.57. So both meshes are multiplied by what makes the diagonal of the true one's
    box 0.57. The first is times 1,000, as printed there; the squared thresholds are 1e-4 and 2e-4, which is 1.8 and
    2.5 % of the diagonal, some 4 and 6 mm of a face.

    An image with a point that is not finite has chamfer distances of NaN and an F1 of 0.
    """
    both = zip(MILLIMETRES * points, MILLIMETRES * true_points, strict=True)
    distances = [(nearest_distances(own, true), nearest_distances(true, own)) for own, true in both]
    diagonals = MILLIMETRES * np.linalg.norm(np.ptp(true_points, axis=1), axis=1)
    scaled = [
        (own * scale, true * scale) for (own, true), scale in zip(distances, PIXEL2MESH_SIZE / diagonals, strict=True)
    ]
    return {
        "chamfer_mm2": np.array([chamfer(*each) for each in distances]),
        **{f"f1_{limit:g}mm_percent": np.array([f1(*each, limit) for each in distances]) for limit in thresholds_mm},
        "chamfer_p2m": np.array([1000.0 * chamfer(*each) for each in scaled]),
        "f1_tau_percent": np.array([f1(*each, PIXEL2MESH_TAU**0.5) for each in scaled]),
        "f1_2tau_percent": np.array([f1(*each, (2 * PIXEL2MESH_TAU) ** 0.5) for each in scaled]),
    }


def chamfer(distances: np.ndarray, true_distances: np.ndarray) -> float:
    """The sum of the mean squares of one image's distances: of points (N,), of true points (M,)."""
    return (distances**2).mean() + (true_distances**2).mean()


def f1(distances: np.ndarray, true_distances: np.ndarray, threshold: float) -> float:
    """The harmonic mean of the shares of both that are below the threshold, percent."""
    precision, recall = (distances < threshold).mean(), (true_distances < threshold).mean()
    return 200.0 * precision * recall / max(precision + recall, 1e-300)


def nme_by_yaw(nme: np.ndarray, yaw_degrees: np.ndarray) -> dict[str, float]:
    """The table row of AFLW2000-3D and AFLW: errors of images averaged in three bins of |yaw|, in the unit of nme.

    nme: (B,), as of `landmark_nme`; yaw_degrees: (B,), as labelled: an angle beyond 180 counts to the last bin, as in
    the published count of 1,312, 383 and 305 images. Returns nme_yaw_0_30 (up to 30 degrees, included), nme_yaw_30_60
    and nme_yaw_60_90, NaN where a bin is empty; images_yaw_...: how many images each is of; nme_yaw_mean and
    nme_yaw_std: over the bins that have images, each counted once. The deviation is numpy's, divided by the
    number of bins, as in the published rows of DEFA, DAMDNet and MFIRRN; those of RCPR, ESR, SDM and 3DDFA divide by
    one less and are 1.22 times as large. Raises InputError where shapes differ, nothing is given or is not
    finite.
    """
    nme = check_array("nme", nme, (None,))
    yaw = np.abs(check_array("yaw", yaw_degrees, nme.shape))
    if len(nme) == 0:
        raise InputError("nme: wanted the errors of images, got none")
    chosen = {name: nme[(low < yaw) & (yaw <= high)] for name, (low, high) in YAW_BINS.items()}
    means = {name: float(errors.mean()) if len(errors) else float("nan") for name, errors in chosen.items()}
    row = {f"nme_yaw_{name}": mean for name, mean in means.items()}
    row |= {f"images_yaw_{name}": float(len(errors)) for name, errors in chosen.items()}
    filled = [mean for mean in means.values() if not np.isnan(mean)]
    return {**row, "nme_yaw_mean": float(np.mean(filled)), "nme_yaw_std": float(np.std(filled))}


def image_metrics(
    verts: np.ndarray,
    R_t: np.ndarray,
    true_verts: np.ndarray,
    true_R_t: np.ndarray,
    keypoints: np.ndarray,
    projection: np.ndarray,
    image_size: tuple[int, int],
) -> dict[str, np.ndarray]:
    """The figures of each image that tell corresponding vertices, name -> (B,) float64.

    keypoints: (68,) vertex indices; projection: (4, 4); image_size: width, height of the image in pixels.
    vertex_error_mm is the mean vertex distance of the canonical meshes, without any alignment; add_mm the mean distance
    of the true mesh under the two poses; reprojection_px that of all projected vertices.
    """
    verts, R_t, true_verts, true_R_t = (np.asarray(x, dtype=np.float64) for x in (verts, R_t, true_verts, true_R_t))
    scores = score_parts(verts, R_t, true_verts, true_R_t)
    points, _ = project(transform(verts, R_t), projection, *image_size)
    true_points, _ = project(transform(true_verts, true_R_t), projection, *image_size)
    return {
        **scores,
        "vertex_error_mm": MILLIMETRES * mean_distance(verts, true_verts),
        "add_mm": scores["score_pose"],
        **pose_errors(R_t, true_R_t),
        "reprojection_px": mean_distance(points, true_points),
        "nme68_percent": landmark_nme(points[:, keypoints], true_points[:, keypoints]),
    }


def summarise(metrics: dict[str, np.ndarray], groups: Sequence[str] | None = None) -> dict[str, float]:
    """A data set's figures: the mean of each over its images, and the median where it says more.

    groups: of each image what it belongs to, as its facial action. With it there are also <name>_group_mean of the
    figures of GROUPED: the mean of the groups' means, each group counted once ("mean" in Pixel2Mesh's tables, where the
    mean over the images is the "weighted mean").
    """
    summary = {name: float(values.mean()) for name, values in metrics.items()}
    for name in ("score", "vertex_error_mm", "rotation_error_deg"):
        summary[f"{name}_median"] = float(np.median(metrics[name]))
    if groups is not None:
        _, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
        for name in GROUPED:
            summary[f"{name}_group_mean"] = float((np.bincount(numbers, metrics[name]) / counts).mean())
    return summary
