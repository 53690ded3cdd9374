import numpy as np
import pytest

from data.augmentation import jitter_box, jitter_light, mirror_record
from data.wcpa import SampleId
from data.windows import WINDOWS, face_box
from util.camera import WCPA_PROJECTION, project, transform

LANDMARKS = np.float32([[300, 350], [500, 420]] * 34)


def test_face_box_by_hand():
    # a box of 200 x 70 around (400, 385)
    np.testing.assert_allclose(face_box(LANDMARKS), [400 - 150, 385 - 170, 400 + 150, 385 + 130])


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_affine_says_where_image_points_are_in_the_window(name):
    """A smooth bump painted at an image point has its centre of light at the affine's window point."""
    box, size = face_box(LANDMARKS), 256
    rows, columns = np.mgrid[:800, :800] + 0.5
    for x, y in ((360.0, 320.0), (470.3, 410.7)):
        bump = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 12**2))
        image = np.repeat(bump[..., None], 3, axis=2).astype(np.uint8)
        window = WINDOWS[name](image, box, size)
        assert (window.image.shape, window.image.dtype) == ((size, size, 3), np.uint8)
        assert (window.affine.shape, window.affine.dtype) == ((2, 3), np.float32)
        light = window.image[..., 0].astype(float)
        grid = np.mgrid[:size, :size] + 0.5
        found = (grid * light).sum(axis=(1, 2)) / light.sum()
        expected = window.affine @ [x, y, 1]
        # levels are cut to whole numbers in image and window: some hundredths of a pixel
        np.testing.assert_allclose(found[::-1], expected, atol=0.05)


def test_local_window_maps_box_corners_to_outermost_pixel_centres():
    box = face_box(LANDMARKS)
    affine = WINDOWS["local"](np.zeros((800, 800, 3), np.uint8), box, 256).affine
    # OpenCV's coordinates are half a pixel smaller than those from the corner
    np.testing.assert_allclose(affine @ [box[0] + 0.5, box[1] + 0.5, 1], [0.5, 0.5], atol=1e-3)  # float32
    np.testing.assert_allclose(affine @ [box[2] + 0.5, box[3] + 0.5, 1], [255.5, 255.5], atol=1e-3)


def test_global_window_is_black_outside_the_box():
    image = np.full((256, 256, 3), 200, np.uint8)
    window = WINDOWS["global"](image, np.array([-10.0, 20.9, 100.2, 300.0]), 256).image
    expected = np.zeros_like(image)
    expected[20:256, 0:100] = 200
    np.testing.assert_array_equal(window, expected)
    assert not WINDOWS["global"](image, np.array([300.0, 20, 400, 50]), 256).image.any()


def test_mirrored_labels_fit_the_mirrored_picture(wcpa_root):
    topology = wcpa_root.topology()
    record = wcpa_root.read(SampleId("000101", "01_Neutral", "042"), topology.num_vertices, labelled=True)
    mirrored = mirror_record(record, topology.mirror)
    np.testing.assert_array_equal(mirrored.image, record.image[:, ::-1])
    points, _ = project(transform(record.verts, record.R_t), WCPA_PROJECTION, 96, 96)
    mirrored_points, _ = project(transform(mirrored.verts, mirrored.R_t), WCPA_PROJECTION, 96, 96)
    expected = points[topology.mirror] * [-1, 1] + [96, 0]
    np.testing.assert_allclose(mirrored_points, expected, atol=1e-4)  # float32 labels
    assert np.linalg.det(mirrored.R_t[:3, :3]) == pytest.approx(1, abs=1e-5)
    again = mirror_record(mirrored, topology.mirror)
    np.testing.assert_array_equal(again.landmarks, record.landmarks)
    np.testing.assert_array_equal(again.verts, record.verts)


def test_light_jitter_by_hand():
    image = np.full((16, 16, 3), 100, np.uint8)

    class Fixed:
        def uniform(self, low, high):
            return high

    # the mean level is 100: contrast does not move it, brightness adds 0.1 * 255
    assert (jitter_light(image, Fixed(), brightness=0.1, contrast=0.5) == 126).all()
    assert (jitter_light(image, Fixed(), brightness=1.0, contrast=0.0) == 255).all()


def test_box_jitter_stays_within_its_bounds():
    random, box = np.random.default_rng(0), np.array([100.0, 200, 300, 400])
    boxes = np.array([jitter_box(box, random, shift=0.1, scale=0.2) for _ in range(500)])
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    assert np.allclose(sides[:, 0], sides[:, 1])
    assert sides.min() >= 160
    assert sides.max() <= 240
    assert np.abs(centres - [200, 300]).max() <= 20
    assert np.abs(centres - [200, 300]).max() > 15
