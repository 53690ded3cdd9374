"""Pieces as one mesh, and the levels of their textures."""

import numpy as np
import pytest

from data.synthetic.portraits.outfit import WHITE, level_for, make_outfit, pyramid
from data.synthetic.portraits.pieces import Piece
from tests.portraits import portrait_world


def square(place, **more):
    """A piece: four corners a centimetre apart."""
    corners = np.float32([[0, 0, 0], [0.01, 0, 0], [0.01, 0.01, 0], [0, 0.01, 0]]) + np.float32(place)
    triangles = np.int32([[0, 1, 2], [0, 2, 3]])
    look = np.full((4, 3), 0.5, np.float32), np.full(4, 0.1, np.float32)
    return Piece(corners, triangles, corners[:, :2] * 100, *look, **more)


def test_levels_of_a_texture():
    texture = np.zeros((64, 64, 4), np.uint8)
    texture[:, 32:] = 200
    levels = pyramid(texture)
    assert [level.shape for level in levels] == [(64, 64, 4), (32, 32, 4), (16, 16, 4)]
    np.testing.assert_array_equal(levels[2][0, :, 0], [0] * 8 + [200] * 8)
    assert len(pyramid(WHITE)) == 1


def test_the_level_whose_texels_are_pixels():
    levels = pyramid(np.zeros((256, 256, 4), np.uint8))
    # the texture spans 0.5 m: at 512 pixels a metre a texel is a pixel
    for pixels_per_metre, size in ((512, 256), (10_000, 256), (256, 128), (128, 64), (400, 256), (330, 128), (1, 16)):
        assert len(level_for(levels, 0.5, pixels_per_metre)) == size, pixels_per_metre


def test_pieces_become_one_mesh():
    head = portrait_world().studio.head
    texture = np.full((32, 32, 4), 9, np.uint8)
    outfit = make_outfit([square([0, 0, 0.2]), square([0, -0.3, 0], texture=texture, on_body=True)], head)
    np.testing.assert_array_equal(outfit.triangles, [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    np.testing.assert_array_equal(outfit.surface, [0, 0, 1, 1])
    np.testing.assert_array_equal(outfit.on_body, [False] * 4 + [True] * 4)
    assert [[len(level) for level in levels] for levels in outfit.textures] == [[1], [32, 16]]
    np.testing.assert_allclose(outfit.weights.sum(axis=1), 1.0, rtol=1e-5)
    assert outfit.nearest.max() < head.skin.stop


def test_pieces_move_with_the_skin_beside_them():
    head = portrait_world().studio.head
    nose, chin = (head.mean[head.landmarks68[point]] for point in (30, 8))
    outfit = make_outfit([square(nose + [0, 0, 0.002]), square(chin + [0, 0, 0.002])], head)
    everywhere = np.tile(np.float32([0.001, 0.002, 0.003]), (len(head.mean), 1))
    np.testing.assert_allclose(outfit.fitted(everywhere) - outfit.vertices, everywhere[:8], atol=1e-7)
    only_chin = np.where(head.mean[:, 1:2] < (nose[1] + chin[1]) / 2, np.float32(0.005), np.float32(0.0))
    moved = outfit.fitted(np.repeat(only_chin, 3, axis=1)) - outfit.vertices
    np.testing.assert_array_equal(moved[:4], 0.0)
    assert moved[4:] == pytest.approx(0.005, abs=1e-6)
