import cv2
import numpy as np
import torch

from data.windows import opencv_affine
from util.alignment import ARCFACE, similarity
from util.warping import move_pictures, move_points, similarities


def test_points_by_hand():
    quarter = torch.tensor([[[0.0, -2.0, 1.0], [2.0, 0.0, -1.0]]])  # turned by 90 degrees, twice as large, shifted
    points = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]])
    assert move_points(quarter, points).tolist() == [[[1, 1], [-1, -1], [-7, 5]]]


def test_similarities_are_those_of_single_images():
    random = np.random.default_rng(0)
    points = random.normal(0, 1, (4, 5, 2))
    moves = similarities(torch.from_numpy(points), torch.from_numpy(ARCFACE)).numpy()
    np.testing.assert_allclose(moves, [similarity(each, ARCFACE) for each in points], rtol=1e-10)  # float64


def test_pictures_move_as_opencv_moves_them():
    random = np.random.default_rng(1)
    side, size = 40, 30
    picture = cv2.GaussianBlur(random.uniform(0, 1, (side, side, 3)).astype(np.float32), (0, 0), 3)
    move = np.array([[0.9, -0.2, 0.1], [0.2, 0.9, -0.05]])
    moved = move_pictures(
        torch.from_numpy(move[None]).float(), torch.from_numpy(picture.transpose(2, 0, 1)[None]), size
    )
    # the same in pixels from the corner: from -1 to 1 and back
    pixels = np.column_stack([move[:, :2] * size / side, (move[:, 2] + 1 - move[:, :2].sum(axis=1)) * size / 2])
    expected = cv2.warpAffine(picture, opencv_affine(pixels), (size, size))
    # OpenCV rounds places to 1/32 of a pixel, in which colours fall to black by up to 0.5 / 32 at the edges
    np.testing.assert_allclose(moved[0].permute(1, 2, 0), expected, atol=8e-3)


def test_beyond_the_picture_it_is_black():
    moved = move_pictures(torch.tensor([[[1.0, 0, 1], [0, 1, 0]]]), torch.ones(1, 1, 4, 4), 4)
    assert moved[0, 0].tolist() == [[0, 0, 1, 1]] * 4
