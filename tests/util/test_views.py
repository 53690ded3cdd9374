import cv2
import numpy as np
import pytest

from util.camera import project, transform
from util.pose import pose_from_6dof
from util.views import (
    PhotoCamera,
    camera_from_35mm,
    camera_from_fov,
    middle_and_side,
    refine_pose,
    training_view,
    turn_between,
)

SIX_MEAN, SIX_STD = np.array([0.0, 0, 0, 0, 0, -0.53]), np.array([0.3, 0.3, 0.1, 0.02, 0.05, 0.065])
# a face of 68 points, 14 by 16 cm and 6 deep
LANDMARKS = np.random.default_rng(0).uniform([-0.07, -0.08, 0], [0.07, 0.08, 0.06], (68, 3))


def training(width=800, focal=629.775):
    camera = PhotoCamera(focal, width, width)
    return training_view(camera.projection, (width, width), SIX_MEAN, SIX_STD, LANDMARKS)


def seen(camera, points):
    return project(points, camera.projection, camera.width, camera.height)[0]


def test_cameras_from_fields_of_view():
    assert camera_from_fov(90, 400, 300).focal == pytest.approx(200)  # half of the longer side, over tan 45 degrees
    assert camera_from_fov(90, 300, 400).focal == pytest.approx(200)
    assert camera_from_fov(52.5, 400, 300).fov == pytest.approx(52.5)
    # on 36 x 24 mm, 43.267 mm is the diagonal: a focal length of as many pixels as the picture's own, 500
    assert camera_from_35mm(43.267, 400, 300).focal == pytest.approx(500)
    with pytest.raises(ValueError, match=r"wanted 1\.\.170 degrees, got 180"):
        camera_from_fov(180, 4, 3)


def test_projection_and_matrix_are_one_camera():
    camera = camera_from_fov(50, 640, 480)
    points = np.random.default_rng(1).uniform([-0.3, -0.3, -2], [0.3, 0.3, -0.5], (20, 3))
    opencv = cv2.projectPoints(points * [1, -1, -1], np.zeros(3), np.zeros(3), camera.matrix, None)[0][:, 0]
    np.testing.assert_allclose(seen(camera, points), opencv, atol=1e-6)  # matrices with nine digits


@pytest.mark.parametrize("place", [(320, 240), (40, 60), (600, 30)])
@pytest.mark.parametrize("side", [20, 60, 200])
def test_a_view_is_what_the_turned_and_zoomed_camera_sees(place, side):
    camera = camera_from_fov(50, 640, 480)
    points68 = (LANDMARKS[:, :2] * [1, -1] / 0.15) * side + place
    view = training().look_at(camera, points68)
    points = np.random.default_rng(2).uniform([-0.1, -0.1, -1.2], [0.1, 0.1, -0.8], (20, 3))
    np.testing.assert_allclose(view.points(seen(camera, points)), seen(view.camera, points @ view.rotation), atol=1e-6)


def test_usual_faces_are_seen_without_turn_and_zoom():
    view = training().look_at(PhotoCamera(629.775, 800, 800), training().mean_points + [30, -20])
    assert view.zoom == 1
    np.testing.assert_array_equal(view.rotation, np.eye(3))
    np.testing.assert_allclose(view.homography, np.eye(3), atol=1e-12)


def test_far_faces_come_near_and_into_the_middle():
    face = training().mean_points / 8 + [10, 500]
    view = training().look_at(PhotoCamera(629.775, 800, 800), face)
    middle, side = middle_and_side(view.points(face))
    wanted, wanted_side = middle_and_side(training().mean_points)
    # the turn stretches what is far from the axis: 20 % at most at 32 degrees
    np.testing.assert_allclose(middle, wanted, atol=0.1 * wanted_side)
    assert side == pytest.approx(wanted_side, rel=0.01)
    assert view.zoom > 4


def test_the_smallest_turn():
    camera = camera_from_fov(60, 400, 400)
    rotation = turn_between(camera, np.array([350.0, 80]), np.array([200.0, 200]))
    ray = np.array([[350 - 200, -(80 - 200), -camera.focal]])
    turned = ray @ rotation
    np.testing.assert_allclose(turned, [[0, 0, -np.linalg.norm(ray)]], atol=1e-9)
    angle = np.arccos(camera.focal / np.linalg.norm(ray))
    assert np.trace(rotation) == pytest.approx(1 + 2 * np.cos(angle))
    np.testing.assert_array_equal(turn_between(camera, np.ones(2), np.ones(2)), np.eye(3))


def test_drawing_the_same_camera_changes_nothing():
    photo = np.random.default_rng(3).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    own = training(60, 47.0)
    np.testing.assert_array_equal(own.plain(PhotoCamera(47.0, 60, 60)).draw(photo), photo)


def test_drawing_averages_what_is_finer():
    """A photo of three times the pixels, of the same field of view: each pixel is the mean of nine."""
    photo = np.random.default_rng(4).integers(0, 256, (180, 180, 3), dtype=np.uint8)
    drawn = training(60, 47.0).plain(PhotoCamera(141.0, 180, 180)).draw(photo)
    wanted = photo.reshape(60, 3, 60, 3, 3).mean(axis=(1, 3))
    assert np.abs(drawn - wanted).max() <= 0.5 + 1e-6  # rounding to levels


def test_drawing_is_black_where_the_photo_ends():
    photo = np.full((30, 60, 3), 200, np.uint8)
    drawn = training(60, 47.0).plain(PhotoCamera(47.0, 60, 30)).draw(photo)
    assert (drawn[16:44] == 200).all()
    assert (drawn[:14] == 0).all()
    assert (drawn[46:] == 0).all()


def test_a_narrow_photo_of_a_far_view_is_drawn():
    """Where the view's corners would lie behind the photo's camera."""
    photo = np.full((100, 2000, 3), 90, np.uint8)
    camera = camera_from_fov(140, 2000, 100)
    points = np.random.default_rng(5).uniform([1960, 10], [1995, 60], (68, 2))
    view = training(60, 47.0).look_at(camera, points)
    drawn = view.draw(photo)
    inside = np.rint(view.points(points) - 0.5).astype(int)
    assert (drawn[inside[:, 1], inside[:, 0]] == 90).mean() > 0.95  # some lie on the edge


def test_poses_are_refined_to_the_true_one():
    camera, true = camera_from_fov(30, 500, 400), pose_from_6dof([0.2, -0.4, 0.1, 0.05, -0.03, -1.1])
    points = seen(camera, transform(LANDMARKS, true))
    start = pose_from_6dof([0.1, -0.3, 0.0, 0.0, 0.0, -0.9])
    np.testing.assert_allclose(refine_pose(LANDMARKS, points, camera, start), true, atol=1e-6)
    behind = pose_from_6dof([0, 0, 0, 0, 0, 0.5])
    assert refine_pose(LANDMARKS, points, camera, behind) is behind


def test_the_pose_of_a_view_is_that_before_the_photo():
    """A model that knows only its own camera reads a zoomed view as a near face; its image points are kept."""
    camera, true = camera_from_fov(50, 1000, 800), pose_from_6dof([0.1, 0.2, 0.0, 0.4, 0.2, -3.0])
    points = seen(camera, transform(LANDMARKS, true))
    own = training()
    view = own.look_at(camera, points)
    assert view.zoom > 2
    start = pose_from_6dof([0.1, 0.1, 0, 0, 0, -0.53])
    read = refine_pose(LANDMARKS, view.points(points), own.camera, start)
    pose = view.photo_pose(LANDMARKS, read)
    # The near face is more foreshortened than the far one was, which no pose makes up for: 2 % of the distance.
    np.testing.assert_allclose(pose[3, :3], true[3, :3], atol=0.06)
    assert np.abs(seen(camera, transform(LANDMARKS, pose)) - points).max() < 2.0


def test_oblong_pixels_are_told():
    projection = PhotoCamera(600.0, 800, 800).projection
    projection[1, 1] *= 1.1
    with pytest.raises(ValueError, match="wanted one focal length"):
        training_view(projection, (800, 800), SIX_MEAN, SIX_STD, LANDMARKS)
