"""What holds for every mesh: hypothesis looks for one for which it does not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from Sim3DR import interpolate, rasterize, rasterize_buffers
from tests.Sim3DR.twin import WEIGHT_TOLERANCE, assert_like_twin, coverage_count, drawn_by_all, twin_areas

ROWS, COLUMNS = 9, 12

# The same examples in every run, none kept.
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=150, database=None)
settings.load_profile("fixed")

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
near = st.floats(-6, 18, width=32)
whole = st.integers(-6, 18).map(float)
eighths = st.integers(-60, 160).map(lambda value: value / 8)
distances = st.floats(2**-6, 64, width=32)
both_sides = st.one_of(distances, distances.map(lambda value: -value))


@st.composite
def scenes(draw, coordinates, most=6, w=None):
    """vertices, triangles, and w or None. Each triangle has corners and a depth of its own, all depths differ."""
    count = draw(st.integers(1, most))
    points = draw(arrays(np.float32, (3 * count, 2), elements=coordinates))
    depths = draw(st.permutations(range(count)))
    vertices = np.column_stack([points, np.repeat(depths, 3)]).astype(np.float32)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    return vertices, triangles, None if w is None else draw(arrays(np.float32, 3 * count, elements=w))


@st.composite
def shared_corners(draw, coordinates):
    """vertices and triangles that may have any corner in common, or twice."""
    count = draw(st.integers(1, 9))
    vertices = draw(arrays(np.float32, (count, 3), elements=coordinates))
    triangles = draw(arrays(np.int32, (draw(st.integers(0, 8)), 3), elements=st.integers(0, count - 1)))
    return vertices, triangles


def assert_same_bytes(got, wanted):
    for one, other in zip(got, wanted, strict=True):
        assert one.tobytes() == other.tobytes()


class TestMoved:
    @given(scenes(eighths, w=both_sides), st.booleans(), st.integers(-14, 14), st.integers(-14, 14))
    def test_by_whole_pixels(self, scene, perspective, right, down):
        # In eighths every edge function is exact, wherever it is reckoned from: the same bits.
        vertices, triangles, w = scene
        w = w if perspective else None
        # A picture with room on all sides, so that what is compared lies in both.
        here = rasterize_buffers(vertices + np.float32([14, 14, 0]), triangles, ROWS + 28, COLUMNS + 28, w)
        there = rasterize_buffers(vertices + np.float32([right, down, 0]), triangles, ROWS, COLUMNS, w)
        window = np.s_[14 - down : 14 - down + ROWS, 14 - right : 14 - right + COLUMNS]
        assert_same_bytes(there, [np.ascontiguousarray(array[window]) for array in here])

    @given(scenes(eighths, most=1, w=both_sides), st.booleans(), st.sampled_from(["x", "y", "transposed"]))
    def test_mirrored(self, scene, perspective, how):
        # All but centres on an edge, which belong to one side of it only.
        vertices, triangles, w = scene
        w = w if perspective else None
        areas, _ = twin_areas(vertices[:, :2], ROWS, COLUMNS, (1, 1, 1) if w is None else w)
        clear = np.ones((ROWS, COLUMNS), bool) if areas is None else (areas != 0).all(axis=0)
        upright = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        if how == "transposed":
            other = rasterize_buffers(vertices[:, [1, 0, 2]], triangles, COLUMNS, ROWS, w)
            other = [np.swapaxes(array, 0, 1) for array in other]
        else:
            axis = "xy".index(how)
            size = (COLUMNS, ROWS)[axis]
            turned = vertices.copy()
            turned[:, axis] = size - 1 - turned[:, axis]
            other = [np.flip(array, 1 - axis) for array in rasterize_buffers(turned, triangles, ROWS, COLUMNS, w)]
        np.testing.assert_array_equal(other[0][clear], upright.triangle[clear])
        # Either is within the tolerance of the truth.
        np.testing.assert_allclose(other[1][clear], upright.barycentric[clear], rtol=0, atol=2 * WEIGHT_TOLERANCE)


class TestPermuted:
    @given(st.data(), scenes(st.one_of(near, whole), most=8, w=both_sides), st.booleans())
    def test_triangles(self, data, scene, perspective):
        vertices, triangles, w = scene
        w = w if perspective else None
        order = np.array(data.draw(st.permutations(range(len(triangles)))))
        wanted = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        got = rasterize_buffers(vertices, triangles[order], ROWS, COLUMNS, w)
        np.testing.assert_array_equal(np.where(got.triangle < 0, -1, order[got.triangle]), wanted.triangle)
        assert_same_bytes(got[1:], wanted[1:])

    @given(scenes(st.one_of(near, whole), w=both_sides), st.booleans(), st.permutations(range(3)))
    def test_corners(self, scene, perspective, order):
        vertices, triangles, w = scene
        w = w if perspective else None
        wanted = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        got = rasterize_buffers(vertices, triangles[:, order], ROWS, COLUMNS, w)
        np.testing.assert_array_equal(got.triangle, wanted.triangle)
        # Either is within the tolerance of the truth.
        np.testing.assert_allclose(got.barycentric, wanted.barycentric[..., order], rtol=0, atol=2 * WEIGHT_TOLERANCE)


class TestSplit:
    @given(
        arrays(np.float64, (3, 2), elements=st.integers(-40, 80).map(lambda value: value / 4)),
        st.integers(0, 16),
        st.integers(0, 16),
        st.booleans(),
    )
    def test_at_a_point_inside_or_on_a_side(self, corners, first, second, tiny):
        # The point is a sum of sixteenths of the corners: exact.
        second = min(second, 16 - first)
        point = np.array([first, second, 16 - first - second]) @ corners / 16
        points = np.vstack([corners, point]) * (2.0**-3 if tiny else 1.0)
        vertices = np.column_stack([points, np.zeros(4)]).astype(np.float32)
        np.testing.assert_array_equal(vertices[:, :2], points)
        parts = coverage_count(vertices, [[0, 1, 3], [1, 2, 3], [2, 0, 3]], ROWS, COLUMNS)
        np.testing.assert_array_equal(parts, coverage_count(vertices, [[0, 1, 2]], ROWS, COLUMNS))


class TestPainting:
    @given(
        st.data(),
        scenes(st.one_of(near, whole), w=both_sides),
        st.integers(1, 4),
        st.sampled_from([0.0, 0.25, 0.7, 1.0]),
    )
    def test_is_interpolating_and_rounding(self, data, scene, channels, alpha):
        vertices, triangles, w = scene
        colors = data.draw(arrays(np.float32, (len(vertices), channels), elements=st.floats(-0.5, 1.5, width=32)))
        background = data.draw(arrays(np.uint8, (ROWS, COLUMNS, channels)))
        buffers = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        covered = buffers.triangle >= 0
        first, second, third = colors[triangles[buffers.triangle[covered]]].transpose(1, 0, 2).astype(np.float64)
        _, b, c = buffers.barycentric[covered].T[..., None].astype(np.float64)
        values = 255 * np.clip(first + b * (second - first) + c * (third - first), 0, 1)
        if alpha < 1:
            values = (1 - alpha) * background[covered] + alpha * values
        wanted = background.copy()
        wanted[covered] = np.floor(values + 0.5)
        np.testing.assert_array_equal(rasterize(vertices, triangles, colors, background, w=w, alpha=alpha), wanted)

    @given(st.data(), scenes(st.one_of(near, whole), w=both_sides), st.integers(1, 4))
    def test_on_floats_is_interpolating(self, data, scene, channels):
        vertices, triangles, w = scene
        colors = data.draw(arrays(np.float32, (len(vertices), channels), elements=st.floats(-1e6, 1e6, width=32)))
        background = np.full((ROWS, COLUMNS, channels), -7, np.float32)
        buffers = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        values = interpolate(buffers, triangles, colors)
        wanted = np.where(buffers.triangle[..., None] >= 0, values, background)
        np.testing.assert_array_equal(rasterize(vertices, triangles, colors, background, w=w), wanted)

    @given(scenes(st.one_of(near, whole), w=both_sides), st.floats(-(2.0**100), 2.0**100, width=32))
    def test_what_all_corners_share_comes_back(self, scene, value):
        vertices, triangles, w = scene
        vertices[:, 2] = value
        buffers = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, w)
        values = interpolate(buffers, triangles, np.full((len(vertices), 1), value, np.float32))
        covered = buffers.triangle >= 0
        assert (values[covered] == np.float32(value)).all()
        assert (buffers.depth[covered] == np.float32(value)).all()
        assert (buffers.triangle[covered] < len(triangles)).all()


class TestAnyNumbers:
    @given(scenes(finite, most=4, w=st.one_of(finite, both_sides)), st.booleans())
    def test_finite_ones_are_drawn_like_the_twin(self, scene, perspective):
        vertices, triangles, w = scene
        assert_like_twin(vertices, triangles, w if perspective else None, 5, 6)

    @given(scenes(st.one_of(finite, near, whole), most=4, w=both_sides), st.booleans())
    def test_near_and_far_ones_are_drawn_like_the_twin(self, scene, perspective):
        vertices, triangles, w = scene
        assert_like_twin(vertices, triangles, w if perspective else None, 5, 6)

    @given(shared_corners(st.one_of(finite, near, whole)))
    def test_depth_is_between_those_of_the_corners(self, mesh):
        vertices, triangles = mesh
        buffers = drawn_by_all(vertices, triangles, ROWS, COLUMNS)
        covered = buffers.triangle >= 0
        z = vertices[triangles[buffers.triangle[covered]], 2].astype(np.float64)
        # Weights are good to 1e-9; the smallest number is the rounding of subnormal ones.
        slack = 4e-9 * np.abs(z).max(axis=1, initial=0) + np.finfo(np.float32).smallest_subnormal
        depth = buffers.depth[covered]
        # Rounding to float32 cannot lead out of the range of three float32 numbers, inaccurate weights could.
        assert (depth >= z.min(axis=1, initial=np.inf) - slack).all()
        assert (depth <= z.max(axis=1, initial=-np.inf) + slack).all()

    @given(st.data(), arrays(np.uint32, (9, 3)), arrays(np.uint32, 9), st.booleans())
    def test_bit_patterns_are_drawn_as_without_what_is_not_finite(self, data, patterns, distance_patterns, usual):
        vertices, w = patterns.view(np.float32), distance_patterns.view(np.float32)
        if usual:  # some ordinary corners, so that something shows
            vertices[:6] = data.draw(arrays(np.float32, (6, 3), elements=near))
            w[:6] = data.draw(arrays(np.float32, 6, elements=both_sides))
        triangles = data.draw(arrays(np.int32, (6, 3), elements=st.integers(0, 8)))
        drawable = np.isfinite(vertices).all(axis=1) & np.isfinite(w) & (w != 0)
        kept = np.nonzero(drawable[triangles].all(axis=1))[0]
        got = drawn_by_all(vertices, triangles, ROWS, COLUMNS, w)
        wanted = drawn_by_all(vertices, triangles[kept], ROWS, COLUMNS, w)
        shown = wanted.triangle >= 0
        np.testing.assert_array_equal(got.triangle[~shown], -1)
        np.testing.assert_array_equal(got.triangle[shown], kept[wanted.triangle[shown]])
        assert_same_bytes(got[1:], wanted[1:])
