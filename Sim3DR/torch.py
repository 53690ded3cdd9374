"""Differentiable rasterization in PyTorch: which triangle a pixel shows comes from the compiled kernel, all else from
tensors, so that gradients reach vertices, w, attributes, textures and texture coordinates.

Pictures, pixels, vertices, coverage, w and depth are those of the package's docstring, with a leading axis of B
pictures that share their triangles. The package itself does not import this module: import Sim3DR.torch.

    fragments = rasterize(vertices, triangles, 224, 224, w)             # what each pixel shows
    uv_picture = interpolate(fragments, uv_triangles, uv)               # values of the corners, blended
    color = sample_texture(texture, uv_picture)
    color = torch.where(fragments.triangle[..., None] >= 0, color, background)
    color = antialias(color, fragments, vertices, triangles, w, edges)  # edges = find_edges(triangles), once

Gradients. Which triangle a pixel shows is a choice and has none: rasterize and interpolate alone tell how the colours
of a surface move, but not how its outline does. That is what antialias is for: it blends the pixels along the outline
by where the outline runs between them, which has a gradient to its vertices.

Types and devices. Tensors are float32 or float64, on one device. Visibility is that of the vertices rounded to float32.
Weights, and where an outline runs, are reckoned in float64: at an outline triangles are seen edge-on, with too small an
area for float32. On cuda the sums in the gradients depend on the order of the threads, as PyTorch's own do.

Costs. Visibility runs on the processor. From cuda, 12 bytes a vertex (16 with w) and a triangle are copied there, which
waits for the device, and 4 bytes a pixel and 8 a covered pixel come back. The rest runs on the tensors' device, in time
and memory proportional to the covered pixels (some 600 bytes each, gradients included); antialias adds a pass over the
triangles of each picture.
"""

from typing import NamedTuple

import torch

from .rasterizer import rasterize_batch


class Fragments(NamedTuple):
    """What each pixel of B pictures of H x W shows. The floats have the vertices' type."""

    triangle: torch.Tensor  # (B, H, W) int64, index of the triangle, -1 where empty
    barycentric: torch.Tensor  # (B, H, W, 3), weights of its corners, which sum to 1; 0 where empty
    depth: torch.Tensor  # (B, H, W), z there, larger is nearer; 0 where empty, so that sums over it stay finite
    pixel: torch.Tensor  # (P,) int64, rising, the covered pixels as indices of triangle.flatten()


class Edges(NamedTuple):
    """The edges of a mesh, each once, however many triangles meet there."""

    ends: torch.Tensor  # (E, 2) int64, vertices, the lower index first
    of_triangle: torch.Tensor  # (F, 3) int64, the edge opposite each corner


def rasterize(vertices, triangles, height, width, w=None, *, threads=None):
    """Which triangle each pixel of each picture shows, and where in it.

    vertices (B, N, 3): x right and y down in pixels, centres at whole numbers; z, larger is nearer.
    triangles (F, 3) int32 or int64: vertex indices, either winding, shared by the pictures.
    w (B, N): distance along the view direction, any unit; makes weights and depth perspective-correct.
    threads: over how many to spread the pictures, all that the process may use without it; 1 in a worker process.

    Returns Fragments of height x width. barycentric and depth have gradients to x, y and w, depth also to z. They are
    steep, as the weights truly are, in triangles that are nearly without area.
    Raises TypeError, ValueError: an argument of the wrong kind, shape, range or device.
    """
    _check_floats("vertices", vertices, ("B", "N", 3))
    batch, count = vertices.shape[:2]
    triangles = _check_triangles("triangles", triangles, count, vertices)
    if w is not None:
        _check_floats("w", w, (batch, count), vertices)
    triangle, pixel = _see_triangles(vertices, w, triangles, height, width, threads)
    rows = _corner_rows(triangle, pixel, triangles, count)
    corners = _take(vertices.flatten(0, 1), rows).double()
    x, y = pixel % width, pixel // width % height
    # Relative to the pixel before anything is multiplied, so that no digits are lost to where in the picture it lies.
    offsets = corners[..., :2] - torch.stack([x, y], -1)[:, None]
    weights = _weigh(offsets, None if w is None else _take(w.flatten(), rows).double())
    depth = (weights * corners[..., 2]).sum(-1)
    return Fragments(
        triangle,
        _spread(weights.to(vertices.dtype), pixel, triangle.shape),
        _spread(depth.to(vertices.dtype), pixel, triangle.shape),
        pixel,
    )


def interpolate(fragments, triangles, attributes):
    """Values of the corners at every pixel, under the weights in `fragments`.

    triangles (F, 3) int32 or int64: as many rows as were rasterized; they may index other rows than the vertices, such
    as a texture coordinate of which a vertex has several.
    attributes (B, N, C), or (N, C) for all pictures: any unit.

    Returns (B, H, W, C), 0 where empty, with gradients to attributes and to fragments.barycentric.
    Raises TypeError, ValueError: an argument of the wrong kind, shape, range or device; fragments that show triangles
    that `triangles` does not have.
    """
    _check_fragments(fragments)
    shared = isinstance(attributes, torch.Tensor) and attributes.ndim == 2
    shape = ("N", "C") if shared else (len(fragments.triangle), "N", "C")
    _check_floats("attributes", attributes, shape, fragments.barycentric)
    count = attributes.shape[-2]
    triangles = _check_triangles("triangles", triangles, count, attributes)
    _check_range("fragments.triangle", fragments.triangle, -1, len(triangles))
    rows = _corner_rows(fragments.triangle, fragments.pixel, triangles, 0 if shared else count)
    first, second, third = _take(attributes.reshape(-1, attributes.shape[-1]), rows).unbind(1)
    weights = fragments.barycentric.reshape(-1, 3).index_select(0, fragments.pixel)
    # From the first corner's value on: equal values come back exactly although the weights are rounded.
    values = first + weights[:, 1:2] * (second - first) + weights[:, 2:3] * (third - first)
    return _spread(values, fragments.pixel, fragments.triangle.shape)


def sample_texture(texture, uv):
    """A texture's values at texture coordinates.

    texture (B, h, w, C), or (h, w, C) for all pictures. uv (B, H, W, 2): u from the left, v from the bottom of the
    texture, 0..1 from border to border. Bilinear between texel centres; beyond the outermost ones, the border texel, as
    in Sim3DR.render_texture.

    Returns (B, H, W, C), with gradients to both. Empty pixels, where interpolate's uv is 0, show the texture's bottom
    left corner: mask them by fragments.triangle.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or device.
    """
    _check_floats("uv", uv, ("B", "H", "W", 2))
    shared = isinstance(texture, torch.Tensor) and texture.ndim == 3
    _check_floats("texture", texture, ("h", "w", "C") if shared else (len(uv), "h", "w", "C"), uv)
    if texture.dtype != uv.dtype:
        raise TypeError(f"texture: wanted {uv.dtype}, as uv has, got {texture.dtype}")
    if texture.numel() == 0:
        raise ValueError(f"texture: wanted at least one texel and one channel, got {tuple(texture.shape)}")
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    if shared:
        # One tall picture, so that neither the texture nor its gradient is repeated for each.
        texture, grid = texture[None], grid.flatten(0, 1)[None]
    values = torch.nn.functional.grid_sample(
        texture.permute(0, 3, 1, 2), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return values.permute(0, 2, 3, 1).reshape(*uv.shape[:3], texture.shape[-1])


def find_edges(triangles):
    """The edges of a mesh, for antialias; they depend on triangles alone, so once for each topology.

    triangles (F, 3) int32 or int64: vertex indices.

    Returns Edges on the same device.
    Raises TypeError, ValueError: triangles of the wrong kind, shape or range.
    """
    triangles = _check_triangles("triangles", triangles)
    ends = torch.stack([triangles.roll(-1, 1), triangles.roll(-2, 1)], -1).sort(-1).values
    stride = int(triangles.max()) + 1 if triangles.numel() else 1
    keys, of_triangle = torch.unique(ends[..., 0] * stride + ends[..., 1], return_inverse=True)
    return Edges(torch.stack([keys // stride, keys % stride], -1), of_triangle.reshape(triangles.shape))


def antialias(color, fragments, vertices, triangles, w=None, edges=None):
    """Pictures whose outlines are blended by where they run between the pixels' centres, for their gradient.

    color (B, H, W, C): the picture of `fragments`, background included. vertices, triangles, w: as rasterized.
    edges: find_edges(triangles), where the caller keeps it.

    An edge belongs to the outline where all its triangles, if it is one or more, lie on one side of it in the picture.
    Where it passes between the centres of two neighbouring pixels, at the share s of the way from the surface's pixel
    to the other one, the other one takes s - 1/2 of the surface's colour or, where that is negative, the surface's
    takes 1/2 - s of the other one's. Edges steeper than 45 degrees do so along rows, the others along columns, so that
    the surface's share of the picture grows by the area that an edge sweeps. A pixel that borders on outlines on
    opposite sides takes part in both blends; a surface smaller than a pixel can thus come out beyond its colours.

    The rule is that of Laine et al., "Modular Primitives for High-Performance Differentiable Rendering" (2020), section
    3.6, but for the search. There each pixel looks among the edges of its own triangle, and misses the outline where
    triangles are smaller than pixels. Here each outline edge looks for its pixels: a pair that shows two triangles, the
    nearer on the edge's inner side, with the edge in front of what the other pixel shows. Of several edges that lie
    between two pixels the one next to the other pixel counts, since it is the first to cover what that shows.
    Triangles that touch without sharing vertices have an outline there.

    Returns (B, H, W, C), with gradients to color and to the vertices' x and y.
    Raises TypeError, ValueError: an argument of the wrong kind, shape, range or device.
    """
    _check_fragments(fragments)
    batch, height, width = fragments.triangle.shape
    _check_floats("vertices", vertices, (batch, "N", 3), fragments.barycentric)
    _check_floats("color", color, (batch, height, width, "C"), vertices)
    count = vertices.shape[1]
    triangles = _check_triangles("triangles", triangles, count, vertices)
    if w is not None:
        _check_floats("w", w, (batch, count), vertices)
    edges = _check_edges(edges, triangles)
    points, inverse_w = _drawn_vertices(vertices.detach(), w)
    outline = _find_outline(points, triangles, edges)
    shown = torch.where(fragments.triangle >= 0, fragments.depth.detach(), -torch.inf)
    pixels = color.reshape(-1, color.shape[-1])
    blended = pixels
    for across in (0, 1):
        crossing = _cross_centres(points, outline, across, height, width)
        crossing = _keep_visible(crossing, points, inverse_w, fragments.triangle, shown, across)
        excess = _share_inside(vertices, crossing, across).to(color.dtype) - 0.5
        near, far = crossing.near, crossing.far
        change = excess[:, None] * (pixels.index_select(0, near) - pixels.index_select(0, far))
        blended = blended.index_add(0, torch.where(excess > 0, far, near), change)
    return blended.reshape(color.shape)


def _see_triangles(vertices, w, triangles, height, width, threads):
    """(B, H, W) int64, what each pixel shows; (P,) int64, the covered pixels. Both on vertices' device."""
    # As float32 and int32, which the kernel reads as they are, and which are half as much to copy.
    points = vertices.detach().float().cpu().numpy()
    distances = None if w is None else w.detach().float().cpu().numpy()
    corners = triangles.int().cpu().numpy()
    triangle = torch.from_numpy(rasterize_batch(points, corners, height, width, distances, threads=threads).triangle)
    pixel = torch.nonzero(triangle.flatten() >= 0)[:, 0]
    return triangle.to(vertices.device).long(), pixel.to(vertices.device)


def _corner_rows(triangle, pixel, triangles, count):
    """(P, 3) rows, for the corners of each covered pixel's triangle, of the pictures' tables of `count` rows each."""
    picture = pixel // triangle[0].numel()
    corners = triangles.index_select(0, triangle.flatten().index_select(0, pixel))
    return corners + (picture * count)[:, None]


def _take(table, rows):
    # Not table[rows]: the gradient of index_select takes half as long on the processor.
    return table.index_select(0, rows.flatten()).reshape(*rows.shape, *table.shape[1:])


def _weigh(offsets, w):
    """(P, 3) barycentric coordinates of the origin in triangles with corners `offsets` (P, 3, 2); w (P, 3) or None."""
    x, y = offsets.unbind(-1)
    (ax, bx, cx), (ay, by, cy) = x.unbind(-1), y.unbind(-1)
    areas = torch.stack([bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx], -1)
    if w is not None:
        areas = areas / w
    total = areas.sum(-1, keepdim=True)
    # The kernel's test is exact: it may show a triangle whose area is lost even to float64. It gets no gradient.
    lost = total == 0
    return torch.where(lost, 1 / 3, areas / torch.where(lost, 1.0, total))


def _spread(values, pixel, shape):
    """`values` (P, ...) of the covered pixels as pictures of the given shape (B, H, W), 0 where empty."""
    pictures = values.new_zeros(shape.numel(), *values.shape[1:])
    return pictures.index_copy(0, pixel, values).reshape(*shape, *values.shape[1:])


class _Outline(NamedTuple):
    """S edges of the outline in B pictures."""

    ends: torch.Tensor  # (S, 2) int64, rows of the vertices, flattened to (B * N, 3)
    picture: torch.Tensor  # (S,) int64
    side: torch.Tensor  # (S,) int8, the side of all triangles: the sign of (end - start) x (corner - start)


class _Crossing(NamedTuple):
    """Where K edges pass between the centres of two neighbouring pixels."""

    ends: torch.Tensor  # (K, 2) int64, as in _Outline
    line: torch.Tensor  # (K,) int64, the row, or column, of both centres
    near: torch.Tensor  # (K,) int64, the pixel on the triangles' side, as index of the flattened pictures
    far: torch.Tensor  # (K,) int64, the other pixel
    place: torch.Tensor  # (K,) int64, the near pixel's column, or row
    step: torch.Tensor  # (K,) int64, 1 or -1, from place to the far pixel's


def _drawn_vertices(vertices, w):
    """The vertices as they are drawn: (B, N, 3) float64 with float32's values, NaN where they are dropped; 1 / w."""
    points = vertices.float().double()
    kept = points.isfinite().all(-1)
    if w is None:
        return torch.where(kept[..., None], points, torch.nan), None
    w = w.detach().float().double()
    kept &= w.isfinite() & (w > 0)
    return torch.where(kept[..., None], points, torch.nan), 1 / w


def _find_outline(points, triangles, edges):
    """The edges whose triangles lie on one side of them; those that are dropped or without area have no side."""
    direction = (triangles.roll(-2, 1) > triangles.roll(-1, 1)).char() * 2 - 1
    count = len(edges.ends)
    sides = torch.empty(len(points), count, dtype=torch.int8, device=points.device)
    # One picture at a time, since this is proportional to all triangles, not to what is seen of them.
    for side, picture in zip(sides, points[..., :2], strict=True):
        a, b, c = (picture.index_select(0, corner) for corner in triangles.unbind(1))
        (ux, uy), (vx, vy) = (b - a).unbind(-1), (c - a).unbind(-1)
        area = ux * vy - uy * vx
        sign = (area > 0).char() - (area < 0).char()
        rows = ((sign[:, None] * direction).long() + 1) * count + edges.of_triangle
        negative, _, positive = torch.zeros_like(side).repeat(3).index_fill_(0, rows.flatten(), 1).view(3, -1)
        side.copy_(positive - negative)
    picture, edge = torch.nonzero(sides, as_tuple=True)
    ends = edges.ends.index_select(0, edge) + (picture * points.shape[1])[:, None]
    return _Outline(ends, picture, sides[picture, edge])


def _meet(start, end, line, across):
    """Where on coordinate `across` the edges (K, 2 or 3) from start to end pass `line` of the other one, (K,)."""
    along = 1 - across
    delta = end - start
    return start[:, across] + (line - start[:, along]) * delta[:, across] / delta[:, along]


def _cross_centres(points, outline, across, height, width):
    """The pairs of pixels that the outline passes between, in the rows (across = 0) or in the columns (1)."""
    along = 1 - across
    lines, span = (width, height) if across else (height, width)
    start, end = _take(points.flatten(0, 1)[:, :2], outline.ends).unbind(1)
    delta = end - start
    distance = delta.abs()
    ours = distance[:, 1] < distance[:, 0] if across else distance[:, 1] >= distance[:, 0]
    # As in coverage, a centre level with an end counts at the upper, or left, end, and one on the edge is the lower's,
    # or the right one's: edges that follow each other cross every line once.
    first = torch.minimum(start, end)[:, along].ceil().clamp(0, lines).long()
    last = torch.maximum(start, end)[:, along].ceil().clamp(0, lines).long()
    count = torch.where(ours, last - first, 0)
    edge = torch.repeat_interleave(count)
    line = torch.arange(len(edge), device=edge.device) + (first - count.cumsum(0) + count)[edge]
    before = _meet(start[edge], end[edge], line, across).ceil().clamp(-1, span).long() - 1
    kept = torch.nonzero((before >= 0) & (before < span - 1))[:, 0]
    edge, line, before = edge[kept], line[kept], before[kept]
    # The side is that of a turn from +x to +y: along +y the surface is at smaller x, along +x at larger y.
    turn = outline.side[edge] * delta[edge, along].sign()
    step = torch.where(turn < 0 if across == 0 else turn > 0, -1, 1)
    place = torch.where(step > 0, before, before + 1)
    row_step, place_step = (1, width) if across else (width, 1)
    near = outline.picture[edge] * (height * width) + line * row_step + place * place_step
    return _Crossing(outline.ends[edge], line, near, near + step * place_step, place, step)


def _share_inside(vertices, crossing, across):
    """How far from the near to the far centre the edge lies, 0..1, (K,) float64."""
    start, end = _take(vertices.flatten(0, 1), crossing.ends).double().unbind(1)
    return (_meet(start, end, crossing.line, across) - crossing.place) * crossing.step


def _keep_visible(crossing, points, inverse_w, triangle, shown, across):
    """The crossings that blend: those of the visible outline, one for each pair of pixels.

    triangle, shown (B, H, W): the pixels' triangles and depths, -inf where empty.
    """
    near, far = crossing.near, crossing.far
    triangle, shown = triangle.flatten(), shown.flatten()
    depth = _edge_depth(crossing, points, inverse_w, 1 - across)
    visible = (triangle[near] != triangle[far]) & (shown[near] > shown[far]) & (depth > shown[far])
    crossing = _Crossing(*(field[visible] for field in crossing))
    # The outermost of each pair is the last one, sorted by pair and then by share.
    order = _share_inside(points, crossing, across).argsort(stable=True)
    pair = crossing.near * 2 + (crossing.step > 0)
    order = order[pair[order].argsort(stable=True)]
    pair = pair[order]
    is_last = torch.ones_like(pair, dtype=torch.bool)
    is_last[:-1] = pair[1:] != pair[:-1]
    return _Crossing(*(field[order[is_last]] for field in crossing))


def _edge_depth(crossing, points, inverse_w, along):
    """z of the edges where they pass between the centres, (K,) float64."""
    ends = _take(points.flatten(0, 1), crossing.ends)
    start, end = ends[..., along].unbind(1)
    share = (crossing.line - start) / (end - start)
    shares = torch.stack([1 - share, share], -1)
    if inverse_w is not None:
        shares = shares * _take(inverse_w.flatten(), crossing.ends)
    return (shares * ends[..., 2]).sum(-1) / shares.sum(-1)


def _check_floats(name, value, shape, like=None):
    """Raises unless `value` is a tensor of floats of the given sizes (letters: any), on the device of `like`."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: wanted a torch tensor, got a {type(value).__name__}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name}: wanted float32 or float64, got {value.dtype}")
    _check_shape(name, value, shape)
    if "B" in shape and len(value) == 0:
        raise ValueError(f"{name}: wanted at least one picture, got {tuple(value.shape)}")
    if like is not None and value.device != like.device:
        raise ValueError(f"{name}: wanted a tensor on {like.device}, got one on {value.device}")


def _check_shape(name, value, shape):
    fits = value.ndim == len(shape) and all(
        isinstance(want, str) or want == got for want, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name}: wanted shape ({', '.join(map(str, shape))}), got {tuple(value.shape)}")


def _check_triangles(name, value, count=None, like=None):
    """`value` as (F, 3) int64 with indices below `count`; raises where it is not."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: wanted a torch tensor, got a {type(value).__name__}")
    if value.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name}: wanted int32 or int64, got {value.dtype}")
    _check_shape(name, value, ("F", 3))
    if like is not None and value.device != like.device:
        raise ValueError(f"{name}: wanted a tensor on {like.device}, got one on {value.device}")
    _check_range(name, value, 0, count)
    return value.long()


def _check_range(name, value, low, count):
    """Raises ValueError unless low <= value < count. On cuda an index out of range would end all use of the device."""
    if value.numel() == 0:
        return
    least, most = torch.stack(value.aminmax()).tolist()
    if least < low or (count is not None and most >= count):
        limit = "" if count is None else f" and below {count}"
        raise ValueError(f"{name}: wanted indices from {low}{limit}, got {least}..{most}")


def _check_fragments(fragments):
    if not isinstance(fragments, Fragments):
        raise TypeError(f"fragments: wanted Fragments, as rasterize returns, got a {type(fragments).__name__}")


def _check_edges(edges, triangles):
    if edges is None:
        return find_edges(triangles)
    if not isinstance(edges, Edges):
        raise TypeError(f"edges: wanted Edges, as find_edges returns, got a {type(edges).__name__}")
    _check_shape("edges.of_triangle", edges.of_triangle, tuple(triangles.shape))
    if edges.ends.device != triangles.device:
        raise ValueError(f"edges: wanted tensors on {triangles.device}, got some on {edges.ends.device}")
    return edges
