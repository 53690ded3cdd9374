"""Meshes drawn onto pictures, with colours at their vertices or with a texture.

What is drawn where is specified in the package's docstring; what the functions here have in common, in rasterize's.
"""

import numpy as np

from . import _rasterize
from .checks import (
    check_floats,
    check_out,
    check_picture,
    check_shape,
    check_side,
    check_threads,
    check_triangles,
)

MAXIMUM_SAMPLES = 8


def rasterize(
    vertices,
    triangles,
    colors,
    bg=None,
    height=None,
    width=None,
    channel=None,
    reverse=False,
    *,
    w=None,
    alpha=1.0,
    samples=1,
    out=None,
    threads=1,
):
    """A mesh with a colour at each vertex, drawn over a picture.

    vertices, triangles, w: as in rasterize_buffers. colors (N, C), or (N,) on a picture of one channel: floats in 0..1.
    bg: what to draw over, (H, W, C) or (H, W), uint8 or float32; without it, black of height x width x channel, uint8.
    On uint8, colours are drawn as 255 * c, clipped to 0..255 and rounded to the nearest, NaN as 0; on float32, as they
    are. Three-channel colours on a picture of four channels are opaque: the fourth becomes 1.
    reverse: mirrors the drawing, not bg, top to bottom.
    alpha: how much of the mesh shows over bg, 0..1, one number or (N,). Each pixel is blended once, with the surface
    that is in front.
    samples: antialiasing; the picture is drawn that many times as large on each axis and averaged (1..8).
    out: a picture like bg to draw into and return, which may be bg itself; without it, a new one.
    threads: over how many to spread the rows; the result is the same.

    Returns the picture, of bg's shape and type; bg stays as it is unless it is out.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    picture = _Drawing(vertices, triangles, w, bg, (height, width, channel), alpha, samples, out, threads)
    channels = picture.channels
    colors = np.asarray(colors)
    if colors.ndim == 1 and channels == 1:
        colors = colors[:, None]
    if colors.ndim == 2 and colors.shape[1] == 3 and channels == 4:
        colors = np.concatenate([colors, np.ones((len(colors), 1), colors.dtype)], axis=1)
    colors = check_floats("colors", colors, (len(picture.vertices), channels), kinds="f")
    return picture.draw(_rasterize.paint_colors, colors, reverse=reverse)


def render_texture(
    vertices,
    triangles,
    texture,
    uv,
    bg,
    w=None,
    uv_triangles=None,
    *,
    alpha=1.0,
    samples=1,
    out=None,
    threads=1,
):
    """A mesh with a texture, drawn over a picture.

    vertices, triangles, w, bg, alpha, samples, out, threads: as in rasterize. texture (h, w, C), or (h, w) on a picture
    of one channel: uint8, or floats in 0..1. uv (N, 2): u from the left, v from the bottom of the texture (as in OBJ
    files), 0..1 from border to border.
    uv_triangles (F, 3): rows of uv for each triangle's corners, where they are not those of the vertices; uv is then
    (M, 2).

    Bilinear between texel centres; beyond the outermost ones, and beyond 0..1, the border texel. Drawn clipped and
    rounded as colors are in rasterize.

    Returns the picture, of bg's shape and type; bg stays as it is unless it is out.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    picture = _Drawing(vertices, triangles, w, bg, (None, None, None), alpha, samples, out, threads)
    uv = check_floats("uv", uv, ("M" if uv_triangles is not None else len(picture.vertices), 2))
    if uv_triangles is None:
        uv_triangles = picture.triangles
    else:
        uv_triangles = check_triangles("uv_triangles", uv_triangles, len(uv))
        check_shape("uv_triangles", uv_triangles, picture.triangles.shape)
    texture = np.asarray(texture)
    if texture.ndim == 2 and picture.channels == 1:
        texture = texture[..., None]
    if texture.dtype == np.uint8:
        texture = np.require(check_picture("texture", texture, picture.channels), requirements=["C", "A"])
    else:
        texture = check_floats("texture", texture, ("h", "w", picture.channels), kinds="f")
        if texture.size == 0:
            raise ValueError(f"texture: wanted at least one texel, got {texture.shape}")
    return picture.draw(_rasterize.paint_texture, texture, uv, uv_triangles)


class _Drawing:
    """The checked arguments that all drawing functions share, and the picture that they draw."""

    def __init__(self, vertices, triangles, w, bg, size, alpha, samples, out, threads):
        self.vertices = check_floats("vertices", vertices, ("N", 3))
        self.triangles = check_triangles("triangles", triangles, len(self.vertices))
        self.w = None if w is None else check_floats("w", w, (len(self.vertices),))
        self.opacity, self.vertex_opacity = _opacity(alpha, len(self.vertices))
        self.samples = _samples(samples)
        self.threads = check_threads("threads", threads)
        self.result = _start_picture(bg, *size, out, {"vertices": vertices, "triangles": triangles, "w": w})
        self.pixels = self.result if self.result.ndim == 3 else self.result[..., None]
        self.channels = self.pixels.shape[2]

    def draw(self, paint, *surface, reverse=False):
        """Calls a paint function of the kernel with its surface: colours, or texture, uv and uv_triangles."""
        count = self.samples
        fine = self.pixels if count == 1 else self.pixels.repeat(count, axis=0).repeat(count, axis=1)
        vertices = self.vertices
        if count > 1:
            # The pixel i becomes the pixels count * i ... count * i + count - 1, round the centre that it has.
            vertices = vertices * np.float32([count, count, 1]) + np.float32([(count - 1) / 2, (count - 1) / 2, 0])
        target = fine[::-1] if reverse else fine
        paint(
            vertices,
            self.w,
            self.triangles,
            *surface,
            self.opacity,
            self.vertex_opacity,
            target,
            self.threads,
        )
        if count > 1:
            height, width, channels = self.pixels.shape
            mean = fine.reshape(height, count, width, count, channels).mean(axis=(1, 3), dtype=np.float64)
            self.pixels[...] = np.floor(mean + 0.5) if self.pixels.dtype == np.uint8 else mean
        return self.result


def _start_picture(bg, height, width, channel, out, sources):
    """The array to draw into, with bg in it or black: a new one, or out."""
    if bg is None:
        if height is None or width is None or channel is None:
            raise ValueError(f"wanted bg, or height, width and channel; got {height}, {width} and {channel}")
        shape = check_side("height", height), check_side("width", width), check_side("channel", channel)
        dtype = np.dtype(np.uint8)
    else:
        full = check_picture("bg", bg)
        for name, given, actual in zip(
            ("height", "width", "channel"), (height, width, channel), full.shape, strict=True
        ):
            if given is not None and given != actual:
                raise ValueError(f"{name}: wanted none or bg's {actual}, got {given}")
        shape, dtype = np.shape(bg), full.dtype
    if out is None:
        return np.zeros(shape, dtype) if bg is None else np.array(bg, order="C")
    inputs = {name: np.asarray(value) for name, value in sources.items() if value is not None}
    if bg is not None and out is not bg:
        inputs["bg"] = np.asarray(bg)
    check_out("out", out, shape, dtype, inputs)
    if out is not bg:
        out[...] = 0 if bg is None else bg
    return out


def _opacity(alpha, vertex_count):
    """alpha as (number, None) or (1, one number for each vertex)."""
    values = check_floats("alpha", alpha, () if np.ndim(alpha) == 0 else (vertex_count,))
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"alpha: wanted 0..1, got {np.min(values)}..{np.max(values)}")
    return (float(alpha), None) if values.ndim == 0 else (1.0, values)


def _samples(samples):
    count = check_side("samples", samples)
    if count > MAXIMUM_SAMPLES:
        raise ValueError(f"samples: wanted 1..{MAXIMUM_SAMPLES}, got {count}")
    return count
