import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from util.pose import (
    check_pose,
    nearest_rotation,
    pose_from_6dof,
    pose_from_6dof_tensor,
    pose_to_6dof,
    pose_to_6dof_tensor,
)


@pytest.fixture
def sixes():
    return np.random.default_rng(0).normal(0, 0.5, (40, 6))


def test_angles_are_those_of_the_challenge(sixes):
    for six, R_t in zip(sixes, pose_from_6dof(sixes), strict=True):
        yaw, pitch, roll = Rotation.from_matrix(R_t[:3, :3].T).as_euler("yxz")
        np.testing.assert_allclose([pitch, yaw, roll], six[:3], atol=1e-12)
        np.testing.assert_array_equal(R_t[3], [*six[3:], 1])


def test_yaw_to_its_left_moves_the_nose_to_the_right_of_the_image():
    nose = np.array([0.0, 0.0, 0.1])
    R_t = pose_from_6dof(np.array([0, 0.5, 0, 0, 0, -1.0]))
    np.testing.assert_allclose(nose @ R_t[:3, :3], [0.1 * np.sin(0.5), 0, 0.1 * np.cos(0.5)], atol=1e-15)


def test_there_and_back(sixes):
    np.testing.assert_allclose(pose_to_6dof(pose_from_6dof(sixes)), sixes, atol=1e-12)
    assert pose_to_6dof(pose_from_6dof(sixes[0])).shape == (6,)


def test_tensor_twins_agree_and_differentiate(sixes):
    tensor = torch.from_numpy(sixes)
    np.testing.assert_allclose(pose_from_6dof_tensor(tensor).numpy(), pose_from_6dof(sixes), atol=1e-12)
    np.testing.assert_allclose(pose_to_6dof_tensor(pose_from_6dof_tensor(tensor)).numpy(), sixes, atol=1e-12)
    assert torch.autograd.gradcheck(pose_from_6dof_tensor, tensor[:3].clone().requires_grad_())


def test_no_rotation_is_nearer_than_the_nearest():
    """Nor one a little away from it; half of the matrices are nearer to a mirror image."""
    random = np.random.default_rng(0)
    matrices = random.normal(size=(200, 3, 3))
    matrices[:100, :, 0] *= np.sign(np.linalg.det(matrices[:100]))[:, None]
    matrices[100:, :, 0] *= -np.sign(np.linalg.det(matrices[100:]))[:, None]
    nearest = nearest_rotation(torch.from_numpy(matrices)).numpy()
    np.testing.assert_allclose(nearest @ nearest.transpose(0, 2, 1), np.eye(3)[None].repeat(200, 0), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(nearest), 1, atol=1e-12)
    distance = ((matrices - nearest) ** 2).sum(axis=(1, 2))
    for size in (0.01, 3.0):
        others = Rotation.from_rotvec(random.normal(0, size, (200, 3))).as_matrix() @ nearest
        assert (((matrices - others) ** 2).sum(axis=(1, 2)) >= distance).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda R_t: R_t[:3], "shape"),
        (lambda R_t: R_t.T, "last column"),
        (lambda R_t: R_t * np.array([[1.01], [1], [1], [1]]), "rotation"),
        (lambda R_t: R_t * np.array([[-1], [1], [1], [1]]), "rotation"),
        (lambda R_t: R_t * np.array([[1], [1], [1], [-1]]) + np.diag([0, 0, 0, 2]), "tz < 0"),
        (lambda R_t: R_t * np.nan, "finite"),
    ],
)
def test_wrong_poses_are_told(change, message):
    good = pose_from_6dof(np.array([0.1, 0.2, 0.3, 0, 0, -0.5]))
    check_pose("R_t", good)
    with pytest.raises(ValueError, match=message):
        check_pose("R_t", change(good))
