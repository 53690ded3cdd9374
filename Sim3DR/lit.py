"""Whole pictures of lit, textured meshes, in linear light: many surfaces at once, antialiased, with holes cut out.

What is drawn where is specified in the package's docstring.
"""

import numpy as np

from . import _rasterize
from .checks import MAXIMUM_THREADS, check_floats, check_number, check_picture, check_shape, check_triangles
from .drawing import check_samples, start_picture

MAXIMUM_TEXTURES = 256


def linear_light():
    """(256,) float32: the linear light, 0..1, of the bytes of an sRGB colour (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


LINEAR_LIGHT = linear_light()


def draw_lit(
    picture,
    vertices,
    triangles,
    light,
    shine,
    uv,
    surface,
    textures,
    w=None,
    samples=2,
    out=None,
    threads=1,
):
    """A mesh of several surfaces, each with a texture, lit at its vertices and drawn over a picture.

    picture (H, W, 3) float32: what is behind, linear light in any unit. vertices, triangles, w: as in
    rasterize_buffers. light (N, 3): multiplies the texture's colour; shine (N, 3): is added to that; both in the
    picture's unit and, like uv (N, 2), blended between the vertices. uv: u to the right and v down, 0..1 from border to
    border of the texture, which repeats beyond. surface (F,) uint8: which of `textures` each triangle has.
    textures: a list of up to 256 (h, w, 4) uint8: three channels of sRGB colour, which become linear light in 0..1, and
    one of opacity; both bilinear between texel centres. Where the opacity is below 128 the triangle has a hole.
    samples: s x s of them in each pixel, 1..8. out: a picture like `picture` to draw into and return, which may be that
    one itself; without it, a new one. threads: over how many to spread the rows; the result is the same.

    Returns (H, W, 3) float32: the mean over a pixel's samples of light * texture + shine, or of the picture where a
    sample shows no triangle. Textures are read as they are, without smaller levels: bring their size near that in which
    they show.
    Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
    """
    behind = np.asarray(picture)
    if behind.dtype != np.float32:
        raise TypeError(f"picture: wanted float32, got {behind.dtype} (a {type(picture).__name__})")
    check_shape("picture", behind, ("H", "W", 3))
    check_picture("picture", behind)
    if not isinstance(textures, list | tuple):
        raise TypeError(f"textures: wanted a list, got a {type(textures).__name__}")
    sources = {"vertices": vertices, "triangles": triangles, "w": w, "light": light, "shine": shine, "uv": uv}
    sources |= {"surface": surface, **{f"textures[{i}]": texture for i, texture in enumerate(textures)}}
    vertices = check_floats("vertices", vertices, ("N", 3))
    triangles = check_triangles("triangles", triangles, len(vertices))
    w = None if w is None else check_floats("w", w, (len(vertices),))
    light = check_floats("light", light, (len(vertices), 3))
    shine = check_floats("shine", shine, (len(vertices), 3))
    uv = check_floats("uv", uv, (len(vertices), 2))
    textures = check_textures(textures)
    surface = check_surface(surface, len(triangles), len(textures))
    samples = check_samples(samples, behind.shape)
    threads = check_number("threads", threads, MAXIMUM_THREADS)
    drawn = start_picture(picture, behind.shape, behind.dtype, out, sources)
    _rasterize.draw_lit(
        vertices, w, triangles, light, shine, uv, surface, textures, LINEAR_LIGHT, samples, drawn, threads
    )
    return drawn


def check_textures(textures):
    """`textures` as a list of C-ordered (h, w, 4) arrays of uint8."""
    if len(textures) > MAXIMUM_TEXTURES:
        raise ValueError(f"textures: wanted at most {MAXIMUM_TEXTURES}, got {len(textures)}")
    checked = []
    for number, texture in enumerate(textures):
        texels = np.asarray(texture)
        if texels.dtype != np.uint8:
            raise TypeError(f"textures[{number}]: wanted uint8, got {texels.dtype} (a {type(texture).__name__})")
        check_shape(f"textures[{number}]", texels, ("h", "w", 4))
        check_picture(f"textures[{number}]", texels)
        checked.append(np.require(texels, requirements=["C", "A"]))
    return checked


def check_surface(surface, triangle_count, texture_count):
    """`surface` as C-ordered (F,) uint8, all of which are textures."""
    values = np.asarray(surface)
    if values.dtype != np.uint8:
        raise TypeError(f"surface: wanted uint8, got {values.dtype} (a {type(surface).__name__})")
    check_shape("surface", values, (triangle_count,))
    if triangle_count > 0 and values.max() >= texture_count:
        raise ValueError(f"surface: wanted indices of {texture_count} textures, got up to {values.max()}")
    return np.require(values, requirements=["C", "A"])
