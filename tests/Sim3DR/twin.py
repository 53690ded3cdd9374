"""A slow exact twin of rasterize_buffers, and meshes to compare it on.

Whole numbers without limit, so that no sign is ever in doubt; float64 for weights and depth.
"""

import math
from contextlib import contextmanager
from fractions import Fraction

import numpy as np

from Sim3DR import RasterBuffers, _rasterize, rasterize_buffers

HEIGHT, WIDTH = 20, 24
# Weights are stored as float32 in 0..1 (half a step: 6e-8) and computed to 1e-9.
WEIGHT_TOLERANCE = 1e-7
# Depth is rounded to float32 once (6e-8 of its size) after sums in float64.
DEPTH_TOLERANCE = 1e-7


def whole_coordinates(points):
    """points (3, 2) float32 as Python integers, and the power of two that they were multiplied by."""
    fractions = [[Fraction(float(value)) for value in point] for point in points]
    scale = max(value.denominator for point in fractions for value in point)
    return [[int(value * scale) for value in point] for point in fractions], scale


def twin_areas(points, height, width, w=(1, 1, 1), left=0, top=0):
    """(3, H, W) exact integers: twice the area of each edge (opposite corner k) with each pixel, inside positive.

    Also the mask of the pixels that the triangle covers, (H, W). Of a triangle with corners behind the camera, the part
    in front lies beyond the edges opposite to these. left, top: the first pixel.
    """
    corners, scale = whole_coordinates(points)
    grids = np.mgrid[top : top + height, left : left + width]
    ys, xs = (grid.astype(object) * scale for grid in grids)
    areas, covered = [], np.ones((height, width), bool)
    (ax, ay), (bx, by), (cx, cy) = corners
    twice_area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if twice_area == 0 or max(w) < 0:
        return None, np.zeros((height, width), bool)
    for k in range(3):
        side = 1 if (twice_area > 0) == (w[k] > 0) else -1
        (ax, ay), (bx, by) = corners[(k + 1) % 3], corners[(k + 2) % 3]
        area = ((bx - ax) * (ys - ay) - (by - ay) * (xs - ax)) * side
        # How the area grows to the right and downwards tells a left edge and a top edge.
        to_right, downwards = -(by - ay) * side, (bx - ax) * side
        owns_line = to_right > 0 or (to_right == 0 and downwards > 0)
        covered &= ((area > 0) | ((area == 0) & owns_line)).astype(bool)
        areas.append(area)
    return np.array(areas), covered


def window_of(points, height, width, in_front):
    """The pixels between the corners, at least one: left, top, columns, rows. All of them if not in_front."""
    if not in_front:
        return 0, 0, width, height
    window = []
    for axis, size in enumerate((width, height)):
        low, high = (float(pick(points[:, axis])) for pick in (np.min, np.max))
        first = min(max(math.ceil(low), 0), size - 1)
        window.append((first, max(min(math.floor(high), size - 1) - first + 1, 1)))
    (left, columns), (top, rows) = window
    return left, top, columns, rows


def twin(vertices, triangles, height, width, w=None):
    """rasterize_buffers, one triangle after another; vertices have to be finite."""
    index = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 3))
    depth = np.full((height, width), -np.inf)
    for number, triangle in enumerate(triangles):
        distance = np.ones(3) if w is None else w[triangle].astype(np.float64)
        if (distance == 0).any():
            continue
        points = vertices[triangle, :2]
        left, top, columns, rows = window_of(points, height, width, (distance > 0).all())
        areas, covered = twin_areas(points, rows, columns, distance, left, top)
        if not covered.any():
            continue
        share = (areas[:, covered] / areas[:, covered].sum(axis=0)).astype(np.float64).T
        if w is not None:
            share /= np.abs(distance)
            share /= share.sum(axis=1, keepdims=True)
        nearness = np.full((rows, columns), -np.inf)
        nearness[covered] = (share @ vertices[triangle, 2].astype(np.float64)).astype(np.float32)
        window = np.s_[top : top + rows, left : left + columns]
        wins = covered & (nearness > depth[window])
        index[window][wins], depth[window][wins] = number, nearness[wins]
        weights[window][wins] = share[wins[covered]]
    return index, weights, depth


@contextmanager
def instruction_set(name):
    """Computes with that one, then again with the best."""
    _rasterize.use_instruction_set(name)
    try:
        yield
    finally:
        _rasterize.use_instruction_set(_rasterize.instruction_sets()[0])


def drawn_by_all(vertices, triangles, height, width, w=None, threads=1):
    """rasterize_buffers, after making sure that all instruction sets give the same bytes."""
    best, *others = _rasterize.instruction_sets()
    with instruction_set(best):
        wanted = rasterize_buffers(vertices, triangles, height, width, w, threads=threads)
    for name in others:
        with instruction_set(name):
            got = rasterize_buffers(vertices, triangles, height, width, w, threads=threads)
        for field in RasterBuffers._fields:
            assert getattr(got, field).tobytes() == getattr(wanted, field).tobytes(), f"{field} of {name}"
    return wanted


def assert_like_twin(vertices, triangles, w=None, height=HEIGHT, width=WIDTH):
    """Compares all instruction sets with the twin; returns how many pixels are covered."""
    vertices = np.asarray(vertices, np.float32)
    index, weights, depth = twin(vertices, triangles, height, width, w)
    buffers = drawn_by_all(vertices, triangles, height, width, w)
    np.testing.assert_array_equal(buffers.triangle, index)
    assert buffers.barycentric.min() >= 0
    np.testing.assert_allclose(buffers.barycentric, weights, rtol=0, atol=WEIGHT_TOLERANCE)
    np.testing.assert_allclose(buffers.depth, depth, rtol=DEPTH_TOLERANCE, atol=DEPTH_TOLERANCE)
    return int((index >= 0).sum())


def random_points(rng, count):
    """(count, 3): a third of them or so outside the picture, on every side."""
    return np.column_stack(
        [
            rng.uniform(-WIDTH / 3, WIDTH * 4 / 3, count),
            rng.uniform(-HEIGHT / 3, HEIGHT * 4 / 3, count),
            rng.uniform(-1, 1, count),
        ]
    ).astype(np.float32)


def separate_triangles(vertices):
    return np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


def coverage_count(vertices, triangles, height=HEIGHT, width=WIDTH, w=None):
    """(H, W) how many of the triangles cover each pixel, each drawn alone."""
    count = np.zeros((height, width), int)
    for triangle in triangles:
        count += rasterize_buffers(vertices, [triangle], height, width, w).triangle == 0
    return count
