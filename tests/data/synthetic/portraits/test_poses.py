"""Poses beyond the challenge's: their range, and what is in the picture."""

import numpy as np
import pytest

from data.synthetic.portraits.poses import FAR, LARGEST, NEAR, draw_gaze, draw_pose, extent
from data.synthetic.shape import procedural_face
from util.camera import project, transform
from util.pose import check_pose, pose_from_6dof, pose_to_6dof
from util.views import camera_from_fov

DRAWS = 300


@pytest.mark.parametrize("fov", [40, 64.84, 90])
def test_faces_are_in_the_picture_and_turn_all_the_way(fov):
    topology, projection = procedural_face().topology, camera_from_fov(fov, 100, 100).projection
    verts, middle = topology.template, (topology.template.min(axis=0) + topology.template.max(axis=0)) / 2
    rng = np.random.default_rng(0)
    six, distances, places = [], [], []
    for _ in range(DRAWS):
        R_t = draw_pose(rng, verts, projection)
        check_pose("R_t", R_t)
        points, distance = project(transform(verts, R_t), projection, 100, 100)
        assert distance.min() > 0.05
        assert points.min() >= 0
        assert points.max() <= 100
        assert extent(verts, R_t, projection).max() <= 2 * 0.97 + 1e-6
        six.append(pose_to_6dof(R_t))
        distances.append(-transform(middle[None], R_t)[0, 2])
        places.append(project(transform(middle[None], R_t), projection, 2, 2)[0][0] - 1)
    pitch, yaw, roll = np.degrees(np.array(six)[:, :3].T)
    assert np.abs(yaw).max() <= 80.001
    assert yaw.max() > 65
    assert yaw.min() < -65
    assert 25 < np.std(yaw) < 45  # a beta distribution of 1.6 over 160 degrees: 39
    assert np.abs(pitch).max() <= 45.001
    assert np.abs(roll).max() <= 50.001
    distances = np.array(distances)
    assert distances.min() >= NEAR - 1e-9
    # the nearest that a face 0.24 metres tall fits into the picture, by the share that it may fill and its depth
    fits = verts[:, 2].max() - middle[2] + np.ptp(verts, axis=0).max() / 2 / (LARGEST * np.tan(np.radians(fov / 2)))
    assert distances.max() <= max(FAR, 1.3 * fits)
    assert distances.max() > 0.9 * FAR
    assert distances.min() < max(1.15 * NEAR, 1.15 * fits)
    assert np.abs(np.mean(places, axis=0)).max() < 0.12  # neither side is favoured: five standard errors
    assert np.ptp(places, axis=0).min() > 0.8


def test_distances_are_even_in_their_logarithm():
    """Where everything fits: a small face."""
    verts, projection = 0.05 * procedural_face().topology.template, camera_from_fov(90, 100, 100).projection
    rng = np.random.default_rng(2)
    logs = [np.log(-draw_pose(rng, verts, projection)[3, 2]) for _ in range(DRAWS)]
    shares = np.histogram(logs, 3, (np.log(NEAR) - 0.02, np.log(FAR) + 0.02))[0] / DRAWS
    assert np.abs(shares - 1 / 3).max() < 0.11  # four standard errors


def test_another_generator_another_pose():
    verts, projection = procedural_face().topology.template, camera_from_fov(60, 100, 100).projection
    one, again, other = (draw_pose(np.random.default_rng(seed), verts, projection) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize(("pitch", "yaw"), [(0.0, 0.5), (0.0, -0.4), (0.3, 0.0), (-0.3, 0.2), (0.25, -0.45)])
def test_most_eyes_turn_to_the_camera(pitch, yaw):
    R_t = pose_from_6dof(np.array([pitch, yaw, 0.1, 0.0, 0.0, -0.6]))
    rng = np.random.default_rng(1)

    def off_camera(left, up):
        """Radians between where the eyes look and the camera, which is ahead of the head."""
        looks = [np.sin(left), np.cos(left) * np.sin(up), np.cos(left) * np.cos(up)] @ R_t[:3, :3]
        return np.arccos(np.clip(looks[2], -1, 1))

    angles = np.array([off_camera(*draw_gaze(rng, R_t)) for _ in range(400)])
    straight = off_camera(0.0, 0.0)
    assert angles.mean() < 0.8 * straight
    # Half of them look there, but for a stray of 0.12 and 0.08 radians.
    assert np.median(angles) < max(0.65 * straight, 0.2)
    assert np.quantile(angles, 0.25) < 0.17


def test_eyes_turn_only_so_far():
    rng = np.random.default_rng(3)
    for yaw in (-1.4, 1.4):
        R_t = pose_from_6dof(np.array([0.7, yaw, 0.0, 0.0, 0.0, -0.6]))
        gazes = np.array([draw_gaze(rng, R_t) for _ in range(100)])
        assert np.abs(gazes[:, 0]).max() <= 0.55
        assert gazes[:, 1].min() >= -0.4
        assert gazes[:, 1].max() <= 0.35
        assert np.mean(np.sign(gazes[:, 0]) == -np.sign(yaw)) > 0.7
