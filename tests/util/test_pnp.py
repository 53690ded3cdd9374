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


def test_any_camera_with_square_or_other_pixels_and_its_centre_anywhere():
    verts, _, R_t = some_faces(8, 100)
    projection = np.array([[2.0, 0, 0, 0], [0.1, 1.5, 0, 0], [0.2, -0.3, -1, -1], [0, 0, -0.001, 0]])
    points = project(transform(verts, R_t), projection, 640, 480)[0]
    # float64 rounding, as above
    np.testing.assert_allclose(solved(verts, points, None, projection, (640, 480)), R_t, atol=1e-11)


def test_faces_turned_any_way_and_with_an_origin_far_off():
    verts, _, R_t = some_faces(64, 68)
    R_t[:, :3, :3] = Rotation.random(64, rng=np.random.default_rng(3)).as_matrix()
    points = seen(verts, R_t)
    np.testing.assert_allclose(solved(verts, points), R_t, atol=1e-11)
    # rounding of coordinates of a metre instead of a tenth
    origin = np.array([1.0, -2.0, 3.0])
    moved = R_t.copy()
    moved[:, 3, :3] -= origin @ R_t[:, :3, :3]
    np.testing.assert_allclose(solved(verts + origin, points), moved, atol=1e-10)


def test_weights_of_zero_leave_points_out():
    verts, points, _ = some_faces(8, 68, noise=2)
    weights = np.ones((8, 68))
    weights[:, 40:] = 0
    verts[:, 50:], points[:, 60:] = np.nan, np.inf
    verts[:, 45] = 0, 0, 5  # behind the camera
    few = solved(verts[:, :40], points[:, :40])
    np.testing.assert_allclose(solved(verts, points, weights), few, atol=1e-9)  # what iterations leave


def test_weights_give_the_minimum_of_scipy_however_they_are_scaled():
    verts, points, _ = some_faces(4, 68, noise=2)
    random = np.random.default_rng(5)
    weights = random.uniform(0.1, 2, (4, 68))
    points[:, ::10] += random.normal(0, 100, points[:, ::10].shape)
    weights[:, ::10] = 1e-3
    R_t = solved(verts, points, weights)
    np.testing.assert_allclose(solved(verts, points, 1e6 * weights), R_t, atol=1e-9)  # what iterations leave
    for i in range(4):

        def residuals(x, i=i):
            pose = np.eye(4)
            pose[:3, :3], pose[3, :3] = Rotation.from_rotvec(x[:3]).as_matrix(), x[3:]
            return ((seen(verts[i], pose) - points[i]) * np.sqrt(weights[i])[:, None]).ravel()

        start = [*Rotation.from_matrix(R_t[i, :3, :3]).as_rotvec() + 0.02, *R_t[i, 3, :3] + 0.01]
        best = least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
        # 1e-6: scipy's own derivatives are by differences
        np.testing.assert_allclose(Rotation.from_rotvec(best[:3]).as_matrix(), R_t[i, :3, :3], atol=1e-6)
        np.testing.assert_allclose(best[3:], R_t[i, 3, :3], atol=1e-6)


def test_outliers_of_low_weight_do_little():
    verts, points, R_t = some_faces(16)
    random = np.random.default_rng(6)
    weights = np.ones((16, 1220))
    points[:, ::5] += random.normal(0, 200, points[:, ::5].shape)
    weights[:, ::5] = 1e-6
    # a pull of some 200 px * 1e-6 on a fifth of all points, of 600 px of focal length, less by averaging
    np.testing.assert_allclose(solved(verts, points, weights), R_t, atol=1e-6)


@pytest.mark.parametrize("noise", [0, 3, 30])
def test_derivatives_are_those_of_finite_differences(noise):
    verts, points, _ = some_faces(2, 12, noise)
    weights = np.random.default_rng(7).uniform(0.5, 2, (2, 12))
    inputs = [torch.tensor(array, requires_grad=True) for array in (verts, points, weights)]
    projection = torch.tensor(WCPA_PROJECTION)

    def pose(verts, points, weights):
        return solve_pnp(verts, points, projection, SIZE, SIZE, weights)

    # Central differences with steps of 1e-6: what iterations leave, squared by the last step, over 2e-6, and
    # the third derivative by metres, some 1e3 times 1e-12; derivatives are up to about 20.
    assert torch.autograd.gradcheck(pose, inputs, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_points_left_out_get_no_gradient_and_the_others_finite_ones():
    verts, points, _ = some_faces(2, 68, noise=2)
    weights = np.ones((2, 68))
    weights[:, 30:], verts[:, 40:] = 0, np.nan
    inputs = [torch.tensor(array, requires_grad=True) for array in (verts, points, weights)]
    R_t = solve_pnp(*inputs[:2], torch.tensor(WCPA_PROJECTION), SIZE, SIZE, inputs[2])
    R_t.square().sum().backward()
    for tensor in inputs:
        assert torch.isfinite(tensor.grad).all()
        assert (tensor.grad[:, 30:] == 0).all()
        assert (tensor.grad[:, :30] != 0).any()


def test_float32_stays_float32():
    verts, points, R_t = some_faces(4)
    R_t_solved = solved(np.float32(verts), np.float32(points))
    assert R_t_solved.dtype == np.float32
    # pixels near 500 are rounded to 3e-5, of 600 px of focal length: 5e-8, and the pose to 6e-8
    np.testing.assert_allclose(R_t_solved, R_t, atol=2e-7)


def test_every_block_of_images_and_none(monkeypatch):
    verts, points, R_t = some_faces(15, 20)
    monkeypatch.setattr("util.pnp.BLOCK", 85)  # blocks of four images
    np.testing.assert_allclose(solved(verts, points), R_t, atol=1e-11)
    assert solved(verts[:0], points[:0]).shape == (0, 4, 4)


def test_points_that_no_face_has_leave_a_finite_pose_in_front():
    verts, points, R_t = some_faces(32, 68)
    behind = R_t.copy()
    behind[:, 3, 2] *= -1
    points[:16] = seen(verts[:16], behind[:16])  # upside down
    points[16:] = np.random.default_rng(8).uniform(0, SIZE, points[16:].shape)
    R_t = solved(verts, points)
    assert np.isfinite(R_t).all()
    assert (transform(verts, R_t)[:, :, 2] < 0).all()
    np.testing.assert_allclose(np.linalg.det(R_t[:, :3, :3]), 1, atol=1e-9)  # float64 rounding of products of turns


def broken(**changes):
    verts, points, _ = some_faces(2, 8)
    arrays = {"verts": verts, "points": points, "projection": WCPA_PROJECTION.copy(), "weights": np.ones((2, 8))}
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    return {name: torch.tensor(array) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verts": lambda a: a[0]}, "verts: wanted shape"),
        ({"points": lambda a: a[:, :7]}, r"points: wanted shape \(2, 8, 2\), got \(2, 7, 2\)"),
        ({"weights": lambda a: a[0]}, "weights: wanted shape"),
        ({"projection": np.transpose}, "projection: wanted a last column"),
        ({"verts": lambda a: np.where(a == a[1, 3, 0], np.nan, a)}, "verts, points: wanted finite"),
        ({"points": lambda a: np.where(a == a[0, 3, 0], np.inf, a)}, "verts, points: wanted finite"),
        (
            {"weights": lambda a: a * [1, 1, 1, 1, 1, 0, 0, 0]},
            "weights: wanted at least 6 above 0 in each image, got 5",
        ),
        ({"weights": lambda a: a - 2}, "weights: wanted finite numbers of at least 0"),
        ({"verts": lambda a: a * [1, 1, 0]}, "plane"),
        (
            {name: lambda a: a[:, :5] for name in ("verts", "points", "weights")},
            "verts: wanted at least 6 points, got 5",
        ),
    ],
)
def test_bad_input_is_told(changes, message):
    with pytest.raises(InputError, match=message):
        solve_pnp(width=SIZE, height=SIZE, **broken(**changes))
