"""One white or coloured point light on a mesh: ambient, diffuse and specular shares at each vertex."""

import numpy as np

from . import _rasterize
from .checks import check_floats, check_picture
from .drawing import Drawing

MAXIMUM_EXPONENT = 1 << 16
DEFAULTS = {
    "intensity_ambient": 0.3,
    "intensity_directional": 0.6,
    "intensity_specular": 0.1,
    "specular_exp": 5,
    "color_ambient": (1, 1, 1),
    "color_directional": (1, 1, 1),
    "light_pos": (0, 0, 5),
    "view_pos": (0, 0, 5),
}


class RenderPipeline:
    """Draws a lit mesh over a picture.

    Keywords (floats, or three floats where a colour or position is meant):
    intensity_ambient 0.3, intensity_directional 0.6, intensity_specular 0.1: shares of the three kinds of light;
    specular_exp 5: how narrow the highlight is; color_ambient, color_directional (1, 1, 1): in the channel order of
    the picture; light_pos, view_pos (0, 0, 5): in the space where the mesh has been centred and scaled alike on all
    axes to span -1..1 along its longest one.

    For a vertex v with normal n, l and e the unit vectors from v to light and viewer:
    light = ambient * color_ambient + directional * color_directional * clip(n.l, 0, 1)
            + specular * color_directional * clip(sum_k (e_k r_k)**specular_exp, 0, 1),  r = 2 (n.l) n - l,
    clipped to 0..1. The power is taken of each axis's product before the sum, which is how 3DDFA_V2 computes its
    pictures; only a highlight along an axis is Phong's. Without directional light there is no specular one.
    """

    def __init__(self, **options):
        unknown = sorted(set(options) - set(DEFAULTS))
        if unknown:
            raise TypeError(f"unknown option {', '.join(unknown)}; wanted one of {', '.join(DEFAULTS)}")
        for name, default in DEFAULTS.items():
            value = options.get(name, default)
            setattr(self, name, _triple(name, value) if isinstance(default, tuple) else _number(name, value))
        if not 1 <= self.specular_exp <= MAXIMUM_EXPONENT or self.specular_exp != round(self.specular_exp):
            raise ValueError(f"specular_exp: wanted a whole number, 1..{MAXIMUM_EXPONENT}, got {self.specular_exp}")

    def update_light_pos(self, light_pos):
        """Moves the light to light_pos (3,), in the space of the scaled mesh."""
        self.light_pos = _triple("light_pos", light_pos)

    def _light(self):
        """(5, 3): shares of ambient, directional and specular light by channel, positions of light and viewer."""
        directional = self.intensity_directional > 0
        return np.array(
            [
                max(self.intensity_ambient, 0) * self.color_ambient,
                max(self.intensity_directional, 0) * self.color_directional,
                max(self.intensity_specular, 0) * self.color_directional * directional,
                self.light_pos,
                self.view_pos,
            ]
        )

    def __call__(self, vertices, triangles, bg, texture=None, *, w=None, alpha=1.0, samples=1, out=None, threads=1):
        """Draws the mesh over a picture.

        vertices (N, 3), triangles (F, 3), w: as in rasterize_buffers; triangles whose normals (see get_normal) point to
        +z face the viewer. bg (H, W, 3). texture (N, 3): colours of the vertices in 0..1, white without it. alpha,
        samples, out, threads: as in rasterize.

        The light is that of the vertices as they lie in the picture. Of a mesh that reaches behind the camera it makes
        no sense: light such a one in camera space and draw its colours with rasterize.

        Returns the picture, of bg's shape and type; bg stays as it is unless it is out.
        Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
        """
        check_picture("bg", bg, 3)
        drawing = Drawing(vertices, triangles, w, bg, (None, None, None), alpha, samples, threads)
        factors = None
        if texture is not None:
            factors = check_floats("texture", texture, (len(drawing.vertices), 3), kinds="f")
        normals, colors = (np.empty((len(drawing.vertices), 3), np.float32) for _ in range(2))
        _rasterize.vertex_normals(drawing.vertices, drawing.triangles, normals)
        _rasterize.light_vertices(drawing.vertices, normals, factors, self._light(), int(self.specular_exp), colors)
        return drawing.draw(_rasterize.paint_colors, (colors,), out, {"texture": texture})


def _number(name, value):
    array = check_floats(name, value, ())
    if not np.isfinite(array):
        raise ValueError(f"{name}: wanted a finite number, got {value}")
    return float(value)


def _triple(name, value):
    array = check_floats(name, value, (3,))
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: wanted finite numbers, got {value}")
    return array.astype(np.float64)
