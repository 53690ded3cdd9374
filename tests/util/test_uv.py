from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import Delaunay

from data.wcpa import WcpaRoot
from tests.util.faces import bowl_topology
from util.mesh import Topology, find_mirror
from util.uv import _mean_value_weights, border_loops, uv_layout

SAMPLE = Path(__file__).parents[3] / "shared" / "wcpa_sample"


def signed_areas(uv, triangles):
    a, b, c = uv.astype(np.float64)[triangles].transpose(1, 2, 0)
    return ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / 2


def topology_of(template, triangles):
    template = np.asarray(template, dtype=np.float32)
    return Topology(template, np.asarray(triangles), np.zeros(68, np.int64), find_mirror(template))


def with_hole(topology):
    """The bowl without the triangles of an off-centre square of cells on either side."""
    x, y = np.abs(topology.template[:, 0]), topology.template[:, 1]
    in_hole = (x > 0.01) & (x < 0.06) & (y > 0.0) & (y < 0.06)
    kept = topology.triangles[~in_hole[topology.triangles].all(axis=1)]
    return Topology(topology.template, kept, topology.keypoints, topology.mirror)


@pytest.mark.parametrize("holes", [False, True])
def test_no_triangle_of_a_chart_overlaps_another(holes):
    topology = with_hole(bowl_topology()) if holes else bowl_topology()
    uv = uv_layout(topology)
    assert len(border_loops(topology.triangles)) == (3 if holes else 1)
    assert (uv.min(), uv.max()) == (0, 1)
    # none is turned over, and together they are no larger than the outline, in which they all lie: none overlaps
    areas = signed_areas(uv, topology.triangles)
    assert areas.min() > 0
    outline = uv[max(border_loops(topology.triangles), key=len)].astype(np.float64)
    shoelace = np.sum(outline[:, 0] * np.roll(outline[:, 1], -1) - outline[:, 1] * np.roll(outline[:, 0], -1)) / 2
    if holes:
        assert areas.sum() < shoelace
    else:
        assert areas.sum() == pytest.approx(shoelace, abs=1e-6)  # float32 coordinates


def test_charts_are_upright_and_symmetric():
    topology = bowl_topology()
    uv = uv_layout(topology)
    np.testing.assert_allclose(uv[topology.mirror], [1, 0] + uv * [-1, 1], atol=2**-24)  # float32 rounds so far
    highest, leftmost = topology.template[:, 1].argmax(), topology.template[:, 0].argmax()
    assert uv[highest, 1] > 0.8
    assert uv[leftmost, 0] > 0.8  # the face's left


def test_mean_value_weights_reproduce_a_plane():
    # Floater 2003: in a plane each vertex is the mean of its neighbours under its weights.
    random = np.random.default_rng(0)
    points = np.column_stack([random.random((60, 2)), np.zeros(60)])
    triangulation = Delaunay(points[:, :2])
    weights = _mean_value_weights(points, triangulation.simplices).toarray()
    inner = np.setdiff1d(np.arange(60), triangulation.convex_hull)
    means = weights @ points / weights.sum(axis=1, keepdims=True)
    assert (weights >= 0).all()
    np.testing.assert_allclose(means[inner], points[inner], atol=1e-9)


def test_vertices_are_weighted_means_of_their_neighbours():
    # The middle of a flat regular hexagon has six equal mean value weights, so it is the mean of the corners.
    angles = np.pi / 3 * np.arange(6) + np.pi / 6
    corners = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    topology = topology_of([[0, 0, 0], *corners], [[0, 1 + i, 1 + (i + 1) % 6] for i in range(6)])
    uv = uv_layout(topology)
    np.testing.assert_allclose(uv[0], uv[1:].mean(axis=0), atol=1e-6)  # float32
    np.testing.assert_allclose(uv[0], 0.5, atol=1e-6)


def test_closed_meshes_and_those_of_several_pieces_are_unrolled():
    octahedron = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    uv = uv_layout(topology_of(octahedron, faces))
    np.testing.assert_allclose(uv[:, 1], [0.5, 0.5, 1, 0, 0.5, 0.5])  # height
    pieces = [[-2, 0, 0], [-1, 0, 0], [-1, 1, 0], [2, 0, 0], [1, 0, 0], [1, 1, 0]]
    uv = uv_layout(topology_of(pieces, [[0, 1, 2], [3, 5, 4]]))
    assert ((uv >= 0) & (uv <= 1)).all()
    np.testing.assert_allclose(uv[:, 1], [0, 0, 1, 0, 0, 1])


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="no sample of the WCPA layout beside the project")
def test_the_real_topology_is_laid_out_without_overlaps():
    topology = WcpaRoot(SAMPLE).topology()
    areas = signed_areas(uv_layout(topology), topology.triangles)
    assert (areas <= 0).sum() == 0
    assert areas.sum() > 0.9  # of the texture is used
