"""Coverage, weights and depth: against pictures written by hand, a slow exact twin, and geometry worked out by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from Sim3DR import rasterize_buffers
from tests.Sim3DR.twin import (
    HEIGHT,
    WEIGHT_TOLERANCE,
    WIDTH,
    assert_like_twin,
    coverage_count,
    random_points,
    separate_triangles,
    twin_areas,
)


class TestByHand:
    """5 x 5 pictures; '.' is empty, a digit the triangle."""

    @staticmethod
    def drawn(vertices, triangles, height=5, width=5, w=None):
        index = rasterize_buffers(vertices, triangles, height, width, w).triangle
        return ["".join("." if value < 0 else str(value) for value in row) for row in index]

    def test_left_and_top_edges_belong_to_the_triangle_others_do_not(self):
        # Its slanted side, from (4, 0) to (0, 4), passes through pixel centres and is neither left nor top.
        vertices = [[0, 0, 0], [4, 0, 0], [0, 4, 0]]
        assert self.drawn(vertices, [[0, 1, 2]]) == ["0000.", "000..", "00...", "0....", "....."]

    def test_a_square_of_two_triangles_covers_its_left_and_top_border_only(self):
        vertices = [[1, 1, 0], [4, 1, 0], [1, 4, 0], [4, 4, 0]]
        expected = [".....", ".000.", ".001.", ".011.", "....."]
        assert self.drawn(vertices, [[0, 1, 2], [2, 1, 3]]) == expected

    def test_pixel_centres_are_at_whole_numbers(self):
        vertices = [[1.9, 0.9, 0], [2.6, 0.9, 0], [1.9, 1.6, 0]]
        assert self.drawn(vertices, [[0, 1, 2]]) == [".....", "..0..", ".....", ".....", "....."]

    def test_between_centres_nothing_is_drawn(self):
        vertices = [[1.1, 1.1, 0], [1.9, 1.1, 0], [1.1, 1.9, 0]]
        assert self.drawn(vertices, [[0, 1, 2]]) == ["....."] * 5

    def test_y_runs_down(self):
        vertices = [[-1, -1, 0], [9, -1, 0], [-1, 1.5, 0]]
        assert self.drawn(vertices, [[0, 1, 2]]) == ["00000", "0....", ".....", ".....", "....."]

    def test_both_windings_cover_the_same(self):
        vertices = [[0, 0, 0], [4, 1, 0], [1, 4, 0]]
        assert self.drawn(vertices, [[0, 1, 2]]) == self.drawn(vertices, [[0, 2, 1]])
        assert self.drawn(vertices, [[0, 1, 2]]) == [".....", ".000.", ".00..", ".0...", "....."]

    def test_larger_z_is_in_front_in_either_order(self):
        vertices = [[-9, -9, 1], [20, -9, 1], [-9, 20, 1], [1, 1, 2], [4, 1, 2], [1, 4, 2]]
        assert self.drawn(vertices, [[0, 1, 2], [3, 4, 5]]) == ["00000", "01110", "01100", "01000", "00000"]
        assert self.drawn(vertices, [[3, 4, 5], [0, 1, 2]]) == ["11111", "10001", "10011", "10111", "11111"]

    def test_of_equal_depths_the_lower_index_stays(self):
        vertices = [[-9, -9, 1], [20, -9, 1], [-9, 20, 1], [1, 1, 1], [4, 1, 1], [1, 4, 1]]
        assert self.drawn(vertices, [[0, 1, 2], [3, 4, 5]]) == ["00000"] * 5
        assert self.drawn(vertices, [[3, 4, 5], [0, 1, 2]])[1] == "10001"

    def test_weights_and_depth(self):
        buffers = rasterize_buffers([[0, 0, 0], [4, 0, 4], [0, 4, 8]], [[0, 1, 2]], 5, 5)
        # Exact: quarters are float32 numbers. Weights come in the order of the corners.
        np.testing.assert_array_equal(buffers.barycentric[1, 2], [0.25, 0.5, 0.25])
        assert buffers.depth[1, 2] == 0.5 * 4 + 0.25 * 8
        assert buffers.triangle[4, 4] == -1
        np.testing.assert_array_equal(buffers.barycentric[4, 4], 0)
        assert buffers.depth[4, 4] == -np.inf

    def test_no_triangles_and_no_vertices(self):
        assert self.drawn(np.zeros((0, 3)), np.zeros((0, 3), int)) == ["....."] * 5

    def test_one_pixel(self):
        assert self.drawn([[-1, -1, 0], [3, -1, 0], [-1, 3, 0]], [[0, 1, 2]], 1, 1) == ["0"]


class TestAgainstTwin:
    @pytest.mark.parametrize("seed", range(3))
    def test_random_triangles(self, seed):
        vertices = random_points(np.random.default_rng(seed), 90)
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 200

    @pytest.mark.parametrize("seed", range(3))
    def test_random_triangles_in_perspective(self, seed):
        rng = np.random.default_rng(10 + seed)
        vertices = random_points(rng, 60)
        w = (10 ** rng.uniform(-3, 3, len(vertices))).astype(np.float32)
        assert assert_like_twin(vertices, separate_triangles(vertices), w) > 200

    @pytest.mark.parametrize("step", [1.0, 0.5, 0.25])
    def test_corners_on_a_lattice_put_edges_through_centres(self, step):
        # Many of these have corners and edges on pixel centres; some have no area.
        vertices = np.round(random_points(np.random.default_rng(20), 90) / step) * step
        vertices[:, 2] = np.random.default_rng(21).uniform(-1, 1, len(vertices))
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 200

    @pytest.mark.parametrize("offset", [0, 1e-7, 1e-5, 1e-3, 1e-1])
    def test_slivers(self, offset):
        # The third corner lies on the line between the other two, but for the offset and its own rounding.
        rng = np.random.default_rng(30)
        vertices = random_points(rng, 180)
        share = rng.uniform(0, 1, (60, 1)).astype(np.float32)
        vertices[2::3] = share * vertices[0::3] + (1 - share) * vertices[1::3]
        vertices[2::3, 1] += np.float32(offset)
        assert_like_twin(vertices, separate_triangles(vertices))
        # A small weight times the inverse of a small w is a large one: small weights must be good too.
        w = (10 ** rng.uniform(-6, 6, len(vertices))).astype(np.float32)
        assert_like_twin(vertices, separate_triangles(vertices), w)

    def test_slivers_along_rows_of_centres(self):
        # Two ulps of height round a row of centres: each covers a whole row of pixels, with exact weights.
        below, above = np.nextafter(np.float32(7), np.float32(0)), np.nextafter(np.float32(7), np.float32(9))
        vertices = [[-3, below, 0], [40, below, 1], [-3, above, 2], [40, above, 3]]
        assert assert_like_twin(vertices, np.array([[0, 1, 2], [2, 1, 3]])) == WIDTH

    def test_without_area(self):
        vertices = [[0, 0, 0], [4, 4, 0], [8, 8, 0], [3, 3, 0], [3, 3, 1], [3, 3, 2], [0, 5, 0], [9, 5, 0], [5, 5, 0]]
        assert assert_like_twin(vertices, np.vstack([separate_triangles(vertices), [[1, 1, 6]]])) == 0

    @pytest.mark.parametrize("size", [1e4, 1e10, 1e20, 1e30, 3e38])
    def test_far_beyond_the_picture(self, size):
        rng = np.random.default_rng(40)
        vertices = rng.uniform(-1, 1, (36, 3)) * size
        vertices[:9, :2] += [WIDTH / 2, HEIGHT / 2]
        vertices[9:18:3, :2] = rng.uniform(0, 20, (3, 2))  # one corner inside the picture
        vertices[:, 2] = rng.uniform(-1, 1, 36)
        vertices = vertices.astype(np.float32)
        assert np.isfinite(vertices).all()
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 200

    def test_tiny_coordinates(self):
        # Corners 1e-30 to 1e-45 from a pixel centre: float32's smallest numbers.
        rng = np.random.default_rng(50)
        vertices = rng.uniform(-1, 1, (60, 3)) * 10.0 ** rng.uniform(-45, -30, (60, 1))
        vertices[2::3, :2] = rng.uniform(-9, 30, (20, 2))
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 0

    def test_edges_that_miss_a_centre_by_less_than_doubles_resolve(self):
        # Each first corner is 1e-16 to 1e-12 pixels beside a centre, and its long edge leaves it almost level: plain
        # double arithmetic takes some of these centres for outside and others, outside, for inside.
        rng = np.random.default_rng(55)
        corners = np.zeros((600, 3, 3))
        corners[:, 0, 0] = rng.choice([-1, 1], 600) * 10.0 ** rng.uniform(-16, -12, 600)
        corners[:, 0, 1] = row = rng.integers(0, HEIGHT, 600)
        corners[:, 1, :2] = np.stack([rng.uniform(50, 200, 600), row + rng.uniform(-2, 2, 600)], -1)
        corners[:, 2, :2] = rng.uniform(-20, 40, (600, 2))
        for triangle in corners.astype(np.float32):
            _, covered = twin_areas(triangle[:, :2], HEIGHT, 2)
            drawn = rasterize_buffers(triangle, [[0, 1, 2]], HEIGHT, 2).triangle == 0
            np.testing.assert_array_equal(drawn, covered)

    @pytest.mark.parametrize("edge", [-0.5, 0.0, 0.5, WIDTH - 1.5, WIDTH - 1.0, WIDTH - 0.5, WIDTH])
    def test_touching_the_border(self, edge):
        middle, far = (WIDTH - 1) / 2, np.sign(edge - WIDTH / 2) * 9 + edge
        vertices = [[edge, 2, 0], [edge, 12, 0], [middle, 5, 0], [edge, 3, 1], [edge, 15, 1], [far, 9, 1]]
        assert_like_twin(vertices, separate_triangles(vertices))
        turned = np.array(vertices)[:, [1, 0, 2]] * [1, HEIGHT / WIDTH, 1]
        assert_like_twin(turned, separate_triangles(vertices))

    def test_connected_mesh_with_depth(self):
        # A wavy sheet seen at a slant, so that it hides itself.
        v, u = np.mgrid[0:9, 0:9] / 8.0
        vertices = np.stack([30 * u + 3 * np.sin(9 * v) - 3, 26 * v**2 + 4 * np.sin(7 * u) - 3, np.cos(9 * v)], -1)
        index = np.arange(81).reshape(9, 9)
        first = np.stack([index[:-1, :-1], index[1:, :-1], index[:-1, 1:]], -1).reshape(-1, 3)
        second = np.stack([index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 3)
        assert assert_like_twin(vertices.reshape(-1, 3), np.vstack([first, second])) > 200


class TestSharedEdges:
    """Every pixel once: no hole and no double pixel."""

    @pytest.mark.parametrize("step", [None, 0.5, 0.25])
    def test_a_jittered_grid(self, step):
        rng = np.random.default_rng(60)
        rows, columns = 8, 10
        y, x = np.mgrid[0:rows, 0:columns].astype(float)
        # Jitter below half a cell in sum keeps the cells from folding over; the rim lies outside the picture.
        jitter = rng.uniform(-0.24, 0.24, (2, rows, columns))
        x, y = (x + jitter[0]) * 3.5 - 3, (y + jitter[1]) * 3.9 - 3
        if step:
            x, y = np.round(x / step) * step, np.round(y / step) * step
        vertices = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
        index = np.arange(rows * columns).reshape(rows, columns)
        a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
        # The diagonal and the winding change from cell to cell.
        swap, flip = rng.random((2, len(a))) < 0.5
        first = np.where(swap[:, None], np.stack([a, b, c], -1), np.stack([a, b, d], -1))
        second = np.where(swap[:, None], np.stack([c, b, d], -1), np.stack([a, d, c], -1))
        second[flip] = second[flip][:, ::-1]
        np.testing.assert_array_equal(coverage_count(vertices, np.vstack([first, second])), 1)

    @pytest.mark.parametrize("radius", [60.0, 1e6, 1e30])
    @pytest.mark.parametrize("offset", [(0, 0), (1e-7, 0), (-1e-40, 1e-45), (0.3, 0.2), (0.5, 0)])
    def test_a_fan_round_a_point_at_or_near_a_pixel_centre(self, radius, offset):
        angles = np.sort(np.random.default_rng(70).uniform(0, 2 * np.pi, 40))
        rim = radius * np.stack([np.cos(angles), np.sin(angles)], -1)
        rim[0] = [radius, 0]  # one spoke along a row
        for centre in ([0, 0], [11, 9]):
            points = np.vstack([rim, [0, 0]]) + np.add(centre, offset)
            vertices = np.column_stack([points, np.zeros(len(points))])
            spokes = np.arange(40)
            triangles = np.stack([np.full(40, 40), spokes, (spokes + 1) % 40], -1)
            np.testing.assert_array_equal(coverage_count(vertices, triangles), 1)

    def test_long_thin_strips(self):
        # Fifty strips across the picture, each a hundredth of a pixel to a pixel wide.
        x = np.concatenate([[-500], np.sort(np.random.default_rng(80).uniform(-1, WIDTH, 50)), [500]])
        top = np.stack([x + 7, np.full_like(x, -50), np.zeros_like(x)], -1)
        bottom = np.stack([x - 9, np.full_like(x, 70), np.zeros_like(x)], -1)
        index = np.arange(len(x) - 1)
        left = np.stack([index, index + 1, index + len(x)], -1)
        right = np.stack([index + len(x), index + 1, index + len(x) + 1], -1)
        np.testing.assert_array_equal(coverage_count(np.vstack([top, bottom]), np.vstack([left, right])), 1)


class TestPerspective:
    def test_weights_and_depth_of_a_slanted_triangle(self):
        # Camera space: x right, y down, distance forward; focal length 20, centre (12, 10).
        corners = np.array([[-1.0, -1.0, 2.0], [3.0, -2.0, 6.0], [-0.5, 2.5, 4.0]])
        distance = corners[:, 2]
        image = 20 * corners[:, :2] / distance[:, None] + [12, 10]
        vertices = np.column_stack([image, -distance])
        buffers = rasterize_buffers(vertices, [[0, 1, 2]], HEIGHT, WIDTH, w=distance)
        rows, columns = np.nonzero(buffers.triangle == 0)
        assert len(rows) > 50
        rays = np.stack([(columns - 12) / 20, (rows - 10) / 20, np.ones(len(rows))], -1)
        # A point of the triangle on the ray r: sum_i b_i corner_i = t r, sum_i b_i = 1.
        weights = np.linalg.solve(corners.T, rays.T).T
        weights /= weights.sum(axis=1, keepdims=True)
        # The image points were rounded to float32: 1e-6 pixels in a triangle of some 20.
        np.testing.assert_allclose(buffers.barycentric[rows, columns], weights, rtol=0, atol=1e-6)
        # The same, at distances of up to 6.
        np.testing.assert_allclose(buffers.depth[rows, columns], -(weights @ distance), rtol=0, atol=6e-6)

    def test_half_way_in_the_picture_is_nearer_to_the_near_end(self):
        vertices = [[0, -1, -1], [4, -1, -3], [0, 9, -1]]
        buffers = rasterize_buffers(vertices, [[0, 1, 2]], 5, 5, w=[1, 3, 1])
        flat = rasterize_buffers(vertices, [[0, 1, 2]], 5, 5)
        # Row 0, column 1: (0.65, 0.25, 0.1) in the picture; 1/3 : 1 for the far corner.
        np.testing.assert_allclose(flat.barycentric[0, 1], [0.65, 0.25, 0.1], atol=WEIGHT_TOLERANCE)
        expected = np.array([0.65, 0.25 / 3, 0.1]) / (0.65 + 0.25 / 3 + 0.1)
        np.testing.assert_allclose(buffers.barycentric[0, 1], expected, atol=WEIGHT_TOLERANCE)

    def test_equal_w_changes_nothing(self):
        vertices = random_points(np.random.default_rng(90), 30)
        triangles = separate_triangles(vertices)
        flat = rasterize_buffers(vertices, triangles, HEIGHT, WIDTH)
        same = rasterize_buffers(vertices, triangles, HEIGHT, WIDTH, np.full(30, 0.7))
        np.testing.assert_array_equal(flat.triangle, same.triangle)
        np.testing.assert_allclose(flat.barycentric, same.barycentric, rtol=0, atol=WEIGHT_TOLERANCE)

    def test_extreme_w(self):
        # From float32's smallest to its largest number: still finite, and summing to one.
        vertices = [[0, -1, -1], [40, -1, -3], [0, 90, -1]]
        smallest, largest = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
        buffers = rasterize_buffers(vertices, [[0, 1, 2]], 5, 5, w=[1, smallest, largest])
        np.testing.assert_allclose(buffers.barycentric.sum(axis=2), 1, rtol=0, atol=2 * WEIGHT_TOLERANCE)


class TestDropped:
    VERTICES = ((0, 0, 0), (4, 0, 0), (0, 4, 0), (4, 4, 0))
    TRIANGLES = ((0, 1, 2), (2, 1, 3))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_coordinate_that_is_not_finite(self, value, axis):
        vertices = np.array(self.VERTICES, float)
        vertices[0, axis] = value
        whole = rasterize_buffers(self.VERTICES, self.TRIANGLES, 5, 5).triangle
        drawn = rasterize_buffers(vertices, self.TRIANGLES, 5, 5).triangle
        np.testing.assert_array_equal(drawn, np.where(whole == 1, 1, -1))

    @pytest.mark.parametrize("value", [0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 1e-300])
    def test_w_that_is_not_in_front_of_the_camera(self, value):
        # 1e-300 is 0 as float32.
        whole = rasterize_buffers(self.VERTICES, self.TRIANGLES, 5, 5).triangle
        drawn = rasterize_buffers(self.VERTICES, self.TRIANGLES, 5, 5, w=[1, 1, 1, value]).triangle
        np.testing.assert_array_equal(drawn, np.where(whole == 0, 0, -1))

    def test_the_largest_depth_stays_finite(self):
        largest = np.finfo(np.float32).max
        vertices = np.add(self.VERTICES, (0, 0, largest))
        buffers = rasterize_buffers(vertices, self.TRIANGLES, 5, 5)
        assert (buffers.depth[buffers.triangle >= 0] == largest).all()


def test_the_same_from_several_threads():
    rng = np.random.default_rng(100)
    vertices = random_points(rng, 3000) * np.float32(8)
    triangles = separate_triangles(vertices)
    expected = rasterize_buffers(vertices, triangles, 160, 192)
    with ThreadPoolExecutor(4) as pool:
        for buffers in pool.map(lambda _: rasterize_buffers(vertices, triangles, 160, 192), range(8)):
            for got, wanted in zip(buffers, expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
