"""Meshes drawn onto pictures, with colours at their vertices or with a texture.

What is drawn where is specified in the package's docstring; what the functions here have in common, in rasterize's.
"""

import numpy as np

from . import _rasterize
from .checks import (
    MAXIMUM_SIDE,
    MAXIMUM_THREADS,
    check_floats,
    check_number,
    check_out,
    check_picture,
    check_shape,
    check_side,
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
    drawing = Drawing(vertices, triangles, w, bg, (height, width, channel), alpha, samples, threads)
    values = np.asarray(colors)
    if values.ndim == 1 and drawing.channels == 1:
        values = values[:, None]
    if values.ndim == 2 and values.shape[1] == 3 and drawing.channels == 4:
        values = np.concatenate([values, np.ones((len(values), 1), values.dtype)], axis=1)
    values = check_floats("colors", values, (len(drawing.vertices), drawing.channels), kinds="f")
    return drawing.draw(_rasterize.paint_colors, (values,), out, {"colors": colors}, reverse)


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
    drawing = Drawing(vertices, triangles, w, bg, (None, None, None), alpha, samples, threads)
    sources = {"texture": texture, "uv": uv, "uv_triangles": uv_triangles}
    uv = check_floats("uv", uv, ("M" if uv_triangles is not None else len(drawing.vertices), 2))
    if uv_triangles is None:
        uv_triangles = drawing.triangles
    else:
        uv_triangles = check_triangles("uv_triangles", uv_triangles, len(uv))
        check_shape("uv_triangles", uv_triangles, drawing.triangles.shape)
    texels = np.asarray(texture)
    if texels.ndim == 2 and drawing.channels == 1:
        texels = texels[..., None]
    if texels.dtype != np.uint8:
        texels = check_floats("texture", texels, ("h", "w", drawing.channels), kinds="f")
    texels = np.require(check_picture("texture", texels, drawing.channels), requirements=["C", "A"])
    return drawing.draw(_rasterize.paint_texture, (texels, uv, uv_triangles), out, sources)


class Drawing:
    """The checked arguments that all drawing functions share. Nothing is drawn before all of them have been checked."""

    def __init__(self, vertices, triangles, w, bg, size, alpha, samples, threads):
        self.sources = {"vertices": vertices, "triangles": triangles, "w": w, "alpha": alpha}
        self.vertices = check_floats("vertices", vertices, ("N", 3))
        self.triangles = check_triangles("triangles", triangles, len(self.vertices))
        self.w = None if w is None else check_floats("w", w, (len(self.vertices),))
        self.bg = bg
        self.shape, self.dtype = picture_shape(bg, *size)
        self.channels = self.shape[2] if len(self.shape) == 3 else 1
        self.opacity, self.vertex_opacity = check_opacity(alpha, len(self.vertices))
        self.samples = check_samples(samples, self.shape)
        self.threads = check_number("threads", threads, MAXIMUM_THREADS)

    def draw(self, paint, surface, out, sources, reverse=False):
        """Calls a paint function of the kernel with its surface (colours, or texture, uv and uv_triangles).

        sources: the arguments that the surface was made from, by name, which `out` must not overlap.
        """
        picture = start_picture(self.bg, self.shape, self.dtype, out, {**self.sources, **sources})
        pixels = picture if picture.ndim == 3 else picture[..., None]
        count = self.samples
        fine = pixels if count == 1 else pixels.repeat(count, axis=0).repeat(count, axis=1)
        vertices = self.vertices
        if count > 1:
            # The pixel i becomes the pixels count * i ... count * i + count - 1, round the centre that it has. What
            # becomes too large for float32 becomes infinite.
            with np.errstate(over="ignore"):
                vertices = vertices * np.float32([count, count, 1]) + np.float32([(count - 1) / 2, (count - 1) / 2, 0])
        target = fine[::-1] if reverse else fine
        paint(vertices, self.w, self.triangles, *surface, self.opacity, self.vertex_opacity, target, self.threads)
        if count > 1:
            height, width, channels = pixels.shape
            with np.errstate(invalid="ignore"):  # whatever a picture of floats may hold
                mean = fine.reshape(height, count, width, count, channels).mean(axis=(1, 3), dtype=np.float64)
            pixels[...] = np.floor(mean + 0.5) if pixels.dtype == np.uint8 else mean
        return picture


def check_samples(samples, shape):
    """`samples` on each axis of a pixel as the int that it is, few enough for a picture of that shape."""
    count = check_number("samples", samples, MAXIMUM_SAMPLES)
    if max(shape[:2]) * count > MAXIMUM_SIDE:
        raise ValueError(f"samples: wanted at most {MAXIMUM_SIDE} in all on an axis, got {samples} x {shape}")
    return count


def picture_shape(bg, height=None, width=None, channel=None):
    """Shape and type of the picture to draw: those of bg, or of a new one of bytes."""
    if bg is None:
        if height is None or width is None or channel is None:
            raise ValueError(f"wanted bg, or height, width and channel; got {height}, {width} and {channel}")
        sides = check_side("height", height), check_side("width", width), check_side("channel", channel)
        return sides, np.dtype(np.uint8)
    full = check_picture("bg", bg)
    for name, given, actual in zip(("height", "width", "channel"), (height, width, channel), full.shape, strict=True):
        if given is not None and given != actual:
            raise ValueError(f"{name}: wanted none or bg's {actual}, got {given}")
    return np.shape(bg), full.dtype


def start_picture(bg, shape, dtype, out, sources):
    """The array to draw into, with bg in it or black: a new one, or out, which must not overlap any of `sources`."""
    if out is None:
        return np.zeros(shape, dtype) if bg is None else np.array(bg, order="C")
    inputs = {name: np.asarray(value) for name, value in sources.items() if value is not None}
    if bg is not None and out is not bg:
        inputs["bg"] = np.asarray(bg)
    check_out("out", out, shape, dtype, inputs)
    if out is not bg:
        out[...] = 0 if bg is None else bg
    return out


def check_opacity(alpha, vertex_count):
    """alpha as (number, None) or (1, one number for each vertex)."""
    values = check_floats("alpha", alpha, () if np.ndim(alpha) == 0 else (vertex_count,))
    given = np.asarray(alpha)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"alpha: wanted 0..1, got {np.min(values)}..{np.max(values)}")
    return (float(alpha), None) if values.ndim == 0 else (1.0, values)
