"""The coarse head: fewer vertices, which lie where they did, and no hole that the fine one has not."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from data.synthetic.portraits.detail import CELL, coarse_head
from Sim3DR import get_normal
from tests.portraits import portrait_world


@pytest.fixture(scope="module")
def heads():
    fine = portrait_world().studio.head
    return fine, coarse_head(fine)


def border_edges(triangles):
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    return edges[uses == 1]


def test_its_vertices_are_some_of_the_fine_ones(heads):
    fine, coarse = heads
    assert len(coarse.triangles) < 0.6 * len(fine.triangles)
    distance, own = cKDTree(fine.mean).query(coarse.mean)
    assert distance.max() == 0
    # two of the fine head's vertices may lie in one place, with moves of their own
    for name in ("identity", "expression"):
        same = (getattr(fine, name)[:, own] == getattr(coarse, name)).all(axis=(0, 2))
        assert same.mean() > 0.99
    np.testing.assert_array_equal(coarse.mean[coarse.landmarks68], fine.mean[fine.landmarks68])
    away, _ = cKDTree(coarse.mean).query(fine.mean)
    assert away.max() < 2 * CELL  # the diagonal of a cell is 1.7 of its sides


def test_its_triangles_have_an_area_and_a_side(heads):
    _, coarse = heads
    triangles = coarse.triangles
    assert (np.diff(np.sort(triangles, axis=1), axis=1) > 0).all()
    assert len(np.unique(np.sort(triangles, axis=1), axis=0)) == len(triangles)
    np.testing.assert_array_equal(coarse.source[coarse.drawn_triangles], triangles)
    normals = get_normal(coarse.mean, triangles)
    turned = (normals * coarse.normals).sum(axis=1) < 0
    # of skin; in the mouth's folds and between teeth a few may turn
    assert turned[coarse.skin].mean() < 0.005


def test_borders_and_textures_stay(heads):
    fine, coarse = heads
    for name, part in fine.regions.items():
        at = coarse.regions[name]
        assert 0 < at.stop - at.start <= part.stop - part.start
        assert set(map(bytes, coarse.mean[at])) <= set(map(bytes, fine.mean[part]))
    rims = [np.unique(head.mean[np.unique(border_edges(head.triangles))], axis=0) for head in heads]
    assert len(rims[1]) >= len(rims[0])
    assert cKDTree(rims[1]).query(rims[0])[0].max() == 0
    places = {(*mean, *uv) for mean, uv in zip(fine.mean[fine.source].tolist(), fine.uv.tolist(), strict=True)}
    drawn = zip(coarse.mean[coarse.source].tolist(), coarse.uv.tolist(), strict=True)
    assert all((*mean, *uv) in places for mean, uv in drawn)
