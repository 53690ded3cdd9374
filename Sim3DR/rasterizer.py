"""What each pixel shows, and values at it: arguments are checked and converted for the compiled kernel.

What a pixel, a covered pixel, depth and w are is specified in the package's docstring.
"""

import os
from typing import NamedTuple

import numpy as np

from . import _rasterize
from .checks import (
    MAXIMUM_INT,
    MAXIMUM_THREADS,
    check_floats,
    check_number,
    check_out,
    check_shape,
    check_side,
    check_triangles,
)


class RasterBuffers(NamedTuple):
    """What each pixel of an (H, W) picture shows."""

    triangle: np.ndarray  # (H, W) int32, index of the triangle, -1 where empty
    barycentric: np.ndarray  # (H, W, 3) float32, weights of its corners, which sum to 1; 0 where empty
    depth: np.ndarray  # (H, W) float32, z there, larger is nearer; -inf where empty


def rasterize_buffers(vertices, triangles, height, width, w=None, out=None, *, threads=1):
    """Which triangle each pixel shows, and where in it.

    vertices (N, 3): x right and y down in pixels, centres at whole numbers; z, larger is nearer.
    triangles (F, 3): vertex indices, either winding.
    w (N,): distance along the view direction, any unit; makes weights and depth perspective-correct.
    out: RasterBuffers to write into and return, in place of new ones. threads: over how many to spread the rows; the
    result is the same.

    Returns RasterBuffers of height x width.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range; an `out` that is read-only, not in C
    order, or that overlaps another argument.
    """
    sources = {"vertices": vertices, "triangles": triangles, "w": w}
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    height = check_side("height", height)
    width = check_side("width", width)
    if w is not None:
        w = check_floats("w", w, (len(vertices),))
    threads = check_number("threads", threads, MAXIMUM_THREADS)
    if out is None:
        out = _new_buffers((height, width))
    else:
        _check_out_buffers(out, (height, width), sources)
    _rasterize.rasterize_buffers(vertices, w, triangles, *out, threads)
    return out


def rasterize_batch(vertices, triangles, height, width, w=None, out=None, *, threads=None):
    """rasterize_buffers for several meshes with the same triangles, spread over threads.

    vertices (B, N, 3), triangles (F, 3), w (B, N): as there, a leading axis for the mesh. out: RasterBuffers with that
    axis. threads: as many as the process may use, unless told otherwise; the result is the same.

    Returns RasterBuffers with a leading axis of length B.
    Raises TypeError, ValueError: as rasterize_buffers.
    """
    sources = {"vertices": vertices, "triangles": triangles, "w": w}
    vertices = check_floats("vertices", vertices, ("B", "N", 3))
    triangles = check_triangles("triangles", triangles, vertices.shape[1])
    shape = (len(vertices), check_side("height", height), check_side("width", width))
    if w is not None:
        w = check_floats("w", w, vertices.shape[:2])
    threads = _usable_processors() if threads is None else check_number("threads", threads, MAXIMUM_THREADS)
    if out is None:
        out = _new_buffers(shape)
    else:
        _check_out_buffers(out, shape, sources)
    _rasterize.rasterize_batch(vertices, w, triangles, *out, threads)
    return out


def _usable_processors():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _new_buffers(shape):
    """RasterBuffers for pictures of shape (..., H, W), not filled: the kernel writes every element."""
    return RasterBuffers(np.empty(shape, np.int32), np.empty((*shape, 3), np.float32), np.empty(shape, np.float32))


def _check_out_buffers(out, shape, sources):
    if not isinstance(out, RasterBuffers):
        raise TypeError(f"out: wanted RasterBuffers, got a {type(out).__name__}")
    inputs = {name: np.asarray(value) for name, value in sources.items() if value is not None}
    for field, dtype in zip(RasterBuffers._fields, (np.int32, np.float32, np.float32), strict=True):
        wanted = (*shape, 3) if field == "barycentric" else shape
        array = getattr(out, field)
        check_out(f"out.{field}", array, wanted, dtype, inputs)
        inputs[f"out.{field}"] = array


def _check_buffers(buffers, triangle_count):
    """`buffers` as two C-ordered arrays: triangle (H, W) with indices below triangle_count, barycentric (H, W, 3)."""
    if not isinstance(buffers, RasterBuffers):
        raise TypeError(f"buffers: wanted RasterBuffers, got a {type(buffers).__name__}")
    triangle = np.asarray(buffers.triangle)
    if triangle.dtype != np.int32:
        raise TypeError(f"buffers.triangle: wanted int32, got {triangle.dtype}")
    check_shape("buffers.triangle", triangle, ("H", "W"))
    # Any list of pixels will do, however long: where they lie does not matter here.
    if not all(1 <= side <= MAXIMUM_INT for side in triangle.shape):
        raise ValueError(f"buffers.triangle: wanted 1..{MAXIMUM_INT} rows and columns, got {triangle.shape}")
    highest = triangle.max()
    if highest >= triangle_count:
        raise ValueError(f"buffers.triangle: wanted indices below {triangle_count}, as triangles has, got {highest}")
    barycentric = check_floats("buffers.barycentric", buffers.barycentric, (*triangle.shape, 3), kinds="f")
    return np.require(triangle, requirements=["C", "A"]), barycentric


def interpolate(buffers, triangles, attributes, out=None):
    """Per-vertex values at every pixel, under the weights in `buffers`.

    buffers: RasterBuffers. triangles (F, 3): as many rows as were rasterized; they may index other rows than the
    vertices, such as a texture coordinate of which a vertex has several. attributes (N, C): any unit.
    out: (H, W, C) float32 to write into and return.

    Returns (H, W, C) float32, 0 where empty.
    Raises TypeError, ValueError: as rasterize_buffers; buffers that show triangles that `triangles` does not have.
    """
    sources = {"triangles": triangles, "attributes": attributes}
    attributes = check_floats("attributes", attributes, ("N", "C"))
    if attributes.shape[1] == 0:
        raise ValueError(f"attributes: wanted at least one column, got {attributes.shape}")
    triangles = check_triangles("triangles", triangles, len(attributes))
    triangle, barycentric = _check_buffers(buffers, len(triangles))
    shape = (*triangle.shape, attributes.shape[1])
    if out is None:
        out = np.empty(shape, np.float32)  # the kernel writes every element
    else:
        inputs = {name: np.asarray(value) for name, value in sources.items()}
        for field, array in buffers._asdict().items():
            inputs[f"buffers.{field}"] = np.asarray(array)
        check_out("out", out, shape, np.float32, inputs)
    _rasterize.interpolate(triangle, barycentric, triangles, attributes, out)
    return out


def get_normal(vertices, triangles):
    """Unit normals of the vertices, each the sum of its triangles' normals, weighted by their areas.

    vertices (N, 3), triangles (F, 3). The normal of a triangle (a, b, c) is along (b - a) x (c - a), so its winding
    decides the side. A triangle with a coordinate that is not finite adds nothing.

    Returns (N, 3) float32; zero where a vertex has no triangle or its triangles' normals cancel.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    normals = np.empty(vertices.shape, np.float32)
    _rasterize.vertex_normals(vertices, triangles, normals)
    return normals
