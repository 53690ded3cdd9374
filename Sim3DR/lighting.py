"""One white or coloured point light on a mesh: ambient, diffuse and specular shares at each vertex."""

import numpy as np

from .checks import check_floats, check_picture
from .rasterizer import get_normal, rasterize

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


def _unit_range(vertices):
    """(N, 3) moved and scaled alike on all axes so that each axis is centred and the longest spans -1..1.

    Vertices that are not finite do not count (and stay so); a mesh without extent is only centred.
    """
    finite = vertices[np.isfinite(vertices).all(axis=1)]
    if len(finite) == 0:
        return vertices
    low, high = finite.min(axis=0), finite.max(axis=0)
    extent = (high - low).max()
    return (vertices - (low + high) / 2) * (2 / extent if extent > 0 else 1)


def _directions(vectors):
    """(N, 3) scaled to unit length; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


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
        if self.specular_exp < 1 or self.specular_exp != round(self.specular_exp):
            raise ValueError(f"specular_exp: wanted a whole number from 1 on, got {self.specular_exp}")

    def update_light_pos(self, light_pos):
        """Moves the light to light_pos (3,), in the space of the scaled mesh."""
        self.light_pos = _triple("light_pos", light_pos)

    def _light(self, vertices, normals):
        """(N, 3) light in 0..1 at vertices (N, 3) with unit normals (N, 3)."""
        light = np.zeros(vertices.shape)
        if self.intensity_ambient > 0:
            light += self.intensity_ambient * self.color_ambient
        if self.intensity_directional > 0:
            placed = _unit_range(vertices)
            to_light = _directions(self.light_pos - placed)
            cosine = np.sum(normals * to_light, axis=1, keepdims=True)
            light += self.intensity_directional * self.color_directional * np.clip(cosine, 0, 1)
            if self.intensity_specular > 0:
                reflection = 2 * cosine * normals - to_light
                to_viewer = _directions(self.view_pos - placed)
                highlight = np.sum((to_viewer * reflection) ** self.specular_exp, axis=1, keepdims=True)
                highlight = np.where(cosine != 0, np.clip(highlight, 0, 1), 0)
                light += self.intensity_specular * self.color_directional * highlight
        return np.clip(light, 0, 1)

    def __call__(self, vertices, triangles, bg, texture=None, *, w=None):
        """Draws the mesh over a copy of bg.

        vertices (N, 3), triangles (F, 3), w: as in rasterize_buffers; triangles whose normals (see get_normal) point to
        +z face the viewer. bg (H, W, 3) uint8. texture (N, 3): colours of the vertices in 0..1, white without it.

        Returns a new (H, W, 3) uint8 picture.
        Raises TypeError, ValueError: an argument of the wrong kind, shape or range.
        """
        bg = check_picture("bg", bg, 3)
        vertices = check_floats("vertices", vertices, ("N", 3))
        # Vertices that are not finite give light that is not a number; their triangles are not drawn.
        with np.errstate(invalid="ignore"):
            light = self._light(vertices.astype(np.float64), get_normal(vertices, triangles))
        if texture is not None:
            light = light * check_floats("texture", texture, (len(vertices), 3), kinds="f")
        return rasterize(vertices, triangles, light, bg=bg, w=w)


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
