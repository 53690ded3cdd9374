import cv2
import numpy as np
import pytest

from benchmarks.bench_data import published_windows
from data.windows import WINDOWS, Picture, face_box, touched
from util.alignment import TEMPLATE
from util.errors import InputError

LANDMARKS = np.float32([[300, 350], [500, 420]] * 34)


def draw(name, image, box, size, landmarks=LANDMARKS):
    """A window (size, size, 3) of a whole image, and its affine."""
    window = np.full((size, size, 3), 77, np.uint8)  # what lay in the memory before must not be seen
    return window, WINDOWS[name](Picture(image, image.shape[1], image.shape[0]), box, landmarks, window)


def upright_landmarks(turn=0.0):
    """68 points in a box of 200 x 240 pixels, of which the aligned window's five make a face, turned by an angle."""
    points = np.random.default_rng(4).uniform(0.1, 0.9, (68, 2)) * [200, 240]
    points[[0, 16, 8, 19]] = [[0, 90], [200, 90], [100, 240], [50, 0]]
    points[[36, 39, 42, 45, 30, 48, 54]] = [[40, 70], [80, 72], [120, 72], [160, 70], [103, 120], [66, 165], [138, 160]]
    cos, sin = np.cos(turn), np.sin(turn)
    return np.float32((points - [100, 120]) @ [[cos, sin], [-sin, cos]] + [400, 380])


def test_face_box_by_hand():
    # a box of 200 x 70 around (400, 385)
    np.testing.assert_allclose(face_box(LANDMARKS), [400 - 150, 385 - 170, 400 + 150, 385 + 130])


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_affine_says_where_image_points_are_in_the_window(name):
    """A smooth bump painted at an image point has its centre of light at the affine's window point."""
    landmarks, size = upright_landmarks(0.2), 256
    box = face_box(landmarks)
    rows, columns = np.mgrid[:800, :800] + 0.5
    for x, y in ((360.0, 320.0), (470.3, 410.7)):
        bump = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 12**2))
        image = np.repeat(bump[..., None], 3, axis=2).astype(np.uint8)
        window, affine = draw(name, image, box, size, landmarks)
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
        np.testing.assert_array_equal(WINDOWS[name](picture, box, LANDMARKS, window), affine)
        difference = np.abs(window.astype(int) - wanted)
        if name == "global":  # the outermost pixels mix with the black beyond the box in another share
            black = ~wanted.any(axis=2)
            assert not window[cv2.erode(black.astype(np.uint8), np.ones((3, 3))) > 0].any()
            difference = difference[cv2.dilate(black.astype(np.uint8), np.ones((5, 5))) == 0]
        assert difference.max() <= 3  # the waves are nearly straight within two pixels; whole levels twice
    np.testing.assert_allclose(picture.whole()[200:600, 200:600], image[200:600, 200:600], atol=3)
    with pytest.raises(InputError, match="wanted whole images, got parts"):
        WINDOWS["whole"](picture, box, LANDMARKS, window)


def five_of(landmarks):
    """The eyes' middles, the nose's tip and the mouth's corners."""
    return np.stack(
        [(landmarks[36] + landmarks[39]) / 2, (landmarks[42] + landmarks[45]) / 2, *landmarks[[30, 48, 54]]]
    )


def test_a_face_like_the_template_comes_to_the_published_places():
    # where JMLR's five points come to in 256 pixels
    targets = np.array([[96.52, 106.13], [159.17, 105.78], [128.05, 141.75], [102.31, 178.43], [154.19, 178.14]])
    landmarks = upright_landmarks()
    landmarks[[36, 39]], landmarks[[42, 45]] = targets[0] * 1.5 + [90, 70], targets[1] * 1.5 + [90, 70]
    landmarks[[30, 48, 54]] = targets[2:] * 1.5 + [90, 70]
    _, affine = draw("aligned", np.zeros((800, 800, 3), np.uint8), face_box(landmarks), 256, landmarks)
    # the targets have two decimals
    np.testing.assert_allclose(five_of(landmarks) @ affine[:, :2].T + affine[:, 2], targets, atol=0.005)
    # by hand: what was enlarged by 1.5 and moved by (90, 70) comes back
    np.testing.assert_allclose(affine, [[2 / 3, 0, -60], [0, 2 / 3, -140 / 3]], atol=0.02)
    _, half = draw("aligned", np.zeros((800, 800, 3), np.uint8), face_box(landmarks), 128, landmarks)
    np.testing.assert_allclose(half * 2, affine, atol=1e-9)


@pytest.mark.parametrize("turn", [0.0, 0.4, -2.5])
def test_alignment_is_opencvs_least_squares(turn):
    """OpenCV refines the similarity of all points by least squares; a threshold of 1000 pixels leaves none out."""
    landmarks = upright_landmarks(turn)
    wanted, inliers = cv2.estimateAffinePartial2D(
        five_of(landmarks), TEMPLATE * 256, method=cv2.RANSAC, ransacReprojThreshold=1000.0, refineIters=100
    )
    assert inliers.all()
    _, affine = draw("aligned", np.zeros((800, 800, 3), np.uint8), face_box(landmarks), 256, landmarks)
    np.testing.assert_allclose(affine[:, :2], wanted[:, :2], atol=1e-5)  # OpenCV stops where steps are small
    np.testing.assert_allclose(affine[:, 2], wanted[:, 2], atol=5e-3)


def test_the_aligned_window_goes_with_the_box():
    """A box that is moved by (20, -10) and grown to 1.25 of its side shows what points so moved would show."""
    landmarks, black = upright_landmarks(0.3), np.zeros((800, 800, 3), np.uint8)
    box = face_box(landmarks)
    corner, side = box[:2], box[2] - box[0]
    moved = np.concatenate([corner + [20, -10], corner + [20, -10] + 1.25 * side])
    _, affine = draw("aligned", black, moved, 256, landmarks)
    _, wanted = draw("aligned", black, moved, 256, (landmarks - corner) * 1.25 + corner + [20, -10])
    np.testing.assert_allclose(affine, wanted, atol=1e-6)  # landmarks are float32 in one of them
    _, own = draw("aligned", black, box, 256, landmarks)
    np.testing.assert_allclose(np.linalg.det(affine[:, :2]), np.linalg.det(own[:, :2]) / 1.25**2, rtol=1e-9)


def test_the_aligned_window_is_the_same_from_a_part():
    """A smooth picture and a smaller copy of the part around the face; black beyond the picture."""
    rows, columns = np.mgrid[:800, :800]
    waves = [127 + 100 * np.sin(rows / 31 + phase) * np.cos(columns / 43 - phase) for phase in range(3)]
    image, landmarks = np.stack(waves, axis=2).astype(np.uint8), upright_landmarks(0.3)
    part = cv2.resize(image[80:680, 100:700], (300, 300), interpolation=cv2.INTER_AREA)
    picture = Picture(part, 800, 800, complete=False, left=100, top=80, scale=0.5)
    wanted, affine = draw("aligned", image, face_box(landmarks), 256, landmarks)
    window = np.full_like(wanted, 77)
    got = WINDOWS["aligned"](picture, face_box(landmarks), landmarks, window)
    np.testing.assert_array_equal(got, affine)
    assert np.abs(window.astype(int) - wanted).max() <= 3  # the waves are nearly straight; whole levels twice
    window, affine = draw("aligned", np.full_like(image, 200), face_box(landmarks - 300), 256, landmarks - 300)
    grid = np.stack(np.mgrid[:256, :256][::-1], axis=2) + 0.5
    places = (grid - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T
    assert not window[(places < -1).any(axis=2)].any()
    assert (window[(places > 1).all(axis=2)] == 200).all()


@pytest.mark.parametrize("value", [50.0, np.nan])
def test_landmarks_that_cannot_be_aligned_are_told(value):
    landmarks = np.full((68, 2), value, np.float32)
    with pytest.raises(InputError, match=r"alignment: wanted finite points that lie apart, got \[\["):
        draw("aligned", np.zeros((8, 8, 3), np.uint8), np.array([0.0, 0, 8, 8]), 32, landmarks)
