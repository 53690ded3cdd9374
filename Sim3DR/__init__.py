"""Sim3DR: triangle meshes to pictures, on the processor, without a graphics card. Needs numpy alone.

It keeps the names and meanings of the module of that name in 3DDFA_V2 (rasterize, get_normal, RenderPipeline) and adds
what training data, overlays and fitting need. Sim3DR/README.md shows it; this is its specification.

Picture. (H, W) or (H, W, C), row 0 at the top. x runs right, y runs down, in pixels; the centre of the pixel in row i
and column j is at x = j, y = i. Where image coordinates count from the picture's top left corner (pixel j covers
[j, j + 1)), subtract 0.5 first. Channels are drawn in the order in which they come: nothing here knows RGB from BGR.

Vertices. (N, 3) float32: x and y as above, z the depth: larger is nearer. Other number types are converted to float32,
and float32 is what is drawn, exactly: nothing is snapped to a grid.

Coverage. A pixel belongs to a triangle if its centre lies inside. A centre exactly on an edge belongs to it if the
inside is to the right of that edge (a left edge) or, where the edge is level, below it (a top edge). The test is exact
for every float32 coordinate, so triangles that meet at an edge or a corner leave no hole and draw no pixel twice, and
no coordinate is too large. Both windings are drawn; triangles without area are not.

Normals. Winding matters to get_normal and RenderPipeline alone: (b - a) x (c - a) of a triangle (a, b, c) has to point
to +z, towards the viewer, for its front to be lit. A mesh wound counter-clockwise in a space with y up is wound the
other way once y runs down: give its triangles as triangles[:, ::-1].

Weights. The barycentric coordinates b of the centre, in the order of the triangle's corners, not negative, summing to
1 up to rounding; float32, within 1e-7 of the true ones. With w they are perspective-correct: (b_i / w_i) /
sum_k (b_k / w_k), w being each vertex's distance along the view direction, in any unit. Depth is sum_i b_i z_i under
the same weights, rounded to float32.

Behind the camera. A vertex with w < 0 lies behind the camera; its x and y are those that the projection gives it, X / w
and Y / w, which mirrors it. Of a triangle with such vertices exactly the part in front of the camera is drawn, its
weights being those of the whole triangle: nothing is dropped, no vertex is made and no near distance is needed, since
coverage, weights and depth stay finite up to w = 0. A vertex at w = 0 has no place in the picture: see Dropped.

Order. The pixel shows the triangle with the largest depth; among equal ones, that with the lowest index. The result
depends on nothing but the arguments: not on the number of threads, nor on the instruction set (AVX-512, AVX2 or none,
chosen once in a process), nor on how the process rounds or whether it flushes subnormal numbers.

Dropped. Triangles with a vertex that has NaN or infinity in x, y, z or w, or w = 0, and those wholly behind the camera.
A float64 too large for float32 counts as infinite, one too small for it as 0.

Drawing. Per-vertex values are blended under the weights; where a triangle's corners have the same finite value, so has
every pixel of it, exactly. On uint8, colours are floats in 0..1 and come out as 255 * c, clipped to 0..255 and rounded
to the nearest, halves up; NaN, which is also what lies between infinite colours, comes out as 0. (3DDFA_V2 cuts off in
place of rounding, at most one level lower, and wraps what is beyond 0..1.) On float32 they come out as they are. With
alpha, a pixel is (1 - alpha) * what was there + alpha * the colour, already clipped, of the front-most surface: once,
whatever lies behind that. With samples = s the picture is drawn s times as large on each axis, its corners s * x + (s -
1) / 2 in float32 being what is exact then, and averaged; pixels that the mesh does not touch stay as they are.

Lit pictures. draw_lit draws surfaces with light at their vertices and textures in one pass, in linear light. Each of
the s x s samples of a pixel belongs to the triangle that rasterize_buffers shows there in the picture drawn s times as
large, save that triangles have holes where their texture's opacity, bilinear at the sample, is below 128: there the
next one behind shows. Of the samples that show one triangle a pixel takes one colour, at the mean of their places,
where light, shine and texture coordinates are blended under the weights; a pixel is the mean of its samples, and of the
picture behind it for those that show none. Texture coordinates run right and down, texel i covers [i, i + 1) / size,
and textures repeat; a coordinate that is not finite means the first texel. Bytes of colour become linear as IEC
61966-2-1 has it, before they are blended; colours in a hole are blended into its border, so give them their
neighbours'. Weights and blends are float32; where all values are the same, so is the pixel, exactly.

Arguments. What is not an array of the wanted kind and shape, or has indices out of range, raises TypeError or
ValueError. None is ever changed: the drawing functions return new pictures (3DDFA_V2 draws into bg), unless `out` says
where to draw; it must be writable, of the exact type and shape, in C order, and apart from the other arguments, save
that the drawing functions take bg itself. The compiled work is done with Python's global lock released; do not change
an array while a call in another thread reads it. A thread that draws keeps up to 64 MiB for each of three kinds of
scratch memory for its next call.
"""

try:
    from . import _rasterize  # noqa: F401
except ImportError as error:
    raise ImportError(f"Sim3DR is not built: run `python setup.py build_ext --inplace` beside it ({error})") from error

from .drawing import rasterize, render_texture
from .lighting import RenderPipeline
from .lit import draw_lit
from .maps import coordinate_colors, depth_picture, normal_picture, wireframe
from .rasterizer import RasterBuffers, get_normal, interpolate, rasterize_batch, rasterize_buffers
from .visibility import UnwrappedTexture, unwrap_texture, vertex_visibility

__all__ = [
    "RasterBuffers",
    "RenderPipeline",
    "UnwrappedTexture",
    "coordinate_colors",
    "depth_picture",
    "draw_lit",
    "get_normal",
    "interpolate",
    "normal_picture",
    "rasterize",
    "rasterize_batch",
    "rasterize_buffers",
    "render_texture",
    "unwrap_texture",
    "vertex_visibility",
    "wireframe",
]
