import cv2
import numpy as np
import pytest

from util.camera import WCPA_PROJECTION, project, transform
from util.mesh import Topology
from util.pictures import (
    color_map,
    draw_box,
    draw_landmarks,
    draw_scale,
    error_map,
    label,
    mosaic,
    overlay_mesh,
    save_picture,
)
from util.pose import pose_from_6dof

# A square of 0.1 m that faces the camera.
VERTS = np.float32([[-0.05, -0.05, 0], [0.05, -0.05, 0], [0.05, 0.05, 0], [-0.05, 0.05, 0]])
TRIANGLES = np.int32([[0, 1, 2], [0, 2, 3]])


def test_overlay_covers_the_projected_mesh_and_nothing_else():
    image = np.full((100, 100, 3), 60, np.uint8)
    before = image.copy()
    R_t = pose_from_6dof(np.array([0, 0, 0, 0.02, 0.03, -0.4]))
    picture = overlay_mesh(image, VERTS, R_t, TRIANGLES, WCPA_PROJECTION)
    np.testing.assert_array_equal(image, before)
    points, _ = project(transform(VERTS, R_t), WCPA_PROJECTION, 100, 100)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    # a pixel is covered where its centre is
    centres = np.arange(100) + 0.5
    inside = np.outer((centres > top) & (centres < bottom), (centres > left) & (centres < right))
    np.testing.assert_array_equal((picture != image).any(axis=2), inside)
    # it faces the light: brighter than the photo
    assert picture[inside].min() > 60


def test_landmarks_are_drawn_where_they_are():
    points = np.full((68, 2), -50.0)
    points[60:] = 20.5, 30.5  # the centre of column 20, row 30
    rows, columns = np.nonzero(draw_landmarks(np.zeros((64, 64, 3), np.uint8), points).any(axis=2))
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 20), abs=0.5)  # OpenCV's small discs are uneven


def test_landmarks_far_outside_are_no_error():
    draw_landmarks(np.zeros((64, 64, 3), np.uint8), np.full((68, 2), 1e12))


def test_mosaic_fills_rows_and_leaves_the_rest_black():
    images = [np.full((40, 40, 3), 10 * (i + 1), np.uint8) for i in range(3)]
    picture = mosaic(images, columns=2, tile=10)
    assert picture.shape == (20, 20, 3)
    assert [int(picture[r, c, 0]) for r, c in ((0, 0), (0, 10), (10, 0), (10, 10))] == [10, 20, 30, 0]


def test_box_and_label_leave_the_image_alone():
    image = np.zeros((64, 64, 3), np.uint8)
    assert draw_box(image, np.array([10.0, 12, 30, 40]))[12, 20].any()
    assert label(image, "text").any()
    assert not image.any()


def test_error_map_colours_by_error():
    keypoints, mirror = np.zeros(68, np.int64), np.array([1, 0, 3, 2])
    topology = Topology(VERTS, TRIANGLES, keypoints, mirror)
    low, high = (error_map(np.full(4, value), topology, highest=8.0)[256, 240].astype(int) for value in (0.5, 7.5))
    assert low[2] > low[0]  # blue
    assert high[0] > high[2]  # red


def test_color_map_is_turbo():
    expected = cv2.applyColorMap(np.uint8([[0, 127, 255]]), cv2.COLORMAP_TURBO)[0, :, ::-1] / 255
    np.testing.assert_array_equal(color_map(np.array([-1.0, 1.0, 3.0]), 2.0), expected)


def test_scale_goes_from_the_highest_to_the_lowest():
    picture = np.zeros((256, 400, 3), np.uint8)
    draw_scale(picture, ["9", "5", "1"])
    ramp = picture[20:236, 400 - 13 - 4]
    expected = 255 * color_map(np.linspace(1, 0, 216), 1.0)
    np.testing.assert_array_equal(ramp, np.rint(expected))
    texts = picture[:, : 400 - 13 - 8].any(axis=(1, 2))
    assert all(texts[row - 5 : row + 5].any() for row in (20, 128, 236))
    assert not texts[40:110].any()


def test_pictures_of_one_and_three_channels_come_back(tmp_path):
    random = np.random.default_rng(0)
    for image in (
        random.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        random.integers(0, 65536, (5, 7), dtype=np.uint16),
        random.integers(0, 256, (5, 7), dtype=np.uint8),
    ):
        save_picture(tmp_path / "a.png", image)
        back = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(back[..., ::-1] if image.ndim == 3 else back, image)


def test_a_picture_that_a_file_cannot_hold_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"a.jpg: wanted a picture that such a file can hold, got 65501x1"):
        save_picture(tmp_path / "a.jpg", np.zeros((1, 65501, 3), np.uint8))
    assert not list(tmp_path.iterdir())
