import cv2
import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pnp import solve_pnp
from util.pose import pose_from_6dof

SIZE = 800
FLIP = np.diag([1.0, -1.0, -1.0])
FOCAL = WCPA_PROJECTION[0, 0] * SIZE / 2
CAMERA = np.array([[FOCAL, 0, SIZE / 2], [0, FOCAL, SIZE / 2], [0, 0, 1]])
# pitch, yaw, roll, tx, ty, tz of the challenge's training images
MEAN = np.array([-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206])
DEVIATION = np.array([0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444])


def some_faces(count, size=1220, noise=0.0, seed=0):
    """verts (B, N, 3), points (B, N, 2) with noise in pixels, R_t (B, 4, 4); the first two at 60 degrees of yaw."""
    random = np.random.default_rng(seed)
    x, y = np.moveaxis(random.uniform(-1, 1, (count, size, 2)) * [0.07, 0.09], 2, 0)
    verts = np.stack([x, y, 0.06 - 8 * x**2 - 4 * y**2 + random.normal(0, 0.005, x.shape)], axis=2)
    six = random.normal(MEAN, DEVIATION, (count, 6))
    six[:2, 1] = np.radians([60, -60])[:count]
    R_t = pose_from_6dof(six)
    points = seen(verts, R_t) + random.normal(0, noise, (count, size, 2))
    return verts, points, R_t


def seen(verts, R_t):
    return project(transform(verts, R_t), WCPA_PROJECTION, SIZE, SIZE)[0]


def solved(verts, points, weights=None, projection=WCPA_PROJECTION, size=(SIZE, SIZE)):
    weights = None if weights is None else torch.tensor(weights)
    return solve_pnp(torch.tensor(verts), torch.tensor(points), torch.tensor(projection), *size, weights).numpy()


def opencv(verts, points):
    """(B, 4, 4) of OpenCV's Levenberg and Marquardt, run on until it stands still."""
    poses = []
    for v, p in zip(verts, points, strict=True):
        _, turn, shift = cv2.solvePnP(v, p, CAMERA, None, flags=cv2.SOLVEPNP_ITERATIVE)
        stop = cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 100, 1e-14
        turn, shift = cv2.solvePnPRefineLM(v, p, CAMERA, None, turn, shift, stop)
        pose = np.eye(4)
        pose[:3, :3], pose[3, :3] = (FLIP @ cv2.Rodrigues(turn)[0]).T, FLIP @ shift[:, 0]
        poses.append(pose)
    return np.array(poses)


def cost(verts, points, R_t, weights=1.0):
    return (np.square(seen(verts, R_t) - points).sum(axis=2) * weights).sum(axis=1)


@pytest.mark.parametrize("size", [6, 68, 1220])
def test_clean_points_give_their_pose(size):
    verts, points, R_t = some_faces(24, size)
    # float64 rounding of pixels near 1000 at 600 pixels of focal length, over the baseline of six points
    np.testing.assert_allclose(solved(verts, points), R_t, atol=1e-11)


@pytest.mark.parametrize(("size", "noise"), [(1220, 1), (1220, 5), (68, 1), (68, 3)])
def test_noisy_points_give_the_minimum_of_opencv(size, noise):
    verts, points, _ = some_faces(16, size, noise)
    R_t, expected = solved(verts, points), opencv(verts, points)
    np.testing.assert_allclose(R_t, expected, atol=1e-6)  # wanted: a microradian, a micrometre
    np.testing.assert_allclose(cost(verts, points, R_t), cost(verts, points, expected), rtol=1e-9)
    # rigid, to float64 rounding
    np.testing.assert_allclose(R_t[:, :3, :3] @ R_t[:, :3, :3].mT, np.broadcast_to(np.eye(3), (16, 3, 3)), atol=1e-12)
    assert (np.linalg.det(R_t[:, :3, :3]) > 0).all()
