"""Poses: the (4, 4) row-vector matrix R_t, and the 6DoF it is regressed as.

6DoF is pitch, yaw, roll (radians), then tx, ty, tz (metres). The angles are those of the challenge:
yaw, pitch, roll = Rotation.from_matrix(R_t[:3, :3].T).as_euler("yxz"), fixed axes, so that in column form the
rotation is Rz(roll) Rx(pitch) Ry(yaw).
"""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from util.checks import check_array
from util.errors import InputError


def pose_to_6dof(R_t: np.ndarray) -> np.ndarray:
    """(..., 4, 4) poses to (..., 6) float64: pitch, yaw, roll in radians, then the translation in metres."""
    R_t = np.asarray(R_t, dtype=np.float64)
    flat = R_t.reshape(-1, 4, 4)
    yaw, pitch, roll = Rotation.from_matrix(flat[:, :3, :3].transpose(0, 2, 1)).as_euler("yxz").T
    six = np.column_stack([pitch, yaw, roll, flat[:, 3, :3]])
    return six.reshape(*R_t.shape[:-2], 6)


def pose_from_6dof(six: np.ndarray) -> np.ndarray:
    """(..., 6) pitch, yaw, roll, tx, ty, tz to (..., 4, 4) float64 poses."""
    six = np.asarray(six, dtype=np.float64)
    flat = six.reshape(-1, 6)
    R_t = np.zeros((len(flat), 4, 4))
    columns = Rotation.from_euler("yxz", flat[:, [1, 0, 2]]).as_matrix()
    R_t[:, :3, :3] = columns.transpose(0, 2, 1)
    R_t[:, 3, :3] = flat[:, 3:]
    R_t[:, 3, 3] = 1.0
    return R_t.reshape(*six.shape[:-1], 4, 4)


def pose_from_6dof_tensor(six: torch.Tensor) -> torch.Tensor:
    """The differentiable twin of `pose_from_6dof`: (B, 6) to (B, 4, 4), on the tensor's device and type."""
    (sin_p, sin_y, sin_r), (cos_p, cos_y, cos_r) = torch.sin(six[:, :3]).T, torch.cos(six[:, :3]).T
    zero, one = torch.zeros_like(sin_p), torch.ones_like(sin_p)
    rows = [
        # the rows of (Rz Rx Ry) transposed
        [cos_r * cos_y - sin_r * sin_p * sin_y, sin_r * cos_y + cos_r * sin_p * sin_y, -cos_p * sin_y, zero],
        [-sin_r * cos_p, cos_r * cos_p, sin_p, zero],
        [cos_r * sin_y + sin_r * sin_p * cos_y, sin_r * sin_y - cos_r * sin_p * cos_y, cos_p * cos_y, zero],
        [*six[:, 3:].T, one],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def pose_to_6dof_tensor(R_t: torch.Tensor) -> torch.Tensor:
    """The differentiable twin of `pose_to_6dof`: (B, 4, 4) to (B, 6), pitch within +-90 degrees."""
    pitch = torch.asin(R_t[:, 1, 2].clamp(-1.0, 1.0))
    yaw = torch.atan2(-R_t[:, 0, 2], R_t[:, 2, 2])
    roll = torch.atan2(-R_t[:, 1, 0], R_t[:, 1, 1])
    return torch.cat([torch.stack([pitch, yaw, roll], dim=1), R_t[:, 3, :3]], dim=1)


def nearest_rotation(matrices: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) the rotations that are nearest to matrices (B, 3, 3), by the sum of squared differences. That of a
    weighted mean of rotations is their chordal mean (Moakher, Means and averaging in the group of rotations, 2002)."""
    U, _, Vh = torch.linalg.svd(matrices)
    # the last direction is the one that matters least: turned round where the others make a mirror image
    signs = torch.ones_like(matrices[:, 0])
    signs[:, 2] = torch.linalg.det(U @ Vh).sign()
    return (U * signs[:, None]) @ Vh


def check_pose(name: str, R_t: np.ndarray) -> np.ndarray:
    """Returns R_t as float64 after checking that it is a (4, 4) rigid pose of something in front of the camera.

    Raises ValueError where the shape, the last column, the rotation or the sign of tz is wrong. The tolerance on
    the rotation, 1e-3, passes float32 matrices and those printed with four digits.
    """
    R_t = check_array(name, R_t, (4, 4)).astype(np.float64)
    if not np.allclose(R_t[:, 3], [0, 0, 0, 1], atol=1e-6):
        raise InputError(f"{name}: wanted a last column of 0, 0, 0, 1 (row-vector form), got {R_t[:, 3].tolist()}")
    rotation = R_t[:3, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if error > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError(
            f"{name}: wanted a rotation in [:3, :3], got determinant {np.linalg.det(rotation):.4f} and "
            f"an orthonormality error of {error:.4g}"
        )
    if R_t[3, 2] >= 0:
        raise InputError(f"{name}: wanted tz < 0 (the camera looks down -z), got {R_t[3, 2]:.6g}")
    return R_t
