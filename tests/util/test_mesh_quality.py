"""Flipped triangles, by hand."""

import numpy as np

from util.mesh_quality import flipped_percent

# A square of four triangles around a vertex in the middle, seen from +z.
SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0]])
TRIANGLES = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])


def test_flipped_triangles_by_hand():
    moved = np.repeat(SQUARE[None], 5, axis=0)
    moved[1, 4] = [1.5, 0.5, 0]  # over the right side, whose triangle turns over
    moved[2] *= [-1, 1, 1]  # all mirrored
    moved[3, 4] = [1.0, 0.5, 0]  # onto the right side, whose triangle has no area
    moved[4, 4] = [1.3, 1.2, 0.4]  # over two sides, out of the plane
    assert flipped_percent(moved, SQUARE[None], TRIANGLES).tolist() == [0, 25, 100, 0, 50]
    assert flipped_percent(moved, moved, TRIANGLES).tolist() == [0] * 5
    assert flipped_percent(moved.astype(np.float32), moved[::-1], TRIANGLES)[2] == 0


def test_a_mesh_that_is_not_finite_has_no_figure():
    moved = np.repeat(SQUARE[None], 2, axis=0)
    moved[1, 2, 0] = np.nan
    share = flipped_percent(moved, SQUARE[None], TRIANGLES)
    assert share[0] == 0
    assert np.isnan(share[1])
