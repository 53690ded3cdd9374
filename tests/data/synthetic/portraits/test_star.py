"""Distances to a surface in all directions, on ellipsoids."""

from types import SimpleNamespace

import numpy as np
import pytest

from data.synthetic.body import grid_triangles
from data.synthetic.portraits.star import make_star

CENTRE = np.array([0.01, 0.05, -0.02])
AXES = np.array([0.08, 0.12, 0.10])


def ellipsoid(axes: np.ndarray) -> np.ndarray:
    """(61 * 120, 3) vertices of a grid about CENTRE, open below as a head is."""
    up, turn = np.meshgrid(np.linspace(np.pi / 2, -1.4, 61), np.linspace(0, 2 * np.pi, 120, False), indexing="ij")
    unit = np.stack([np.cos(up) * np.sin(turn), np.sin(up), np.cos(up) * np.cos(turn)], axis=-1).reshape(-1, 3)
    return (CENTRE + unit * axes).astype(np.float32)


def true_radius(direction: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return 1.0 / np.linalg.norm(direction / axes, axis=-1)


@pytest.fixture(scope="module")
def shells():
    """Two ellipsoids, one within the other."""
    triangles = grid_triangles(61, 120, closed=True)
    vertices = np.concatenate([ellipsoid(AXES), ellipsoid(0.7 * AXES)])
    return SimpleNamespace(mean=vertices), np.concatenate([triangles, triangles + 61 * 120]).astype(np.int32)


@pytest.mark.parametrize(("outermost", "scale"), [(True, 1.0), (False, 0.7)])
def test_the_distance_is_that_of_the_wanted_shell(shells, outermost, scale):
    star = make_star(*shells[:1], CENTRE, shells[1], outermost, smooth=0)
    azimuth, elevation = np.meshgrid(np.linspace(-3.1, 3.1, 25), np.radians([80, 45, 10, -20, -50, -60]))
    places = star.place(azimuth, elevation)
    direction = (places - CENTRE) / np.linalg.norm(places - CENTRE, axis=-1, keepdims=True)
    # a pixel is 1.2 degrees wide: the ellipsoid's distance changes by up to 0.4 mm across half of one
    np.testing.assert_allclose(star.radius(direction), true_radius(direction, scale * AXES), atol=4e-4)
    np.testing.assert_allclose(np.arctan2(direction[..., 0], direction[..., 2]), azimuth, atol=1e-5)
    np.testing.assert_allclose(np.arcsin(direction[..., 1]), elevation, atol=1e-5)


def test_depth_is_positive_inside(shells):
    star = make_star(*shells[:1], CENTRE, shells[1], True, smooth=0)
    way = np.array([0.6, 0.0, 0.8])
    surface = true_radius(way, AXES)
    points = (CENTRE + way * (surface + np.array([[-0.01], [0.0], [0.02]]))).astype(np.float32)
    np.testing.assert_allclose(star.depth(points), [0.01, 0.0, -0.02], atol=4e-4)


def test_smoothing_never_goes_below_the_surface(shells):
    star = make_star(*shells[:1], CENTRE, shells[1], True, smooth=9)
    azimuth, elevation = np.meshgrid(np.linspace(-3.1, 3.1, 25), np.radians([80, 45, 10, -20, -50]))
    places = star.place(azimuth, elevation)
    direction = (places - CENTRE) / np.linalg.norm(places - CENTRE, axis=-1, keepdims=True)
    assert (star.radius(direction) > true_radius(direction, AXES) - 5e-4).all()
