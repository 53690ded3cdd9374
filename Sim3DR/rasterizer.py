"""The drawing functions: they check and convert their arguments and call the compiled kernel.

What a pixel, a covered pixel, depth and w are is specified in the package's docstring.
"""

from typing import NamedTuple

import numpy as np

from . import _rasterize
from .checks import (
    check_floats,
    check_out,
    check_picture,
    check_shape,
    check_side,
    check_triangles,
)


class RasterBuffers(NamedTuple):
    """What each pixel of an (H, W) picture shows."""

    triangle: np.ndarray  # (H, W) int32, index of the triangle, -1 where empty
    barycentric: np.ndarray  # (H, W, 3) float32, weights of its corners, which sum to 1; 0 where empty
    depth: np.ndarray  # (H, W) float32, z there, larger is nearer; -inf where empty


def rasterize_buffers(vertices, triangles, height, width, w=None, out=None):
    """Which triangle each pixel shows, and where in it.

    vertices (N, 3): x right and y down in pixels, centres at whole numbers; z, larger is nearer.
    triangles (F, 3): vertex indices, either winding.
    w (N,): distance along the view direction, any unit; makes weights and depth perspective-correct.
    out: RasterBuffers to write into and return, in place of new ones.

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
    if out is None:
        # The kernel writes every element.
        out = RasterBuffers(
            np.empty((height, width), np.int32),
            np.empty((height, width, 3), np.float32),
            np.empty((height, width), np.float32),
        )
    else:
        _check_out_buffers(out, height, width, sources)
    _rasterize.rasterize_buffers(vertices, w, triangles, *out)
    return out


def _check_out_buffers(out, height, width, sources):
    if not isinstance(out, RasterBuffers):
        raise TypeError(f"out: wanted RasterBuffers, got a {type(out).__name__}")
    inputs = {name: np.asarray(value) for name, value in sources.items() if value is not None}
    for field, dtype in zip(RasterBuffers._fields, (np.int32, np.float32, np.float32), strict=True):
        shape = (height, width, 3) if field == "barycentric" else (height, width)
        array = getattr(out, field)
        check_out(f"out.{field}", array, shape, dtype, inputs)
        inputs[f"out.{field}"] = array


def _check_buffers(buffers, triangle_count):
    """`buffers` as two C-ordered arrays: triangle (H, W) with indices below triangle_count, barycentric (H, W, 3)."""
    if not isinstance(buffers, RasterBuffers):
        raise TypeError(f"buffers: wanted RasterBuffers, got a {type(buffers).__name__}")
    triangle = np.asarray(buffers.triangle)
    if triangle.dtype != np.int32:
        raise TypeError(f"buffers.triangle: wanted int32, got {triangle.dtype}")
    check_shape("buffers.triangle", triangle, ("H", "W"))
    if triangle.size == 0:
        raise ValueError(f"buffers.triangle: wanted at least one pixel, got {triangle.shape}")
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


def _start_picture(bg, height, width, channel):
    """A new picture to draw on: a copy of bg, or black."""
    if bg is None:
        if height is None or width is None or channel is None:
            raise ValueError(f"wanted bg, or height, width and channel; got {height}, {width} and {channel}")
        return np.zeros(
            (check_side("height", height), check_side("width", width), check_side("channel", channel)), np.uint8
        )
    picture = np.array(check_picture("bg", bg), order="C")
    for name, given, actual in zip(
        ("height", "width", "channel"), (height, width, channel), picture.shape, strict=True
    ):
        if given is not None and given != actual:
            raise ValueError(f"{name}: wanted none or bg's {actual}, got {given}")
    return picture


def rasterize(vertices, triangles, colors, bg=None, height=None, width=None, channel=None, reverse=False, *, w=None):
    """A mesh with a colour at each vertex, drawn over a picture.

    vertices, triangles, w: as in rasterize_buffers. colors (N, C): floats in 0..1; drawn as 255 * c, clipped to 0..255
    and rounded to the nearest; NaN is drawn as 0. bg (H, W, C) uint8: what to draw over; without it, black of
    height x width x channel. reverse: mirrors the drawing, not bg, top to bottom.

    Returns a new (H, W, C) uint8 picture; bg stays as it is.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    picture = _start_picture(bg, height, width, channel)
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    colors = check_floats("colors", colors, (len(vertices), picture.shape[2]), kinds="f")
    buffers = rasterize_buffers(vertices, triangles, *picture.shape[:2], w=w)
    target = picture[::-1] if reverse else picture
    _rasterize.paint_colors(buffers.triangle, buffers.barycentric, triangles, colors, target)
    return picture


def render_texture(vertices, triangles, texture, uv, bg, w=None, uv_triangles=None):
    """A mesh with a texture, drawn over a picture.

    vertices, triangles, w: as in rasterize_buffers. texture (h, w, C): uint8, or floats in 0..1. uv (N, 2): u from the
    left, v from the bottom of the texture (as in OBJ files), 0..1 from border to border. bg (H, W, C) uint8.
    uv_triangles (F, 3): rows of uv for each triangle's corners, where they are not those of the vertices; uv is then
    (M, 2).

    Bilinear between texel centres; beyond the outermost ones, and beyond 0..1, the border texel. Drawn clipped and
    rounded as colors are in rasterize.

    Returns a new (H, W, C) uint8 picture; bg stays as it is.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    picture = np.array(check_picture("bg", bg), order="C")
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    uv = check_floats("uv", uv, ("M" if uv_triangles is not None else len(vertices), 2))
    if uv_triangles is None:
        uv_triangles = triangles
    else:
        uv_triangles = check_triangles("uv_triangles", uv_triangles, len(uv))
        check_shape("uv_triangles", uv_triangles, triangles.shape)
    if np.asarray(texture).dtype == np.uint8:
        texture = np.require(check_picture("texture", texture, picture.shape[2]), requirements=["C", "A"])
        paint = _rasterize.paint_byte_texture
    else:
        texture = check_floats("texture", texture, ("h", "w", picture.shape[2]), kinds="f")
        if texture.size == 0:
            raise ValueError(f"texture: wanted at least one texel, got {texture.shape}")
        paint = _rasterize.paint_float_texture
    buffers = rasterize_buffers(vertices, triangles, *picture.shape[:2], w=w)
    paint(buffers.triangle, buffers.barycentric, uv_triangles, uv, texture, picture)
    return picture


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
    _rasterize.vertex_normals(vertices, triangles, np.zeros(vertices.shape), normals)
    return normals
