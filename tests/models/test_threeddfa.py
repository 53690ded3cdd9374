"""3DDFA's crop, decoding and pose, against pictures and numbers made by hand, and its own network where it is."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from data.photos import read_photo
from models.mobilenet import load_mobilenet
from models.morphable_files import read_morphable, read_parameter_statistics
from models.threeddfa import (
    CONVENTIONS,
    Decoder,
    PublishedRegressor,
    cut,
    head_angles,
    head_pose,
    image_points,
    with_components,
)
from tests.made_up_threeddfa import DEVIATIONS, EXPRESSION, IDENTITY, MEAN, USUAL, write_bases
from util.crops import square_of_box, square_of_landmarks

SHARED = Path(__file__).parents[3] / "shared"
PUBLISHED = SHARED / "threeddfa"
CPU = torch.device("cpu")


@pytest.fixture
def model(tmp_path):
    return read_morphable(write_bases(tmp_path))


class Network(torch.nn.Module):
    """Remembers what it is shown, and gives zeros, or ones behind the first image."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.shown = outputs, None

    def forward(self, images):
        self.shown = images
        return torch.arange(len(images), dtype=torch.float32)[:, None].repeat(1, self.outputs)


# --- crop


def padded(photo, square):
    """The rounded square of a photo with black around it, pixel by pixel."""
    left, top, right, bottom = square
    part = np.zeros((bottom - top, right - left, 3), np.uint8)
    for row in range(top, bottom):
        for column in range(left, right):
            if 0 <= row < len(photo) and 0 <= column < photo.shape[1]:
                part[row - top, column - left] = photo[row, column]
    return part


@pytest.mark.parametrize(
    ("square", "rounded"),
    [
        ((10.0, 5.0, 130.0, 125.0), (10, 5, 130, 125)),
        ((0.5, 1.5, 60.5, 61.5), (0, 2, 60, 62)),  # halves to the even number, as Python rounds
        ((-30.2, -10.7, 99.6, 119.1), (-30, -11, 100, 119)),
        ((140.0, 80.0, 200.0, 140.0), (140, 80, 200, 140)),
        ((-90.0, 10.0, -30.0, 70.0), (-90, 10, -30, 70)),  # nothing of the photo
    ],
)
def test_cut(square, rounded):
    photo = np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    wanted = cv2.resize(padded(photo, rounded), (120, 120), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cut(photo, np.array(square)), wanted)


def test_a_square_of_the_crops_own_size_is_the_photo_itself():
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut(photo, np.array([20, 30, 140, 150])), photo[30:150, 20:140])


@pytest.mark.parametrize("square", [(3.0, 3.0, 3.4, 3.4), (0.0, 0.0, 1e6, 1e6)])
def test_squares_that_are_no_faces(square):
    with pytest.raises(ValueError, match="square: wanted sides of 1 to 65500 pixels"):
        cut(np.zeros((10, 10, 3), np.uint8), np.array(square))


# --- decoding


def test_image_points_by_hand():
    # a crop of 240 pixels: two of the photo to one
    square, points = np.array([100.5, 50.0, 340.5, 290.0]), np.array([[1.0, 120.0, 5.0], [61.0, 20.0, -3.0]])
    v2 = image_points(points, square, CONVENTIONS["v2"])
    np.testing.assert_allclose(v2, [[100.5, 50.0, 16.0], [220.5, 250.0, 0.0]])  # z: 8 and -8, from the farthest
    v1 = image_points(points, square, CONVENTIONS["v1"])
    np.testing.assert_allclose(v1, [[102.5, 52.0, 10.0], [222.5, 252.0, -6.0]])
    np.testing.assert_allclose((v1 - v2)[:, :2], 2.0)  # one pixel of the crop


def test_decoding_against_numpy(model):
    random = np.random.default_rng(1)
    numbers = USUAL + random.normal(0, 1, (3, 62)) * DEVIATIONS
    decoder = Decoder(model)
    shapes = decoder.shapes(numbers)
    for row, shape, points in zip(numbers, shapes, decoder.crop_points(numbers, shapes), strict=True):
        # 3DDFA's way: x, y, z of a vertex one below the other
        wanted = (MEAN.reshape(-1) + IDENTITY @ row[12:52] + EXPRESSION @ row[52:]).reshape(3, -1, order="F")
        matrix = row[:12].reshape(3, 4)
        np.testing.assert_allclose(shape, wanted.T, atol=0.1)  # bases are float32: 1e5 micrometres to 0.01
        np.testing.assert_allclose(points, (matrix[:, :3] @ wanted + matrix[:, 3:]).T, atol=6e-5)


def test_components_are_the_first_ones(model):
    cut_model = with_components(model, 7, 3)
    np.testing.assert_array_equal(cut_model.identity, model.identity[:7])
    np.testing.assert_array_equal(cut_model.expression, model.expression[:3])
    assert (len(cut_model.identity_deviations), len(cut_model.expression_deviations)) == (7, 3)
    with pytest.raises(ValueError, match="--bases: wanted 41 of identity, got 40"):
        with_components(model, 41, 3)
    with pytest.raises(ValueError, match="--bases: wanted 29 of expression, got 10"):
        with_components(model, 40, 29)


# --- network


def test_networks_see_blue_first_and_give_whitened_numbers(model):
    regressor = PublishedRegressor(Network(62), USUAL, DEVIATIONS, model, CPU)
    crops = np.zeros((2, 120, 120, 3), np.uint8)
    crops[1, 3, 4] = 255, 100, 7
    numbers = regressor(crops)
    shown = regressor.network.shown
    assert shown.shape == (2, 3, 120, 120)
    np.testing.assert_allclose(shown[1, :, 3, 4], [(7 - 127.5) / 128, (100 - 127.5) / 128, 127.5 / 128])
    np.testing.assert_array_equal(shown[0], -127.5 / 128)
    np.testing.assert_array_equal(numbers[0], USUAL)
    np.testing.assert_array_equal(numbers[1], USUAL + DEVIATIONS)  # in float32


def test_what_does_not_fit_together_is_told(model):
    with pytest.raises(ValueError, match="--weights: wanted a network of 62 or 72 or 141 outputs, got 60"):
        PublishedRegressor(Network(60), USUAL, DEVIATIONS, model, CPU)
    with pytest.raises(ValueError, match="--statistics: wanted those of the network's 62 parameters, got 61"):
        PublishedRegressor(Network(62), USUAL[:61], DEVIATIONS[:61], model, CPU)
    decimetres = replace(model, metres=np.array(0.1))  # Deep3D's
    with pytest.raises(ValueError, match=r"--bases: wanted 3DDFA's, bfm_noneck_v3\.pkl, .* in units of 0\.1 metres"):
        PublishedRegressor(Network(62), USUAL, DEVIATIONS, decimetres, CPU)
    longer = np.zeros(72, np.float32)
    with pytest.raises(ValueError, match="--bases: wanted 20 of expression, got 10"):
        PublishedRegressor(Network(72), longer, longer, model, CPU)


# --- pose


@pytest.mark.parametrize("version", CONVENTIONS)
def test_angles_of_turns(version):
    for yaw, pitch, roll in np.random.default_rng(0).uniform(-80, 80, (20, 3)):
        # Rz(roll) Ry(-yaw) Rx(pitch): fixed axes, x first
        rotation = Rotation.from_euler("xyz", [pitch, -yaw, roll], degrees=True).as_matrix()
        np.testing.assert_allclose(
            np.degrees(head_angles(rotation, CONVENTIONS[version])), [yaw, pitch, roll], atol=1e-6
        )


def test_signs_of_angles():
    """x to the right, y up, z to the camera: the nose's direction, and the eyes' from the one to the right."""
    for angles, nose, up in (
        ((30, 0, 0), [-0.5, 0, np.sqrt(0.75)], [0, 1, 0]),  # to the left of the image
        ((0, 30, 0), [0, -0.5, np.sqrt(0.75)], [0, np.sqrt(0.75), 0.5]),  # down
        ((0, 0, 30), [0, 0, 1], [-0.5, np.sqrt(0.75), 0]),  # counter-clockwise
    ):
        yaw, pitch, roll = angles
        rotation = Rotation.from_euler("xyz", [pitch, -yaw, roll], degrees=True).as_matrix()
        np.testing.assert_allclose(rotation @ [0, 0, 1], nose, atol=1e-12)
        np.testing.assert_allclose(rotation @ [0, 1, 0], up, atol=1e-12)
        np.testing.assert_allclose(np.degrees(head_angles(rotation, CONVENTIONS["v2"])), angles, atol=1e-9)


def sideways(sine, pitch):
    """A head at that sine of yaw, which nods by so much, radians; roll 0."""
    return Rotation.from_euler("xyz", [pitch, -np.arcsin(sine), 0]).as_matrix()


def test_heads_turned_sideways():
    # 3DDFA_V2: from a sine of 0.998 on, yaw is a right angle; the nod is what is left, to 3.6 degrees, whose cosine
    # is 0.998
    for sign in (1, -1):
        yaw, pitch, roll = head_angles(sideways(0.9985 * sign, 0.3), CONVENTIONS["v2"])
        assert (yaw, roll) == (sign * np.pi / 2, 0.0)
        assert pitch == pytest.approx(0.3, abs=0.002)
        yaw, pitch, roll = head_angles(sideways(0.9975 * sign, 0.3), CONVENTIONS["v2"])
        assert yaw == pytest.approx(np.arcsin(0.9975) * sign)
    # 3DDFA: only where it is exact, and then with yaw's sign reversed
    assert head_angles(sideways(0.9999, 0.3), CONVENTIONS["v1"])[0] == pytest.approx(np.arcsin(0.9999))
    exact = np.array([[0.0, -0.6, -0.8], [0.0, 0.8, -0.6], [1.0, 0.0, 0.0]])
    assert head_angles(exact, CONVENTIONS["v1"])[0] == -np.pi / 2
    assert head_angles(exact, CONVENTIONS["v2"])[0] == np.pi / 2
    assert head_angles(exact, CONVENTIONS["v1"])[1] == pytest.approx(np.arctan2(0.6, 0.8))
    assert head_angles(exact * [[1], [1], [-1]], CONVENTIONS["v1"])[0] == np.pi / 2


def test_scale_and_rotation_by_hand():
    numbers = np.float64([3, 0, 0, 10, 0, 0, 5, 20, 7, 8, 9, 30, *np.zeros(50)])
    scale, matrix, angles = head_pose(numbers, CONVENTIONS["v2"])
    assert scale == 4.0
    # the third row is the product of the first two, whatever it was
    np.testing.assert_allclose(matrix, [[1, 0, 0, 10], [0, 0, 1, 20], [0, -1, 0, 30]])
    np.testing.assert_allclose(angles, [0, -np.pi / 2, 0], atol=1e-12)


# --- the published network


@pytest.mark.skipif(not (PUBLISHED / "mb05_120x120.pth").is_file(), reason="no checkpoint of 3DDFA_V2 at hand")
def test_the_published_network_on_real_faces():
    mean, std = read_parameter_statistics(PUBLISHED / "param_mean_std_62d_120x120.pkl")
    network = load_mobilenet(PUBLISHED / "mb05_120x120.pth")
    regressor = PublishedRegressor(network, mean, std, read_morphable(PUBLISHED), CPU)
    u, shape, expression = (np.loadtxt(PUBLISHED / f"{name}_base.txt") for name in ("u", "w_shp", "w_exp"))
    # what step05 looks at last in JianzhuGuo.jpg and emma.jpg, with yaw in degrees as it looks to people
    faces = [
        ("JianzhuGuo.jpg", (79.2, 110.9, 322.5, 354.2), 0),
        ("emma.jpg", (208.5, 446.1, 931.8, 1169.4), 33),
        ("emma.jpg", (1629.1, 336.0, 2120.1, 827.0), 56),
        ("emma.jpg", (2902.7, 366.7, 3543.6, 1007.6), 50),
    ]
    decoder = Decoder(regressor.model)
    for name, square, yaw in faces:
        photo = read_photo(SHARED / "photos" / name).pixels
        numbers = regressor(cut(photo, np.float64(square))[None])
        matrix = numbers[0, :12].reshape(3, 4)
        # it is never learnt: of 22 faces in 18 photos the mean is -66.6716, the farthest 4e-4 from it
        assert matrix[2, 3] == pytest.approx(-66.6716, abs=6e-4)
        lengths = np.linalg.norm(matrix[:, :3], axis=1)
        assert lengths.max() / lengths.min() < 1.04  # at most 1.035 on these 22
        first, second = matrix[:2, :3] / lengths[:2, None]
        assert np.degrees(np.arccos(first @ second)) == pytest.approx(90, abs=2.2)  # 87.9 to 90.6
        scale, _, angles = head_pose(numbers[0], CONVENTIONS["v2"])
        # 5.7e-4 to 6.3e-4; in crops round FaceBoxes' boxes, which are larger, 4.6e-4 to 4.9e-4
        assert 5.6e-4 < scale < 6.4e-4
        assert np.degrees(angles[0]) == pytest.approx(yaw, abs=6)
        faces_shapes = decoder.shapes(numbers)
        points = image_points(decoder.crop_points(numbers, faces_shapes)[0], np.array(square), CONVENTIONS["v2"])
        vertices = (u + shape @ numbers[0, 12:52] + expression @ numbers[0, 52:]).reshape(3, -1, order="F")
        placed = matrix[:, :3] @ vertices + matrix[:, 3:]
        side = (square[2] - square[0]) / 120
        wanted = np.stack([(placed[0] - 1) * side + square[0], (120 - placed[1]) * side + square[1]], axis=1)
        assert np.abs(points[:, :2] - wanted).max() < 6e-5 * side  # 6e-5 pixels of the crop
        # a third look would be at about the same place: the square was made from points some pixels of the crop away
        assert np.abs(square_of_landmarks(points[:, :2]) - square).max() < 0.05 * (square[2] - square[0])


def test_squares_of_boxes_and_points():
    """systems.md J: 1.58 of the mean side, cut to a whole number, 0.14 of it down; sqrt 2 of the larger side."""
    np.testing.assert_allclose(square_of_box([10, 20, 110, 140]), [-26.5, 8.9, 146.5, 181.9])
    half = 50 * np.sqrt(2)
    np.testing.assert_allclose(square_of_landmarks([[0, 0], [100, 40]]), [50 - half, 20 - half, 50 + half, 20 + half])
