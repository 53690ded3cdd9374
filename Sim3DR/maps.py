"""Pictures of what a mesh is like rather than how it looks: normals, depth, coordinates, its edges."""

import math
from itertools import product

import numpy as np

from .checks import check_floats, check_shape
from .drawing import Drawing
from .rasterizer import RasterBuffers, interpolate, rasterize_buffers

# The time grows with the square of the width; this keeps a mistyped one from taking for ever.
MAXIMUM_LINE_WIDTH = 16
# So many pixels' edges are worked on at a time, which bounds the memory.
BLOCK = 1 << 17


def normal_picture(normals, buffers, triangles):
    """Normals as colours.

    normals (N, 3): as get_normal gives them, of any length. buffers, triangles: as in interpolate.

    Each pixel's normal n is interpolated, made of length 1 again and shown as 255 * (n + 1) / 2, clipped to 0..255 and
    rounded to the nearest, halves up: channels 0, 1 and 2 are x (right), y (down) and z (to the viewer), and 128 is 0.
    A normal without length or direction, such as one with NaN, is (128, 128, 128). Empty pixels are (0, 0, 0), which no
    normal is.

    Returns (H, W, 3) uint8.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range; buffers that show triangles that
    `triangles` does not have.
    """
    normals = check_floats("normals", normals, ("N", 3), kinds="f")
    values = interpolate(buffers, triangles, normals)
    shown = np.asarray(buffers.triangle) >= 0
    directions = values[shown].astype(np.float64)
    length = np.sqrt(np.einsum("pc,pc->p", directions, directions))
    directed = np.isfinite(length) & (length > 0)
    directions[~directed], length[~directed] = 0, 1
    picture = np.zeros(values.shape, np.uint8)
    picture[shown] = _rounded(255 * (directions / length[:, None] + 1) / 2)
    return picture


def depth_picture(buffers):
    """Depth as grey levels.

    buffers: RasterBuffers.

    Levels are linear in depth: the nearest pixel is 255, the farthest 1; where all are equally near, 255. Empty pixels
    are 0.

    Returns (H, W) uint8.
    Raises TypeError, ValueError: buffers of the wrong kind or shape.
    """
    if not isinstance(buffers, RasterBuffers):
        raise TypeError(f"buffers: wanted RasterBuffers, got a {type(buffers).__name__}")
    depth = check_floats("buffers.depth", buffers.depth, ("H", "W"), kinds="f")
    shown = np.isfinite(depth)
    picture = np.zeros(depth.shape, np.uint8)
    if shown.any():
        behind_nearest = depth[shown].max() - depth[shown].astype(np.float64)
        picture[shown] = np.floor(255.5 - 254 * (behind_nearest / (behind_nearest.max() or 1)))
    return picture


def coordinate_colors(vertices):
    """The normalised coordinate code (NCC) of a mesh: where on it a vertex is, as a colour.

    vertices (N, 3): of a mean face, in any unit and frame; finite.

    x, y and z are each shifted and scaled to 0..1; an axis along which the mesh has no extent gives 0. Drawn on the
    posed mesh of the same vertices they are the projected code, PNCC, from which the place on the face can be read at
    every pixel:

        pncc = rasterize(posed_vertices, triangles, coordinate_colors(mean_vertices), height=h, width=w, channel=3)

    Zhu, Lei, Liu, Shi, Li: Face Alignment Across Large Poses: A 3D Solution (3DDFA), CVPR 2016, section 3.2.

    Returns (N, 3) float32.
    Raises TypeError, ValueError: vertices of the wrong kind or shape, or that are not finite.
    """
    vertices = check_floats("vertices", vertices, ("N", 3)).astype(np.float64)
    if not np.isfinite(vertices).all():
        raise ValueError("vertices: wanted finite numbers, got NaN or infinity")
    if len(vertices) == 0:
        return vertices.astype(np.float32)
    low = vertices.min(axis=0)
    extent = vertices.max(axis=0) - low
    return ((vertices - low) / np.where(extent > 0, extent, 1)).astype(np.float32)


def wireframe(vertices, triangles, bg, color, line_width=1.0, w=None, *, alpha=1.0, out=None, threads=1):
    """The edges of a mesh, hidden ones removed, drawn over a picture.

    vertices, triangles, w, bg, out, threads: as in rasterize. color (C,): floats in 0..1, drawn as rasterize draws
    them. line_width: in pixels, more than 0 and up to MAXIMUM_LINE_WIDTH. alpha: how much of the lines shows
    over bg, 0..1, one number.

    Lines are antialiased: where a pixel's centre is at a distance d from the nearest edge, they cover clip(line_width /
    2 + 1 / 2 - d, 0, min(line_width, 1)) of it, which is exact for level and upright lines. Each pixel is blended once.
    Edges are those of the triangle seen at the pixel; where the mesh ends, at silhouettes and at its border, also those
    of nearer triangles seen at pixels close by. So edges of triangles that are seen at no pixel's centre may be
    missing, and a mesh whose triangles are about as small as pixels comes out filled.

    Returns the picture, of bg's shape and type; bg stays as it is unless it is out.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    check_shape("alpha", np.asarray(alpha), ())
    drawing = Drawing(vertices, triangles, w, bg, (None, None, None), alpha, 1, threads)
    values = check_floats("color", color, (drawing.channels,), kinds="f")
    return drawing.draw(_paint_lines, (values, _line_width(line_width)), out, {"color": color})


def _line_width(line_width):
    number = check_floats("line_width", line_width, ())
    if not 0 < number <= MAXIMUM_LINE_WIDTH:
        raise ValueError(f"line_width: wanted more than 0, up to {MAXIMUM_LINE_WIDTH}, got {line_width}")
    return float(number)


def _paint_lines(vertices, w, triangles, color, line_width, opacity, _, pixels, threads):
    """Draws lines of one colour (C,) into pixels (H, W, C). Arguments as the kernel's paint functions have them."""
    buffers = rasterize_buffers(vertices, triangles, *pixels.shape[:2], w, threads=threads)
    share = opacity * _line_coverage(buffers, _Edges(vertices, triangles, w), line_width)
    touched = share > 0
    share = share[touched][:, None]
    if pixels.dtype == np.uint8:
        levels = 255 * np.clip(np.nan_to_num(color), 0, 1).astype(np.float64)
        pixels[touched] = _rounded((1 - share) * pixels[touched] + share * levels)
    else:
        with np.errstate(invalid="ignore"):  # whatever a picture of floats may hold
            pixels[touched] = (1 - share) * pixels[touched] + share * color


def _rounded(levels):
    """Levels as uint8 holds them: clipped and rounded, halves up."""
    return np.floor(np.clip(levels, 0, 255) + 0.5)


class _Edges:
    """The edges of triangles in the picture, and their distances."""

    def __init__(self, vertices, triangles, w):
        ends = vertices.T[:2].astype(np.float64)
        self.start = ends[:, triangles.T]  # (2, 3, F)
        with np.errstate(invalid="ignore"):  # corners that are not finite
            self.along = ends[:, np.roll(triangles, -1, axis=1).T] - self.start
        self.drawn_from, self.drawn_to = 0.0, 1.0
        if w is not None:
            # An edge with one end behind the camera goes from its other end, away from the place of that one, on for
            # ever; with both ends there, it is nowhere.
            behind_start, behind_end = w[triangles.T] < 0, w[np.roll(triangles, -1, axis=1).T] < 0
            self.drawn_from = np.where(behind_start, 1.0, np.where(behind_end, -np.inf, 0.0))
            self.drawn_to = np.where(behind_end, 0.0, np.where(behind_start, np.inf, 1.0))

    def distance(self, triangle, x, y):
        """(P,) pixels from x and y (P,) to the nearest edge of triangles (P,)."""
        along = self.along[:, :, triangle]
        to_x, to_y = x - self.start[0][:, triangle], y - self.start[1][:, triangle]
        share = (to_x * along[0] + to_y * along[1]) / (along[0] ** 2 + along[1] ** 2)
        if np.ndim(self.drawn_from):
            low, high = self.drawn_from[:, triangle], self.drawn_to[:, triangle]
        else:
            low, high = self.drawn_from, self.drawn_to
        nearest = np.clip(share, low, high)
        distance = np.hypot(to_x - nearest * along[0], to_y - nearest * along[1])
        return np.where(low <= high, distance, np.inf).min(axis=0)


def _line_coverage(buffers, edges, width):
    """(H, W) how much of each pixel the lines cover."""
    reach, full = width / 2 + 0.5, min(width, 1.0)
    index, depth = buffers.triangle, buffers.depth
    coverage = np.zeros(index.shape)

    def add(row, column, triangle):
        for start in range(0, len(row), BLOCK):
            part = slice(start, start + BLOCK)
            distance = edges.distance(triangle[part], column[part], row[part])
            new = np.clip(reach - distance, 0, full)
            place = row[part], column[part]
            coverage[place] = np.maximum(coverage[place], new)

    row, column = np.nonzero(index >= 0)
    add(row, column, index[row, column])
    # What is left are the outer halves of the lines where a surface ends before nothing or before a farther one. Inside
    # a surface no edge of another triangle is nearer than the pixel's own ones.
    for down, right in _offsets(reach):
        here, there = _window(index.shape, down, right), _window(index.shape, -down, -right)
        nearer = (depth[there] > depth[here]) & (index[there] != index[here]) & (coverage[here] < full)
        row, column = np.nonzero(nearer)
        add(row + here[0].start, column + here[1].start, index[there][nearer])
    return coverage


def _offsets(reach):
    """(down, right) to the pixels that may show a triangle with an edge that is less than `reach` away."""
    # On the inner side of a straight line some pixel's centre is at most this much farther from any point on it.
    radius = reach + math.sqrt(1.25)
    steps = range(-math.floor(radius), math.floor(radius) + 1)
    return [offset for offset in product(steps, steps) if 0 < math.hypot(*offset) <= radius]


def _window(shape, down, right):
    """Slices of (H, W) pixels that leave out those whose neighbours `down` and `right` of them are outside."""
    return tuple(
        slice(max(0, -step), max(0, size - max(0, step))) for step, size in zip((down, right), shape, strict=True)
    )
