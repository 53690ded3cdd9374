"""Sheets and tubes against what they are made of."""

import numpy as np
import pytest

from data.synthetic.portraits.solids import capsule, cross, merged, sheet, through, tube

STRAIGHT = np.array([0.1, 0.2, 0.3]) + np.linspace(0.0, 0.4, 9)[:, None] * [0.0, 0.0, 1.0]


def volume(piece) -> float:
    """By the divergence theorem; positive where triangles are wound counter-clockwise from outside."""
    corners = piece.vertices[piece.triangles].astype(float)
    return float(np.einsum("fc,fc->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def test_a_tube_keeps_its_distance():
    points = tube(STRAIGHT, np.array([0.02, 0.01]), np.array([1.0, 0.0, 0.0]), sides=12)
    x, y = points[..., 0] - 0.1, points[..., 1] - 0.2
    np.testing.assert_allclose((x / 0.02) ** 2 + (y / 0.01) ** 2, 1.0, atol=1e-9)  # an ellipse, wide along x
    np.testing.assert_allclose(points[..., 2], np.repeat(STRAIGHT[:, 2:], 12, axis=1), atol=1e-12)


def test_a_capsule_has_its_volume_and_its_outside_outside():
    points = capsule(STRAIGHT, np.array([[0.05, 0.05]]), np.array([1.0, 0.0, 0.0]), sides=48)
    piece = sheet(points, np.ones(3), closed=True)
    true = np.pi * 0.05**2 * 0.4 + 4 / 3 * np.pi * 0.05**3
    # 48 sides take 0.3 % of the area, the ends' few rings and flat tips 2 % of this volume
    assert volume(piece) == pytest.approx(true, rel=0.025)


def test_a_ring_closes():
    turn = np.linspace(0, 2 * np.pi, 41)
    path = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    points = tube(path, 0.1, np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(points[0], points[-1], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points - path[:, None], axis=2), 0.1, atol=1e-9)


def test_a_line_goes_through_its_knots():
    knots = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(through(knots, 4 * 7 + 1)[::7], knots, atol=1e-12)
    straight = np.linspace(0.0, 1.0, 4)[:, None] * [1.0, 2.0, 3.0]
    np.testing.assert_allclose(through(straight, 10), np.linspace(0.0, 1.0, 10)[:, None] * [1.0, 2.0, 3.0], atol=1e-12)


def test_merged_pieces_keep_their_triangles():
    one = sheet(np.random.default_rng(0).random((3, 4, 3)), np.full(3, 0.2), 0.1)
    two = sheet(np.random.default_rng(1).random((2, 5, 3)), np.full(3, 0.7), 0.9, closed=True)
    both = merged([one, two])
    corners = np.concatenate([one.vertices[one.triangles], two.vertices[two.triangles]])
    np.testing.assert_array_equal(both.vertices[both.triangles], corners)
    assert both.triangles.dtype == np.int32
    np.testing.assert_array_equal(np.unique(both.gloss), np.float32([0.1, 0.9]))


def test_cross_is_the_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 6, 3))
    np.testing.assert_allclose(cross(a, b), np.cross(a, b))
    np.testing.assert_allclose(cross(a, b[0]), np.cross(a, b[0]))
