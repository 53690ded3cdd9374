"""What of a mesh is seen in a picture: its vertices, and a photo of it as a texture.

Both cast rays at the triangles themselves, in float64, and not at the buffers' pixels: a mesh may have many vertices
in a pixel, and whether a surface seen at a pixel's centre hides a point beside it is then anyone's guess, or some
depth tolerance's. So the answer does not depend on how fine the picture is. vertex_visibility has the rule.
"""

from typing import NamedTuple

import numpy as np

from .checks import check_floats, check_picture, check_shape, check_side, check_triangles
from .rasterizer import rasterize_buffers

# Four half steps of float32, relative: two depths that differ by less may be one in the space the mesh came from, as
# where two meshes meet along a seam.
ROUNDING = 2.0**-22
# So many pairs of triangle and point, or texels, are worked on at a time, which bounds the memory.
BLOCK = 1 << 18


class UnwrappedTexture(NamedTuple):
    """A photo as a texture, row 0 at the top, where v = 1."""

    texture: np.ndarray  # (height, width, C), or (height, width) of a photo (H, W); the photo's type; 0 where not seen
    visible: np.ndarray  # (height, width) bool, whether the photo shows the texel's place


def vertex_visibility(vertices, triangles, height, width, w=None):
    """Which vertices a picture of height x width shows.

    vertices (N, 3), triangles (F, 3), w (N,): as in rasterize_buffers.

    A vertex is seen if it is inside the picture (-0.5 <= x < width - 0.5, -0.5 <= y < height - 0.5), in front of the
    camera (w > 0), finite, and not hidden. It is hidden where a triangle that it is no corner of covers its x and y,
    edges and corners included, and is nearer there by more than float32 rounds depths by (2**-22 of them). Triangles
    hide from both sides; those that rasterize_buffers drops hide nothing. So it does not matter how many vertices fall
    into a pixel, nor that a silhouette or the mesh's border passes through one; a vertex of no triangle is a point like
    any other. Landmarks are vertices: visible[landmark_indices].

    The time grows with the vertices and with how many triangles lie over each other, not with the picture.

    Returns (N,) bool.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    height, width = check_side("height", height), check_side("width", width)
    in_front = True
    if w is not None:
        w = check_floats("w", w, (len(vertices),))
        in_front = (w > 0) & np.isfinite(w)
    visible = _inside(vertices[:, 0], vertices[:, 1], height, width) & np.isfinite(vertices[:, 2]) & in_front
    index = np.flatnonzero(visible)
    corners = np.ascontiguousarray(triangles.T)

    def belongs(point, triangle):
        own = index[point]
        a, b, c = corners[:, triangle]
        return (own == a) | (own == b) | (own == c)

    visible[index] = ~_hidden(vertices[index].T.astype(np.float64), _Surface(vertices, triangles, w), belongs)
    return visible


def unwrap_texture(picture, vertices, triangles, uv, height, width, w=None, uv_triangles=None):
    """A photo of a mesh as the texture that render_texture would draw it with.

    picture (H, W, C) or (H, W): the photo, uint8 or float32. vertices (N, 3), triangles (F, 3), w (N,): as in
    rasterize_buffers, in the photo's pixels. uv, uv_triangles: as in render_texture. height, width: of the texture.

    Each texel's centre, at u = (column + 0.5) / width and v = 1 - (row + 0.5) / height, belongs to the triangle that
    covers it in the plane of u and v; where several do, to that with the lowest index. Its place in the photo is
    perspective-correct with w, and the photo is bilinear there; beyond its outermost pixel centres, the border pixel.
    The place is seen or not by the rule of vertex_visibility. Texels of no triangle, of one that rasterize_buffers
    drops, and those not seen are 0. Beside a silhouette, bilinear means that the pixels of what lies behind it enter;
    where that matters, erode `visible` by a texel or more.

    Returns UnwrappedTexture.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    pixels = check_picture("picture", picture)
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    if w is not None:
        w = check_floats("w", w, (len(vertices),))
    height, width = check_side("height", height), check_side("width", width)
    chart = _chart(uv, uv_triangles, triangles, len(vertices), height, width)
    surface = _Surface(vertices, triangles, w)
    texture = np.zeros((height * width, pixels.shape[2]), pixels.dtype)
    visible = np.zeros(height * width, bool)
    texels = np.flatnonzero(chart.triangle >= 0)
    texels = texels[surface.drawn[chart.triangle.ravel()[texels]]]
    for texel in np.split(texels, range(BLOCK, len(texels), BLOCK)):
        own = chart.triangle.ravel()[texel]
        places, in_front = surface.places(own, chart.barycentric.reshape(-1, 3)[texel])
        shown = np.flatnonzero(in_front & _inside(*places[:2], *pixels.shape[:2]))
        places, own = places[:, shown], own[shown]
        seen = np.flatnonzero(~_hidden(places, surface, lambda point, triangle, own=own: own[point] == triangle))
        texel = texel[shown[seen]]
        texture[texel] = _bilinear(pixels, *places[:2, seen])
        visible[texel] = True
    return UnwrappedTexture(texture.reshape(height, width, *np.shape(picture)[2:]), visible.reshape(height, width))


def _chart(uv, uv_triangles, triangles, vertex_count, height, width):
    """RasterBuffers of the texture's own plane: which triangle each texel belongs to, and where in it."""
    uv = check_floats("uv", uv, ("M" if uv_triangles is not None else vertex_count, 2)).astype(np.float64)
    if uv_triangles is None:
        uv_triangles = triangles
    else:
        uv_triangles = check_triangles("uv_triangles", uv_triangles, len(uv))
        check_shape("uv_triangles", uv_triangles, triangles.shape)
    flat = np.zeros((len(uv), 3))
    flat[:, 0] = uv[:, 0] * width - 0.5
    flat[:, 1] = (1 - uv[:, 1]) * height - 0.5
    return rasterize_buffers(flat, uv_triangles, height, width)


def _inside(x, y, height, width):
    return (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)


def _bilinear(pixels, x, y):
    """pixels (H, W, C) at x, y (P,): (P, C) of their type, halves rounded up on uint8."""
    height, width = pixels.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    to_right, down = (x - left)[:, None], (y - top)[:, None]
    with np.errstate(invalid="ignore"):  # infinite pixels
        upper = pixels[top, left] * (1 - to_right) + pixels[top, right] * to_right
        lower = pixels[below, left] * (1 - to_right) + pixels[below, right] * to_right
        values = upper * (1 - down) + lower * down
    return (np.floor(values + 0.5) if pixels.dtype == np.uint8 else values).astype(pixels.dtype)


class _Surface:
    """A mesh's triangles in float64: what they cover in the picture, and how near they are there.

    Coordinates and corners are the first axes: NumPy reduces long last ones fast, short last ones slowly.
    """

    def __init__(self, vertices, triangles, w):
        corners = triangles.T
        self.corners = vertices.T.astype(np.float64)[:, corners]  # (3, 3, F): of x, y and depth, of the corners
        self.w = None if w is None else w.astype(np.float64)[corners]  # (3, F)
        ends = self.corners[:2]
        self.low, self.high = ends.min(axis=1), ends.max(axis=1)  # (2, F)
        self.nearest = self.corners[2].max(axis=0)  # (F,)
        with np.errstate(invalid="ignore"):  # corners that are not finite
            (ax, ay), (bx, by) = ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 0]
            self.drawn = np.isfinite(self.corners).all(axis=(0, 1)) & (ax * by - ay * bx != 0)
        if self.w is not None:
            self.drawn &= np.isfinite(self.w).all(axis=0) & (self.w != 0).all(axis=0) & (self.w > 0).any(axis=0)
            # What is in front of the camera of a triangle that reaches behind it may lie anywhere in the picture.
            reaches_behind = (self.w < 0).any(axis=0)
            self.low[:, reaches_behind], self.high[:, reaches_behind] = -np.inf, np.inf

    def places(self, triangle, barycentric):
        """Places (3, P) of weights (P, 3) on drawn triangles, and whether they are in front of the camera (P,)."""
        # Weights rounded to float32 miss the sum of 1, and the place would miss its triangle's plane.
        shares = barycentric.T.astype(np.float64)
        shares /= shares.sum(axis=0)
        corners = self.corners[:, :, triangle]
        depth = (shares * corners[2]).sum(axis=0)
        in_front = np.ones(len(triangle), bool)
        if self.w is not None:
            shares *= self.w[:, triangle]
            distance = shares.sum(axis=0)
            in_front = distance > 0
            shares /= np.where(in_front, distance, 1)
        return np.stack([*(shares * corners[:2]).sum(axis=1), depth]), in_front

    def depth_at(self, triangle, x, y):
        """Depth (P,) of triangles at x and y (P,); -inf where they do not cover them."""
        corners = self.corners[:, :, triangle]
        to_x, to_y = corners[0] - x, corners[1] - y
        # Twice the area of each edge with the point: float32 differences and nearly always their products are exact.
        areas = np.stack([to_x[i] * to_y[k] - to_y[i] * to_x[k] for i, k in ((1, 2), (2, 0), (0, 1))])
        # Divided by their sum and by w these are weights, up to scale; all are positive in the part of the triangle
        # that is in front of the camera, and there alone, whatever the signs of w.
        side = np.sign(areas.sum(axis=0))
        areas *= side
        if self.w is not None:
            areas /= self.w[:, triangle]
        # A sliver's areas may cancel as its own area did not.
        covers = np.flatnonzero((areas >= 0).all(axis=0) & (side != 0))
        areas = areas[:, covers]
        depth = np.full(len(triangle), -np.inf)
        depth[covers] = (areas * corners[2][:, covers]).sum(axis=0) / areas.sum(axis=0)
        return depth


def _hidden(points, surface, belongs):
    """Which of the points (3, P) triangles hide to which they do not belong.

    belongs(point, triangle): whether points belong to triangles, by their indices.
    """
    x, y, depth = points
    hidden = np.zeros(len(x), bool)
    # A triangle hides nothing that is nearer than its nearest corner.
    limit = depth + ROUNDING * np.abs(depth)
    useful = np.flatnonzero(surface.drawn & (surface.nearest > limit.min(initial=np.inf)))
    low, high, nearest = surface.low[:, useful], surface.high[:, useful], surface.nearest[useful]
    for box, point in _pairs(points[:2], low, high):
        # The cheap tests that leave few pairs for the rest come first.
        for may_hide in (
            lambda box, point: nearest[box] > limit[point],
            lambda box, point: (low[0][box] <= x[point]) & (x[point] <= high[0][box]),
            lambda box, point: (low[1][box] <= y[point]) & (y[point] <= high[1][box]),
            lambda box, point: ~belongs(point, useful[box]),
        ):
            kept = np.flatnonzero(may_hide(box, point))
            box, point = box[kept], point[kept]
        hides = surface.depth_at(useful[box], x[point], y[point]) > limit[point]
        hidden[point[hides]] = True
    return hidden


def _pairs(points, low, high):
    """Yields indices (box, point) of pairs that may meet: all where points (2, P) lie in boxes low, high (2, B), and
    a few more.

    The points are sorted into square cells, row by row, so that those which a box meets in a row of cells lie side by
    side.
    """
    if points.shape[1] == 0 or low.shape[1] == 0:
        return
    order, starts, columns, origin, cell = _cells(points)
    last = np.array([[columns - 1], [(len(starts) - 1) // columns - 1]])
    first, final = np.floor((low - origin) / cell), np.floor((high - origin) / cell)
    boxes = np.flatnonzero(((first <= last) & (final >= 0)).all(axis=0))
    # Clipped before they become integers: a box may be infinite.
    (left, top), (right, bottom) = (np.clip(side[:, boxes], 0, last).astype(np.int64) for side in (first, final))
    for some in _in_blocks(bottom - top + 1):
        strip, row = _expand(top[some], bottom[some] - top[some] + 1)
        strip = some[strip]
        begin = starts[row * columns + left[strip]]
        count = starts[row * columns + right[strip] + 1] - begin
        for part in _in_blocks(count):
            pair, place = _expand(begin[part], count[part])
            yield boxes[strip[part[pair]]], order[place]


def _in_blocks(count):
    """The indices of counts (K,), in runs whose counts add up to about BLOCK."""
    block = np.cumsum(count) // BLOCK
    return np.split(np.arange(len(count)), np.flatnonzero(np.diff(block)) + 1)


def _cells(points):
    """Square cells over points (2, P), some more than there are points.

    Returns order, the points' indices cell after cell, row by row; starts, where in it each cell begins, and its end;
    the number of columns; the first cell's corner (2, 1); the length of a side.
    """
    origin = points.min(axis=1, keepdims=True)
    extent = (points - origin).max(axis=1)
    count = points.shape[1]
    # The smaller the cells, the fewer pairs but the more strips: four for each point take the least time.
    cell = max(np.sqrt(extent.prod() / count), extent.max() / count) / 2 or 1.0
    column, row = ((points - origin) / cell).astype(np.int64)
    columns = column.max() + 1
    number = row * columns + column
    starts = np.append(0, np.cumsum(np.bincount(number, minlength=(row.max() + 1) * columns)))
    return np.argsort(number, kind="stable"), starts, columns, origin, cell


def _expand(begin, count):
    """For ranges of whole numbers: (which range, the number in it) of each of their members, one after another."""
    which = np.repeat(np.arange(len(count)), count)
    before = np.cumsum(count) - count
    return which, np.arange(len(which)) + (begin - before)[which]
