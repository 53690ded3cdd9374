"""Where heads are before the camera, beyond the challenge's poses: turned to profile, tilted, near and far."""

import numpy as np

from util.camera import project, transform
from util.pose import pose_from_6dof, pose_to_6dof

# Largest angles in radians, and how the draws are spread: yaw over the whole range, most of it near the front.
YAW_LIMIT, PITCH_LIMIT, ROLL_LIMIT = np.radians(80.0), np.radians(45.0), np.radians(50.0)
PITCH_SPREAD, ROLL_SPREAD = np.radians(15.0), np.radians(13.0)
NEAR, FAR = 0.25, 1.5  # metres along the view direction
# The face may fill so much of the picture, and lie so near to its border, as shares of half the picture.
LARGEST, BORDER = 0.92, 0.97


def draw_pose(rng: np.random.Generator, verts: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """(4, 4) float64 pose R_t of the face verts (N, 3), which lies wholly in the picture of a camera (4, 4) M_proj.

    Yaw to +-80 degrees, pitch and roll mostly within +-15; distances evenly in their logarithm, where the picture holds
    so near a face; anywhere in the picture, mostly near its middle.
    """
    yaw = YAW_LIMIT * (2.0 * rng.beta(1.6, 1.6) - 1.0)
    pitch = float(np.clip(rng.normal(0.0, PITCH_SPREAD), -PITCH_LIMIT, PITCH_LIMIT))
    roll = float(np.clip(rng.normal(0.0, ROLL_SPREAD), -ROLL_LIMIT, ROLL_LIMIT))
    distance = float(np.exp(rng.uniform(np.log(NEAR), np.log(FAR))))
    aside = np.clip(rng.normal(0.0, 0.3, 2), -1.0, 1.0)
    R_t = pose_from_6dof(np.array([pitch, yaw, roll, 0.0, 0.0, -distance]))
    middle = (verts.min(axis=0) + verts.max(axis=0)) / 2
    R_t[3, :3] -= middle @ R_t[:3, :3]  # the middle of the face lies at that distance, ahead of the camera
    while extent(verts, R_t, projection).max() > 2 * LARGEST:
        R_t[3, 2] -= 0.1 * distance
    return shift_inside(R_t, verts, projection, aside)


def extent(verts: np.ndarray, R_t: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """(2,) width and height of verts (N, 3) in the picture, in halves of the picture; infinite behind the camera."""
    image, distance = project(transform(verts, R_t), projection, 2, 2)
    return np.ptp(image, axis=0) if distance.min() > 0.05 else np.full(2, np.inf)


def shift_inside(R_t: np.ndarray, verts: np.ndarray, projection: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """The pose (4, 4) moved sideways: where aside (2,) is 1 or -1, right or up as far as the face stays in the
    picture."""
    moved = R_t.copy()
    for _ in range(3):  # perspective: a face that has moved is not quite as wide as before
        image, distance = project(transform(verts, moved), projection, 2, 2)
        low, high = image.min(axis=0) - 1.0, image.max(axis=0) - 1.0
        room = np.maximum(BORDER - (high - low) / 2, 0.0)
        shift = aside * [1.0, -1.0] * room - (low + high) / 2
        moved[3, :2] += shift * [1.0, -1.0] * distance.mean() / projection[[0, 1], [0, 1]]
    return moved


def draw_gaze(rng: np.random.Generator, R_t: np.ndarray) -> tuple[float, float]:
    """Radians that the eyes look to the face's left and up: half of all people look at the camera, as far as eyes
    turn."""
    pitch, yaw, _ = pose_to_6dof(R_t)[:3]
    hold = 1.0 if rng.random() < 0.5 else rng.uniform(-0.2, 0.6)
    left, up = -hold * yaw + rng.normal(0.0, 0.12), hold * pitch + rng.normal(0.0, 0.08)
    return float(np.clip(left, -0.55, 0.55)), float(np.clip(up, -0.4, 0.35))
