"""Deep3D's aligned crop against a twin that resizes the whole photo, as the published code does."""

import numpy as np
import pytest
from PIL import Image

from util.crops import ALIGNED_SIZE, FIVE_POINTS, aligned_camera, aligned_crop
from util.errors import InputError

RANDOM = np.random.default_rng(0)
PHOTO = np.repeat(np.repeat(RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8), 5, 0), 5, 1)  # 300 high, 400 wide


def points_at(x, y, pixels):
    """The mean face from the front, a little turned, so many pixels a decimetre."""
    turn = np.array([[np.cos(0.2), np.sin(0.2)], [-np.sin(0.2), np.cos(0.2)]])
    return (FIVE_POINTS[:, :2] @ turn) * [pixels, -pixels] + [x, y]


def twin(photo, points):
    """The published steps, y up, with eight unknowns in one system; the whole photo is resized, and cut by Pillow."""
    height, width = photo.shape[:2]
    up = np.column_stack([points[:, 0], height - 1 - points[:, 1]])
    system, known = np.zeros((10, 8)), up.ravel()
    system[0::2, :3], system[0::2, 3], system[1::2, 4:7], system[1::2, 7] = FIVE_POINTS, 1, FIVE_POINTS, 1
    found = np.linalg.lstsq(system, known, rcond=None)[0]
    scale = 102 / ((np.linalg.norm(found[:3]) + np.linalg.norm(found[4:7])) / 2)
    wide, high = int(width * scale), int(height * scale)
    left = int(wide / 2 - 112 + (found[3] - width / 2) * scale)
    top = int(high / 2 - 112 + (height / 2 - found[7]) * scale)
    whole = Image.fromarray(photo).resize((wide, high), Image.Resampling.BICUBIC)
    return np.asarray(whole.crop((left, top, left + 224, top + 224)))


@pytest.mark.parametrize(
    ("x", "y", "pixels"), [(200.3, 150.7, 60.0), (210, 140, 150), (20, 15, 90.5), (395, 290, 40), (-500, 100, 50)]
)
def test_crops_are_the_published_ones(x, y, pixels):
    points = points_at(x, y, pixels)
    crop, _ = aligned_crop(PHOTO, points)
    difference = np.abs(crop.astype(int) - twin(PHOTO, points))
    # Pillow takes a part's edges as float32, which turns some levels' roundings; it rounds twice, columns, then rows
    assert difference.max() <= 2
    assert difference.mean() < 0.01


def test_the_affine_goes_where_the_pixels_went():
    photo = np.zeros((500, 700, 3), np.uint8)
    photo[200:210, 300:310] = 255  # about (305, 205), from the corner
    crop, affine = aligned_crop(photo, points_at(330.4, 230.2, 80.0))
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    middle = np.array([columns.mean(), rows.mean()]) + 0.5
    np.testing.assert_allclose(affine @ [305, 205, 1], middle, atol=0.3)  # edges lie at whole pixels
    # a decimetre is 102 pixels up to the whole pixels of the size, and the origin in the middle up to two
    assert affine[0, 0] * 80 == pytest.approx(102, rel=0.01)
    np.testing.assert_allclose(affine @ [330.4, 231.2, 1], [112, 112], atol=2)


def test_the_camera_is_the_one_that_made_the_points():
    scale, origin = aligned_camera(points_at(33, 44, 70))
    assert scale == pytest.approx(70)
    np.testing.assert_allclose(origin, [33, 44], atol=1e-9)


def test_a_tiny_face_in_a_large_photo_costs_no_memory():
    crop, _ = aligned_crop(np.full((3000, 4000, 3), 90, np.uint8), points_at(2000, 1000, 0.5))  # 816,000 pixels wide
    assert crop.shape == (ALIGNED_SIZE, ALIGNED_SIZE, 3)
    assert (crop == 90).all()


def test_bad_points_are_told():
    for points in (np.zeros((5, 2)), np.full((5, 2), np.nan), np.zeros((68, 2))):
        with pytest.raises(InputError, match="five points: wanted"):
            aligned_crop(PHOTO, points)
    with pytest.raises(InputError, match="wanted points in a photo of 400x300"):
        aligned_crop(PHOTO, points_at(0, 0, 1e6))
