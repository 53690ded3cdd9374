import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from util.camera import WCPA_PROJECTION, project, screen_vertices, transform


def some_scene():
    random = np.random.default_rng(1)
    verts = random.normal(0, 0.05, (50, 3))
    R_t = np.eye(4)
    R_t[:3, :3] = Rotation.from_euler("yxz", [0.4, -0.3, 0.1]).as_matrix().T
    R_t[3, :3] = 0.03, -0.02, -0.5
    return verts, R_t


def test_projection_is_the_chain_of_matrices_of_the_challenge():
    verts, R_t = some_scene()
    width, height = 800, 600
    M1 = np.array([[width / 2, 0, 0, 0], [0, height / 2, 0, 0], [0, 0, 1, 0], [width / 2, height / 2, 0, 1]])
    p = np.concatenate([verts, np.ones((50, 1))], axis=1) @ R_t @ WCPA_PROJECTION @ M1
    expected = np.stack([p[:, 0] / p[:, 3], height - p[:, 1] / p[:, 3]], axis=1)
    image, distance = project(transform(verts, R_t), WCPA_PROJECTION, width, height)
    # float64 rounding of numbers near 1000
    np.testing.assert_allclose(image, expected, atol=1e-10)
    np.testing.assert_allclose(distance, p[:, 3], atol=1e-12)


def test_projection_is_an_opencv_camera_with_y_and_z_negated():
    verts, R_t = some_scene()
    camera = np.array([[629.774804, 0, 400], [0, 629.774804, 400], [0, 0, 1]])
    opencv_points = transform(verts, R_t) * [1, -1, -1]
    expected, _ = cv2.projectPoints(opencv_points, np.zeros(3), np.zeros(3), camera, None)
    image, _ = project(transform(verts, R_t), WCPA_PROJECTION, 800, 800)
    # the focal length is given with nine digits: 1e-9 * 400 px
    np.testing.assert_allclose(image, expected[:, 0], atol=1e-6)


def test_tensors_project_like_arrays():
    verts, R_t = some_scene()
    expected, distance = project(transform(verts, R_t), WCPA_PROJECTION, 800, 800)
    camera = transform(torch.from_numpy(verts)[None], torch.from_numpy(R_t)[None])
    image, tensor_distance = project(camera, torch.from_numpy(WCPA_PROJECTION), 800, 800)
    np.testing.assert_allclose(image[0].numpy(), expected, atol=1e-10)  # float64 rounding
    np.testing.assert_allclose(tensor_distance[0].numpy(), distance, atol=1e-12)


def test_a_point_on_the_axis_is_between_the_middle_pixels_and_nearer_is_larger():
    points = np.array([[0.0, 0.0, -0.5], [0.0, 0.0, -0.4]])
    screen = screen_vertices(points, WCPA_PROJECTION, 800, 800)
    np.testing.assert_array_equal(screen[:, :2], 399.5)
    np.testing.assert_allclose(screen[:, 2], [-0.5, -0.4], rtol=1e-6)  # float32
