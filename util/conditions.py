"""What a face looks like to the camera, by which its image is easy or hard."""

import numpy as np

from util.camera import project, transform
from util.pose import pose_to_6dof


def image_conditions(
    verts: np.ndarray, R_t: np.ndarray, keypoints: np.ndarray, projection: np.ndarray, image_size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The true conditions of each image, name -> (B,) float64.

    verts: (B, N, 3) canonical metres, R_t: (B, 4, 4), both true; keypoints: (68,) vertex indices; projection: (4, 4);
    image_size: width, height in pixels. yaw_deg and pitch_deg are those of the challenge; distance_m is that of the
    head's origin along the view direction; face_size_px the root of the area of the 68 projected points' tight box,
    which the NME is relative to.
    """
    R_t = np.asarray(R_t, dtype=np.float64)
    six = pose_to_6dof(R_t)
    points, _ = project(transform(verts[:, keypoints].astype(np.float64), R_t), projection, *image_size)
    sides = points.max(axis=1) - points.min(axis=1)
    return {
        "yaw_deg": np.degrees(six[:, 1]),
        "pitch_deg": np.degrees(six[:, 0]),
        "distance_m": -six[:, 5],
        "face_size_px": np.sqrt(sides.prod(axis=1)),
    }
