"""Nearest places of a surface: values by hand, and all pairs of points and triangles by trimesh."""

import numpy as np
import pytest
import trimesh
from trimesh.triangles import closest_point

from util.surface import Surface

TRIANGLE = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0]])


@pytest.mark.parametrize(
    ("point", "place"),
    [
        ((1, 1, 5), (1, 1, 0)),  # above the inside
        ((1, 1, -5), (1, 1, 0)),  # below
        ((1, 1, 0), (1, 1, 0)),  # on it
        ((2, -7, 1), (2, 0, 0)),  # beyond an edge
        ((-1, 2, 0), (0, 2, 0)),
        ((5, 5.5, 2), (2, 1.5, 0)),  # beyond the slanting edge, (3, 4) from its middle and at right angles to it
        ((-1, -1, 3), (0, 0, 0)),  # beyond a corner
        ((9, -1, 0), (4, 0, 0)),
        ((0, 9, 0), (0, 3, 0)),
    ],
)
def test_nearest_place_by_hand(point, place):
    places, triangles = Surface(TRIANGLE, [[0, 1, 2]]).closest([point])
    np.testing.assert_allclose(places, [place], atol=1e-12)
    assert triangles.tolist() == [0]


def all_pairs(vertices, triangles, points):
    """Distances (P,) by trying every triangle."""
    corners = np.asarray(vertices, dtype=float)[triangles]
    count = len(points), len(corners)
    tried = closest_point(np.tile(corners, (count[0], 1, 1)), np.repeat(points, count[1], axis=0))
    return np.linalg.norm(tried.reshape(*count, 3) - points[:, None], axis=2).min(axis=1)


def check(vertices, triangles, points):
    surface = Surface(vertices, triangles)
    places, found = surface.closest(points)
    distances = np.linalg.norm(places - points, axis=1)
    # both solve the same in float64, coordinates being of order one
    np.testing.assert_allclose(distances, all_pairs(vertices, triangles, points), atol=1e-12)
    own = closest_point(surface.corners[found], points)
    np.testing.assert_allclose(places, own, atol=1e-9)  # it is the triangle's place, too


def test_triangles_of_all_sizes_at_once():
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.uniform(-4, 0.5, 300)
    vertices = random.normal(0, 1, (300, 1, 3)) + sizes[:, None, None] * random.normal(0, 1, (300, 3, 3))
    check(vertices.reshape(-1, 3), np.arange(900).reshape(-1, 3), random.normal(0, 2, (200, 3)))


def test_one_huge_triangle_below_a_fine_mesh():
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    floor = np.array([[-100.0, -0.12, -100], [100, -0.12, -100], [0, -0.12, 100]])
    vertices = np.concatenate([ball.vertices, floor])
    triangles = np.concatenate([ball.faces, [[162, 163, 164]]])
    random = np.random.default_rng(1)
    points = random.uniform(-0.3, 0.3, (200, 3))
    check(vertices, triangles, points)
    # far from every corner of the floor, and nothing else near
    places, found = Surface(vertices, triangles).closest([[20.0, 1, -30]])
    assert found[0] == 320
    np.testing.assert_allclose(places, [[20, -0.12, -30]], atol=1e-12)


def test_triangles_without_an_area_are_segments_and_points():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 5, 0]])
    places, found = Surface(vertices, [[0, 1, 2], [3, 3, 3]]).closest([[1.5, 1, 0], [-1, 0, 0], [0.2, 6, 0]])
    np.testing.assert_allclose(places, [[1.5, 0, 0], [0, 0, 0], [0, 5, 0]], atol=1e-12)
    assert found.tolist() == [0, 0, 1]


def test_more_points_than_a_block(monkeypatch):
    monkeypatch.setattr("util.surface.BLOCK", 7)
    ball = trimesh.creation.icosphere(subdivisions=1)
    check(ball.vertices, ball.faces, np.random.default_rng(2).normal(0, 1, (30, 3)))
