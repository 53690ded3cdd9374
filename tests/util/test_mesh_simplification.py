import numpy as np
import pytest

from tests.conftest import bowl
from util.errors import InputError
from util.mesh import find_mirror
from util.mesh_simplification import (
    BORDER_WEIGHT,
    SPREAD_WEIGHT,
    _CollapsingMesh,
    quadrics,
    simplify,
    symmetric_triangles,
    unique_edges,
)
from util.uv import border_loops


def grid(columns, rows):
    """A flat mesh (z = 2) of unit squares, cut alike, mirror-symmetric but for their diagonals."""
    x, y = np.meshgrid(np.arange(columns) - (columns - 1) / 2, np.arange(rows))
    index = np.arange(columns * rows).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    return np.stack([x, y, np.full(x.shape, 2.0)], -1).reshape(-1, 3), triangles.astype(np.int32)


def simplified(vertices, triangles, *sizes):
    return simplify(vertices, triangles, find_mirror(vertices), sizes)


def areas(vertices, triangles):
    corners = vertices[triangles]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2


def test_quadrics_are_squared_distances_from_planes_and_places():
    # One triangle in z = 0 of area 1/2 with all three sides borders: worked out by hand for a vertex at (1, 0, 0).
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    form = quadrics(vertices, np.array([[0, 1, 2]]))[1]
    x, y, z = place = np.array([0.3, 0.4, 0.7])
    # its two sides: y = 0 of length 1, and x + y = 1 of squared length 2
    sides = BORDER_WEIGHT * (y**2 + 2 * (x + y - 1) ** 2 / 2)
    # the border turns there from (1, 0) to (-1, 1) / sqrt(2): the squared length of their difference is 2 + sqrt(2)
    bend = BORDER_WEIGHT * (2 + np.sqrt(2)) * (1 + 2)
    wanted = 0.5 * z**2 + sides + (SPREAD_WEIGHT * 0.5 + bend) * ((place - vertices[1]) ** 2).sum()
    homogeneous = np.append(place, 1.0)
    assert homogeneous @ form @ homogeneous == pytest.approx(wanted, rel=1e-12)  # float64
    at_home = np.array([1.0, 0, 0, 1])
    assert at_home @ form @ at_home == pytest.approx(0, abs=1e-15)  # rounds


def test_moves_within_a_plane_cost_only_their_spread():
    vertices, triangles = grid(5, 5)
    middle, neighbour = 12, 13
    homogeneous = np.append(vertices[neighbour], 1.0)
    # six triangles of area 1/2 round the middle, a step of 1 away; plane and borders are free
    wanted = SPREAD_WEIGHT * 6 * 0.5
    assert homogeneous @ quadrics(vertices, triangles)[middle] @ homogeneous == pytest.approx(wanted, rel=1e-9)


def test_a_flat_mesh_stays_the_same_square():
    vertices, triangles = grid(9, 9)
    for mesh in simplified(vertices, triangles, 40, 12):
        normals = areas(vertices[mesh.kept], mesh.triangles)
        assert (normals[:, 2] > 0).all()
        # no corner is cut and nothing overlaps; a fan of right angles sums up exactly
        assert normals[:, 2].sum() == 64
        assert {0, 8, 72, 80} <= set(mesh.kept.tolist())


def test_sizes_are_reached_and_nested():
    vertices, triangles = bowl()
    fine, coarse = simplified(vertices.astype(float), triangles, 50, 24)
    assert len(fine.kept) in (49, 50)
    assert len(coarse.kept) in (23, 24)
    assert set(coarse.kept) < set(fine.kept)
    for mesh in (fine, coarse):
        assert (np.diff(mesh.kept) > 0).all()
        # those that are kept stand for themselves
        np.testing.assert_array_equal(mesh.stands_in[mesh.kept], np.arange(len(mesh.kept)))
        assert mesh.stands_in.shape == (99,)
    # what went onto a vertex at first went along with it
    np.testing.assert_array_equal(coarse.stands_in, coarse.stands_in[fine.kept][fine.stands_in])


def test_a_ridge_outlasts_the_flat_parts():
    # A roof over 11 x 7 points, 4 high at its middle column: its 6 corners describe it. Two more, as no triangle may
    # be turned on the way.
    vertices, triangles = grid(11, 7)
    vertices[:, 2] = 4 - 0.8 * np.abs(vertices[:, 0])
    (mesh,) = simplified(vertices, triangles, 8)
    corners = {0, 5, 10, 66, 71, 76}
    assert corners <= set(mesh.kept.tolist())
    # the surface is the same: the area of two slopes of 6 by sqrt(5^2 + 4^2), but for rounding
    total = np.linalg.norm(areas(vertices[mesh.kept], mesh.triangles), axis=1).sum()
    assert total == pytest.approx(2 * 6 * np.hypot(5, 4), rel=1e-12)


def test_diagonals_are_made_symmetric():
    vertices, triangles = grid(5, 3)
    mirror = find_mirror(vertices)
    made = symmetric_triangles(vertices, triangles, mirror)
    rows = {tuple(sorted(row)) for row in made.tolist()}
    assert rows == {tuple(sorted(mirror[list(row)].tolist())) for row in rows}
    assert len(unique_edges(made)) == len(unique_edges(triangles))
    assert areas(vertices, made)[:, 2].min() > 0
    # squares across the middle stay as they are
    vertices, triangles = grid(4, 3)
    made = symmetric_triangles(vertices, triangles, find_mirror(vertices))
    across = {tuple(row) for row in triangles.tolist() if len(set(np.sign(vertices[row, 0]))) == 2}
    assert len(across) == 4
    assert across <= {tuple(row) for row in made.tolist()}


def test_an_outline_and_a_hole_last():
    vertices, triangles = grid(9, 9)
    x, y = vertices[:, 0], vertices[:, 1]
    hole = (np.abs(x) <= 1) & (np.abs(y - 4) <= 1)
    triangles = triangles[~hole[triangles].all(axis=1)]
    kept = np.unique(triangles)
    vertices, triangles = vertices[kept], np.searchsorted(kept, triangles)
    (mesh,) = simplified(vertices, triangles, 13)
    assert [len(loop) for loop in border_loops(mesh.triangles)] == [6, 6]
    # the square of 8 less that of 2: the borders' vertices went along them
    assert areas(vertices[mesh.kept], mesh.triangles)[:, 2].sum() == 60


def test_no_triangle_turns_over_and_no_vertex_comes_loose():
    # A comb of unequal teeth, and its mirror image: most ways to leave out a vertex would fold it.
    vertices, triangles = grid(13, 9)
    x, y = np.abs(vertices[triangles].mean(axis=1)[:, 0]), vertices[triangles].mean(axis=1)[:, 1]
    triangles = triangles[~(((x > 1) & (x < 2) & (y > 3)) | ((x > 4) & (x < 5) & (y > 1)))]
    kept = np.unique(triangles)
    vertices, triangles = vertices[kept], np.searchsorted(kept, triangles)
    for mesh in simplified(vertices, triangles, 60, 45, 30, 24):
        assert areas(vertices[mesh.kept], mesh.triangles)[:, 2].min() > 0
        np.testing.assert_array_equal(np.unique(mesh.triangles), np.arange(len(mesh.kept)))


def may_collapse(vertices, triangles, gone, onto):
    vertices = np.array([[x, y, 0.0] for x, y in vertices])
    return _CollapsingMesh(vertices, np.array(triangles), np.arange(len(vertices))).may_collapse(gone, onto)


def test_collapses_that_would_break_a_mesh_are_told():
    # a hexagon round 0; 1 lies at its right, the others follow counter-clockwise
    hexagon = [[0, 0], [2, 0], [1, 2], [-1, 2], [-2, 0], [-1, -2], [1, -2]]
    fan = [[0, i, i % 6 + 1] for i in range(1, 7)]
    assert may_collapse(hexagon, fan, 0, 1)
    assert may_collapse(hexagon, fan, 1, 2)
    # off the border, across the mesh, and where there is no edge
    assert not may_collapse(hexagon, fan, 1, 0)
    assert not may_collapse(hexagon, fan, 1, 4)
    # 0 and 1 have a third common neighbour: 2, 0 and 1 are joined, but not by a triangle, which 7 divides
    divided = [[0, 1, 7], [1, 2, 7], [2, 0, 7]] + fan[1:]
    assert not may_collapse([*hexagon, [1, 0.7]], divided, 0, 1)
    # with 1 far in, a triangle at the left would turn over
    dented = [[0.5, 0], [3, 0], [1, 2], [-1, 2], [0.2, 0], [-1, -2], [1, -2]]
    assert not may_collapse(dented, fan, 0, 3)
    # a triangle by itself stays; of two, one may go
    assert not may_collapse(hexagon, [[0, 1, 2]], 0, 1)
    assert may_collapse(hexagon, [[0, 1, 2], [0, 2, 3]], 1, 2)


def test_what_cannot_be_simplified_is_told():
    vertices, triangles = grid(5, 5)
    with pytest.raises(InputError, match="wanted 1 of them, its edges collapse to"):
        simplified(vertices, triangles, 1)
    with pytest.raises(InputError, match="got 1 in none"):
        simplified(np.append(vertices, [[0.0, 9, 9]], axis=0), triangles, 12)
    inner = np.flatnonzero((vertices[triangles][..., 0] <= 0).all(axis=1) & (triangles == 11).any(axis=1))[0]
    with pytest.raises(InputError, match="mirror-symmetric but for diagonals"):
        simplified(vertices, np.delete(triangles, inner, axis=0), 12)
