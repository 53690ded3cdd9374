"""How well the 68 points of faces are found in pictures, as papers on AFLW2000-3D and AFLW report it."""

import numpy as np

from util.landmark_metrics import stretched_nme_3d
from util.metrics import YAW_BINS, landmark_nme, nme_by_yaw
from util.pictures import draw_landmarks
from util.prediction import FacePrediction

TRUE_COLOR, FOUND_COLOR = (80, 255, 80), (255, 70, 50)


def face_points(face: FacePrediction) -> np.ndarray:
    """(68, 3) float64 points of a face: pixels from the top left corner, y down, and metres towards the camera."""
    return np.column_stack([face.landmarks2d, face.camera_verts[face.topology.keypoints, 2]]).astype(np.float64)


def point_metrics(points: np.ndarray, true_points: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of the 68 points, name -> (B,) percent: in the picture, relative to the root of the area of the true
    points' box, and, of true points that have a z, the 3D error after stretching (util.landmark_metrics).

    points: (B, 68, 3), as of `face_points`; true_points: (B, 68, 3), z towards the camera, or (B, 68, 2).
    """
    metrics = {"nme68_percent": landmark_nme(points[..., :2], true_points[..., :2])}
    if true_points.shape[2] == 3:
        metrics["nme68_stretched_percent"] = 100.0 * stretched_nme_3d(points, true_points)
    return metrics


def yaw_row(metrics: dict[str, np.ndarray], yaw_deg: np.ndarray) -> dict[str, float]:
    """The figures of util.metrics.nme_by_yaw, and the mean over all images of each of the metrics, which are as of
    `point_metrics`; yaw_deg: (B,), as labelled."""
    return nme_by_yaw(metrics["nme68_percent"], yaw_deg) | {
        name: float(values.mean()) for name, values in metrics.items()
    }


def format_yaw_table(title: str, row: dict[str, float]) -> str:
    """The NME of each bin of |yaw|, their mean and deviation, and below how many images each is of."""
    columns = [*YAW_BINS, "mean", "std"]
    width = max(len(title), len("images"))
    lines = [" " * width + "".join(f"{name.replace('_', '-'):>8}" for name in columns)]
    lines.append(f"{title:<{width}}" + "".join(f"{row[f'nme_yaw_{name}']:8.3f}" for name in columns))
    lines.append(f"{'images':<{width}}" + "".join(f"{row[f'images_yaw_{name}']:8.0f}" for name in YAW_BINS))
    return "\n".join(lines)


def draw_points(image: np.ndarray, face: FacePrediction, true_points: np.ndarray) -> np.ndarray:
    """The true points (68, 2 or 3) and those of a face over a copy of the image (h, w, 3)."""
    return draw_landmarks(draw_landmarks(image, true_points[:, :2], TRUE_COLOR), face.landmarks2d, FOUND_COLOR)
