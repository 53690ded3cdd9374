import cv2
import numpy as np
import pytest

from benchmarks.bench_data import published_windows
from data.windows import WINDOWS, Picture, face_box, touched
from util.errors import InputError


def draw(name, image, box, size):
    """A window (size, size, 3) of a whole image, and its affine."""
    window = np.full((size, size, 3), 77, np.uint8)  # what lay in the memory before must not be seen
    return window, WINDOWS[name](Picture(image, image.shape[1], image.shape[0]), box, window)


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
        window, affine = draw(name, image, box, size)
        light = window[..., 0].astype(float)
        grid = np.mgrid[:size, :size] + 0.5
        found = (grid * light).sum(axis=(1, 2)) / light.sum()
        expected = affine @ [x, y, 1]
        # levels are cut to whole numbers in image and window: some hundredths of a pixel
        np.testing.assert_allclose(found[::-1], expected, atol=0.05)


def test_local_window_maps_box_corners_to_outermost_pixel_centres():
    box = face_box(LANDMARKS)
    _, affine = draw("local", np.zeros((800, 800, 3), np.uint8), box, 256)
    # OpenCV's coordinates are half a pixel smaller than those from the corner
    np.testing.assert_allclose(affine @ [box[0] + 0.5, box[1] + 0.5, 1], [0.5, 0.5], atol=1e-3)  # float32
    np.testing.assert_allclose(affine @ [box[2] + 0.5, box[3] + 0.5, 1], [255.5, 255.5], atol=1e-3)


def test_global_window_is_black_outside_the_box():
    image = np.full((256, 256, 3), 200, np.uint8)
    window, _ = draw("global", image, np.array([-10.0, 20.9, 100.2, 300.0]), 256)
    expected = np.zeros_like(image)
    expected[20:256, 0:100] = 200
    np.testing.assert_array_equal(window, expected)
    assert not draw("global", image, np.array([300.0, 20, 400, 50]), 256)[0].any()


def random_boxes(count, length, seed=0):
    """Square boxes, half of them with whole or half edges, many reaching out of an image of that side."""
    random = np.random.default_rng(seed)
    for number in range(count):
        side = random.uniform(0.08, 0.9) * length
        low = random.uniform(-0.2 * length, 1.2 * length - side, 2)
        box = np.concatenate([low, low + side])
        yield np.round(box * 2) / 2 if number % 2 else box


@pytest.mark.parametrize(
    ("height", "width", "size"), [(800, 800, 256), (800, 800, 176), (400, 600, 112), (96, 96, 128)]
)
def test_windows_are_the_published_ones_to_the_bit(height, width, size):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    for box in random_boxes(60, min(height, width)):
        for name, wanted in published_windows(image, box, size).items():
            np.testing.assert_array_equal(draw(name, image, box, size)[0], wanted)


@pytest.mark.parametrize(("length", "size"), [(800, 256), (800, 224), (800, 176), (640, 304), (400, 112), (96, 32)])
def test_a_part_is_resized_as_the_whole_is(length, size):
    image = np.random.default_rng(2).integers(0, 256, (length, 3, 3), np.uint8)
    whole = cv2.resize(image, (3, size))
    for low, high in np.sort(np.random.default_rng(3).integers(0, length, (100, 2))) + [0, 1]:
        part, seen = touched(low, high, length, size)
        assert part.start <= low < high <= part.stop
        np.testing.assert_array_equal(cv2.resize(image[part], (3, seen.stop - seen.start)), whole[seen])


def test_a_smaller_copy_of_a_part_shows_the_same():
    """A smooth picture, of which only a part around the face is at hand, at half the size."""
    rows, columns = np.mgrid[:800, :800]
    waves = [127 + 100 * np.sin(rows / 31 + phase) * np.cos(columns / 43 - phase) for phase in range(3)]
    image, box = np.stack(waves, axis=2).astype(np.uint8), np.array([210.0, 190, 590, 570])
    part = cv2.resize(image[130:650, 160:660], (250, 260), interpolation=cv2.INTER_AREA)
    picture = Picture(part, 800, 800, complete=False, left=160, top=130, scale=0.5)
    for name in ("local", "global"):
        wanted, affine = draw(name, image, box, 256)
        window = np.zeros_like(wanted)
        np.testing.assert_array_equal(WINDOWS[name](picture, box, window), affine)
        difference = np.abs(window.astype(int) - wanted)
        if name == "global":  # the outermost pixels mix with the black beyond the box in another share
            black = ~wanted.any(axis=2)
            assert not window[cv2.erode(black.astype(np.uint8), np.ones((3, 3))) > 0].any()
            difference = difference[cv2.dilate(black.astype(np.uint8), np.ones((5, 5))) == 0]
        assert difference.max() <= 3  # the waves are nearly straight within two pixels; whole levels twice
    np.testing.assert_allclose(picture.whole()[200:600, 200:600], image[200:600, 200:600], atol=3)
    with pytest.raises(InputError, match="wanted whole images, got parts"):
        WINDOWS["whole"](picture, box, window)
