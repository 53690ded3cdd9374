"""Triangles that reach behind the camera: against rays cast in whole numbers, closed surfaces round it, and by hand.

Camera space: x right, y down, distance forward. The focal length is 12 pixels, the axis meets the picture at (12, 10).
"""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from Sim3DR import interpolate, rasterize, rasterize_buffers
from tests.Sim3DR.twin import (
    DEPTH_TOLERANCE,
    HEIGHT,
    WEIGHT_TOLERANCE,
    WIDTH,
    assert_like_twin,
    coverage_count,
    drawn_by_all,
    separate_triangles,
)

FOCAL, CENTRE = 12.0, np.array([12.0, 10.0])


def project(points, focal=FOCAL):
    """points (N, 3) -> vertices (N, 3) and w (N,), float32; z is minus the distance."""
    w = points[:, 2].astype(np.float32)
    image = focal * points[:, :2] / w[:, None] + CENTRE
    return np.column_stack([image, -w]).astype(np.float32), w


def cast_rays(vertices, w, height=HEIGHT, width=WIDTH):
    """Where the rays of the pixels meet a triangle in space: mask (H, W) and weights (H, W, 3).

    The corner k is exactly (x w, y w, w), the ray of a pixel exactly (column, row, 1): whole numbers, once multiplied.
    No ray may meet an edge.
    """
    homogeneous = np.column_stack([vertices[:, :2], np.ones(3)]).astype(np.float64)
    corners = [[Fraction(value) * Fraction(float(w[k])) for value in homogeneous[k]] for k in range(3)]
    scale = max(value.denominator for corner in corners for value in corner)
    corners = [[int(value * scale) for value in corner] for corner in corners]
    rows, columns = (grid.astype(object) for grid in np.mgrid[:height, :width])

    def with_ray(a, b):
        """det(ray, a, b)"""
        return columns * (a[1] * b[2] - a[2] * b[1]) + rows * (a[2] * b[0] - a[0] * b[2]) + a[0] * b[1] - a[1] * b[0]

    volumes = np.array([with_ray(corners[(k + 1) % 3], corners[(k + 2) % 3]) for k in range(3)])
    assert (volumes != 0).all()
    a, b, c = corners
    whole = sum(a[k] * (b[k - 2] * c[k - 1] - b[k - 1] * c[k - 2]) for k in range(3))
    # sum_k b_k corner_k = t ray, sum_k b_k = 1: b_k / t = volumes_k / whole. In front and inside: all are positive.
    hit = ((volumes > 0) == (whole > 0)).all(axis=0)
    total = volumes.sum(axis=0)
    weights = np.zeros((height, width, 3))
    weights[hit] = (volumes[:, hit] / total[hit]).astype(np.float64).T
    return hit, weights


def assert_like_rays(vertices, w):
    """Compares each triangle, drawn alone by every instruction set; returns how many pixels were covered."""
    covered = 0
    for corners in separate_triangles(vertices):
        hit, weights = cast_rays(vertices[corners], w[corners])
        buffers = drawn_by_all(vertices[corners], [[0, 1, 2]], HEIGHT, WIDTH, w[corners])
        np.testing.assert_array_equal(buffers.triangle == 0, hit)
        np.testing.assert_allclose(buffers.barycentric, weights, rtol=0, atol=WEIGHT_TOLERANCE)
        z = vertices[corners, 2].astype(np.float64)
        # Rounded to float32, once, from weights good to 1e-9 of the largest z.
        np.testing.assert_allclose(
            buffers.depth[hit], weights[hit] @ z, rtol=DEPTH_TOLERANCE, atol=4e-9 * np.abs(z).max()
        )
        covered += int(hit.sum())
    return covered


def random_corners(rng, behind, distances, count=40):
    """(3 * count, 3) camera space; of each three corners, `behind` behind the camera."""
    points = np.column_stack([rng.uniform(-3, 3, (3 * count, 2)), distances])
    for k in range(behind):
        points[k::3, 2] *= -1
    return points


class TestAgainstRays:
    @pytest.mark.parametrize("behind", [0, 1, 2])
    @pytest.mark.parametrize("seed", range(2))
    def test_corners_on_both_sides(self, behind, seed):
        rng = np.random.default_rng(seed)
        points = random_corners(rng, behind, rng.uniform(0.1, 4, 120))
        assert assert_like_rays(*project(points)) > 1200

    @pytest.mark.parametrize("behind", [0, 1, 2])
    def test_distances_a_million_times_larger_than_others(self, behind):
        rng = np.random.default_rng(10)
        distances = 10 ** rng.uniform(-3, 3, 120)
        points = random_corners(rng, behind, distances)
        points[:, :2] *= np.maximum(distances, 1)[:, None]
        assert assert_like_rays(*project(points)) > 1500

    @pytest.mark.parametrize("behind", [1, 2])
    @pytest.mark.parametrize("size", [1e-30, 1e-4, 1e8, 1e30])
    def test_the_unit_of_distance_does_not_matter(self, behind, size):
        rng = np.random.default_rng(11)
        vertices, w = project(random_corners(rng, behind, rng.uniform(0.1, 4, 60), 20))
        assert assert_like_rays(vertices, w * np.float32(size)) > 600

    @pytest.mark.parametrize("behind", [1, 2])
    def test_corners_close_to_the_plane_of_the_camera(self, behind):
        # Their places in the picture are up to 1e9 pixels away.
        rng = np.random.default_rng(12)
        points = random_corners(rng, behind, 10 ** rng.uniform(-8, 0, 120))
        assert assert_like_rays(*project(points)) > 1500

    def test_slivers(self):
        # The third corner is nearly on the line of the other two, in space; that line crosses the camera's plane.
        rng = np.random.default_rng(13)
        points = random_corners(rng, 1, rng.uniform(0.1, 4, 120))
        share = rng.uniform(-1, 2, (40, 1))
        points[2::3] = share * points[0::3] + (1 - share) * points[1::3] + rng.normal(0, 0.1, (40, 3))
        assert assert_like_rays(*project(points)) > 50

    def test_all_three_behind(self):
        rng = np.random.default_rng(14)
        vertices, w = project(random_corners(rng, 3, rng.uniform(0.1, 4, 120)))
        triangles = separate_triangles(vertices)
        assert (drawn_by_all(vertices, triangles, HEIGHT, WIDTH, w).triangle == -1).all()
        # Turned to the front they are seen in the same places: a point behind is mirrored twice.
        assert (drawn_by_all(vertices, triangles, HEIGHT, WIDTH, -w).triangle >= 0).sum() > 300


class TestAgainstTwin:
    """With ties: rays that meet edges and corners, and depths that are equal."""

    @pytest.mark.parametrize("step", [1, 0.5, 1 / 256, None])
    @pytest.mark.parametrize("seed", range(2))
    def test_scenes(self, step, seed):
        rng = np.random.default_rng(20 + seed)
        points = rng.uniform(-10, 34, (90, 2))
        points = np.round(points / step) * step if step else points
        z = np.repeat(rng.permutation(30), 3)  # each triangle has a depth of its own
        w = rng.choice(np.float32([-2, -0.5, 0.5, 1, 3]), 90)
        vertices = np.column_stack([points, z])
        assert assert_like_twin(vertices, separate_triangles(vertices), w) > 300

    def test_the_lower_index_wins_ties(self):
        rng = np.random.default_rng(25)
        vertices = np.column_stack([rng.integers(0, 24, (60, 2)), rng.choice([0.0, -0.0], 60)])
        w = np.tile(np.float32([1, 1, -1]), 20)
        assert assert_like_twin(vertices, separate_triangles(vertices), w) > 300


def grid_triangles(rows, columns, rng):
    """Two for each cell, the diagonal and the winding changing from cell to cell."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    swap = rng.random(len(a)) < 0.5
    first = np.where(swap[:, None], np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(swap[:, None], np.stack([c, b, d], -1), np.stack([a, d, c], -1))
    flip = rng.random(len(a)) < 0.5
    second[flip] = second[flip][:, ::-1]
    return np.vstack([first, second])


def sphere(rng, count=60):
    """Random points round the camera and the triangles of their hull."""
    points = rng.normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points, ConvexHull(points).simplices


def cube(diagonals):
    """A cube round the camera whose faces are cut at -1 and 1: all corners, and many rays' meetings, are exact."""
    steps = (-2.0, -1.0, 1.0, 2.0)
    points, triangles = [], []
    for axis in range(3):
        for side in (-2.0, 2.0):
            start = len(points)
            for u in steps:
                for v in steps:
                    point = [u, v]
                    point.insert(axis, side)
                    points.append(point)
            triangles.append(start + grid_triangles(4, 4, diagonals))
    return np.array(points), np.vstack(triangles)


class TestSharedEdges:
    """Every pixel once: no hole and no double pixel."""

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("focal", [3.0, 12.0, 100.0])
    def test_a_closed_surface_round_the_camera(self, seed, focal):
        rng = np.random.default_rng(30 + seed)
        points, triangles = sphere(rng)
        points = points * [1, 1 + seed, 0.3] + rng.uniform(-0.05, 0.05, 3)
        vertices, w = project(points, focal)
        crossing = (w[triangles] < 0).any(axis=1) & (w[triangles] > 0).any(axis=1)
        assert crossing.sum() > 8
        np.testing.assert_array_equal(coverage_count(vertices, triangles, w=w), 1)
        assert (drawn_by_all(vertices, triangles, HEIGHT, WIDTH, w).triangle >= 0).all()

    @pytest.mark.parametrize("focal", [1.0, 2.0, 4.0, 8.0])
    @pytest.mark.parametrize("seed", range(2))
    def test_a_cube_whose_edges_meet_the_rays(self, focal, seed):
        points, triangles = cube(np.random.default_rng(seed))
        vertices, w = project(points, focal)
        np.testing.assert_array_equal(vertices[:, :2] * 2, np.round(vertices[:, :2] * 2))
        np.testing.assert_array_equal(coverage_count(vertices, triangles, w=w), 1)

    @pytest.mark.parametrize("bumps", [0.0, 0.05])
    @pytest.mark.parametrize("tilt", [0.0, 0.3])
    def test_a_floor_that_passes_under_the_camera(self, bumps, tilt):
        rng = np.random.default_rng(40)
        across, along = np.meshgrid(np.linspace(-60, 60, 9), np.linspace(-20.3, 20.7, 10))
        points = np.stack([across, np.ones_like(across), along], -1)
        inner = points[1:-1, 1:-1]
        inner += rng.uniform(-1, 1, inner.shape) * [3, bumps, 1]
        points = points.reshape(-1, 3)
        points[:, 1] += tilt * points[:, 0] / 60
        vertices, w = project(points)
        triangles = grid_triangles(10, 9, rng)
        assert ((w[triangles] < 0).any(axis=1) & (w[triangles] > 0).any(axis=1)).sum() > 8
        count = coverage_count(vertices, triangles, w=w)
        assert set(np.unique(count)) == {0, 1}
        # Down from the far rim, 12 / 20.7 pixels below the horizon and at most 0.3 times that beside it: all pixels.
        rows = np.arange(HEIGHT)
        np.testing.assert_array_equal(count[rows > 10 + 12 * 1.3 / 20.7], 1)
        np.testing.assert_array_equal(count[rows <= 10], 0)

    def test_a_triangle_cut_by_a_line_is_the_sum_of_its_parts(self):
        # The cut runs from one corner to a point of the opposite side, in space, on either side of the camera.
        rng = np.random.default_rng(50)
        crossed = 0
        for _ in range(30):
            # Multiples of 1/4 at distances of powers of two: each point's place in the picture is exact.
            corners = np.column_stack([rng.integers(-24, 25, (3, 2)) / 4, rng.choice([-4, -2, -1, 1, 2, 4], 3)])
            corners[2] = corners[1] * [1, 1, -3] + [rng.integers(-8, 9), 0, 0]
            middle = (corners[1] + corners[2]) / 2
            points = np.vstack([corners, middle])
            w = points[:, 2].astype(np.float32)
            vertices = np.column_stack([12 * points[:, :2] / points[:, 2:] + CENTRE, -points[:, 2]])
            if (vertices.astype(np.float32) != vertices).any():
                continue
            parts = coverage_count(vertices, [[0, 1, 3], [0, 3, 2]], w=w)
            whole = coverage_count(vertices, [[0, 1, 2]], w=w)
            np.testing.assert_array_equal(parts, whole)
            crossed += whole.any()
        assert crossed > 5


class TestFloor:
    """Two triangles one below the camera, from 96 behind to 96 in front: exact in the picture."""

    CORNERS = np.array([[-960.0, 1, 96], [960, 1, 96], [-960, 1, -96], [960, 1, -96]])
    TRIANGLES = np.array([[0, 1, 2], [2, 1, 3]])

    def test_it_ends_at_the_horizon(self):
        vertices, w = project(self.CORNERS)
        drawn = rasterize_buffers(vertices, self.TRIANGLES, HEIGHT, WIDTH, w).triangle >= 0
        # The far end is 12 / 96 pixels below the horizon at row 10.
        np.testing.assert_array_equal(drawn, np.arange(HEIGHT)[:, None] >= np.full(WIDTH, 11))

    @pytest.mark.parametrize("threads", [1, 2, 3, 7])
    @pytest.mark.parametrize("side", [1, -1])
    def test_it_fills_rows_far_from_its_corners(self, threads, side):
        # All corners lie within a pixel of the horizon; the kernel draws such a picture in bands of rows.
        vertices, w = project(self.CORNERS * [1, side, 1])
        vertices[:, 1] += 140
        assert np.abs(vertices[:, 1] - 150).max() < 1
        drawn = drawn_by_all(vertices, self.TRIANGLES, 300, 700, w, threads).triangle >= 0
        # At the distance of the first row it reaches 960 pixels to the right.
        np.testing.assert_array_equal(drawn, side * (np.arange(300)[:, None] - 150) >= np.full(700, 1))

    def test_a_ceiling_is_above_it(self):
        vertices, w = project(self.CORNERS * [1, -1, 1])
        drawn = rasterize_buffers(vertices, self.TRIANGLES, HEIGHT, WIDTH, w).triangle >= 0
        np.testing.assert_array_equal(drawn, np.arange(HEIGHT)[:, None] <= np.full(WIDTH, 9))

    def test_what_is_seen_lies_where_the_ray_meets_it(self):
        vertices, w = project(self.CORNERS)
        buffers = rasterize_buffers(vertices, self.TRIANGLES, HEIGHT, WIDTH, w)
        seen = interpolate(buffers, self.TRIANGLES, self.CORNERS)[11:]
        rows, columns = np.mgrid[11:HEIGHT, :WIDTH]
        distance = FOCAL / (rows - 10)
        # Weights are rounded to float32 (6e-8 each), coordinates span 1920, 0 and 192.
        np.testing.assert_allclose(seen[..., 0], (columns - 12) / FOCAL * distance, rtol=0, atol=2.4e-4)
        np.testing.assert_array_equal(seen[..., 1], 1)
        np.testing.assert_allclose(seen[..., 2], distance, rtol=0, atol=2.4e-5)
        # From weights good to 1e-9, rounded once.
        np.testing.assert_allclose(buffers.depth[11:], -distance, rtol=DEPTH_TOLERANCE, atol=4e-7)

    def test_it_is_painted(self):
        vertices, w = project(self.CORNERS)
        colors = np.array([[1.0], [1.0], [0.0], [0.0]])  # by distance: (96 + distance) / 192
        picture = rasterize(vertices, self.TRIANGLES, colors, height=HEIGHT, width=WIDTH, channel=1, w=w)[..., 0]
        expected = 255 * (96 + FOCAL / np.arange(1, HEIGHT - 10)) / 192
        # None is as close to a half as the rounding of weights, 255 * 6e-8, could matter.
        assert np.abs(expected % 1 - 0.5).min() > 1e-3
        np.testing.assert_array_equal(picture[11:], np.tile(np.round(expected)[:, None], (1, WIDTH)))
        assert not picture[:11].any()


class TestDropped:
    def test_corners_in_the_plane_of_the_camera_drop_their_triangles_only(self):
        # A floor with one row of corners at the distance 0, which have no place in the picture.
        points = np.array([[x, 1.0, d] for d in (40, 4, 0, -4) for x in (-90.0, 90.0)])
        w = points[:, 2].astype(np.float32)
        image = FOCAL * points[:, :2] / np.where(w == 0, 1, w)[:, None] + CENTRE
        vertices = np.column_stack([image, -w])
        triangles = np.vstack([TestFloor.TRIANGLES + 2 * row for row in range(3)])
        for zero in (0.0, -0.0):
            w[w == 0] = zero
            buffers = drawn_by_all(vertices, triangles, HEIGHT, WIDTH, w)
            # From 12 / 40 to 12 / 4 pixels below the horizon; the nearer rim is a bottom edge.
            np.testing.assert_array_equal((buffers.triangle >= 0).all(axis=1), [11 <= row < 13 for row in range(20)])
            assert buffers.triangle.max() == 1

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("which", ["x", "y", "z", "w"])
    def test_what_is_not_finite(self, value, which):
        vertices, w = project(np.array([[-5.0, 1, 2], [5, 1, 2], [0, 1, -2]]))
        assert (rasterize_buffers(vertices, [[0, 1, 2]], HEIGHT, WIDTH, w).triangle == 0).any()
        if which == "w":
            w[2] = value
        else:
            vertices[2, "xyz".index(which)] = value
        assert (drawn_by_all(vertices, [[0, 1, 2]], HEIGHT, WIDTH, w).triangle == -1).all()

    def test_in_a_picture_without_a_corner(self):
        # The picture's middle is seen through a triangle whose corners all lie outside, two of them behind.
        vertices, w = project(np.array([[0.03, -3.1, 1], [-50.2, 200.7, -1], [50.4, 201.3, -1]]))
        inside = (vertices[:, 0] > 0) & (vertices[:, 0] < WIDTH) & (vertices[:, 1] > 0) & (vertices[:, 1] < HEIGHT)
        assert not inside.any()
        assert assert_like_rays(vertices, w) > 100


def test_what_is_in_front_of_it_stays_the_same():
    # A floor behind a mesh changes no pixel of the mesh, though it changes the part of the picture that is looked at.
    rng = np.random.default_rng(60)
    points = np.column_stack([rng.uniform(-1, 1, (60, 2)), rng.uniform(1, 2, 60)])
    vertices, w = project(np.vstack([points, TestFloor.CORNERS + [0, 3, 0]]))
    vertices[60:, 2] -= 1000
    triangles = separate_triangles(points)
    alone = rasterize_buffers(vertices[:60], triangles, HEIGHT, WIDTH, w[:60])
    both = rasterize_buffers(vertices, np.vstack([triangles, TestFloor.TRIANGLES + 60]), HEIGHT, WIDTH, w)
    shown = alone.triangle >= 0
    assert 0 < shown.sum() < (both.triangle >= 0).sum()
    for got, wanted in zip(both, alone, strict=True):
        np.testing.assert_array_equal(got[shown], wanted[shown])
