"""What surfaces and hair send on of the light that reaches them, at vertices: a pixel is light * texture + shine.

Camera space: x right, y up, z towards the camera, metres. All float32; inside, channels come first, (3, N).
"""

from collections.abc import Sequence

import numpy as np

from data.synthetic.portraits.light import LUMINANCE, MATT, Lights

# How far light reaches round the edge of shadow inside skin, per colour: red travels furthest.
SKIN_WRAP = 0.30, 0.14, 0.09
PLAIN_WRAP = 0.05, 0.05, 0.05
DIELECTRIC = 0.028  # reflectance of skin head-on
GRAZING = 0.3  # reflectance of the surroundings along the edge: rough surfaces do not come near a mirror's
# Mirror reflections of lamps: share and sharpness of each lobe.
SKIN_LOBES = (0.65, 14.0), (0.35, 55.0)
CLOTH_LOBES = ((1.0, 12.0),)
WET_LOBES = ((1.0, 240.0),)


def light_surface(
    lights: Lights,
    points: np.ndarray,
    normals: np.ndarray,
    albedo: np.ndarray,
    gloss: np.ndarray,
    ambient: np.ndarray,
    lit: Sequence[np.ndarray],
    wrap: bool = True,
    lobes: Sequence[tuple[float, float]] = SKIN_LOBES,
) -> tuple[np.ndarray, np.ndarray]:
    """light (N, 3) and shine (N, 3) of skin (wrap, SKIN_LOBES), cloth (CLOTH_LOBES), eyes and teeth (WET_LOBES).

    points (N, 3), unit normals (N, 3), albedo (N, 3), gloss (N,); ambient (N, 3): `irradiance`; lit: (N,) a lamp
    Lamps: Lambert's cosine, wrapped, and Blinn's and Phong's lobes with Schlick's Fresnel; surroundings: `_glint`.
    """
    x, y, z = _columns(normals)
    to_camera = _unit(-_columns(points))
    facing = x * to_camera[0] + y * to_camera[1] + z * to_camera[2]
    received = _columns(ambient)
    shine = _glint(lights, (x, y, z), to_camera, facing, received)
    for lamp, open_sky in zip(lights.lamps, lit, strict=True):
        cosine = _along((x, y, z), lamp.direction)
        softer = np.sqrt(open_sky) - open_sky
        for colour, reach in enumerate(SKIN_WRAP if wrap else PLAIN_WRAP):
            wrapped = np.clip((cosine + np.float32(reach)) * np.float32(1.0 / (1.0 + reach)), 0.0, 1.0)
            wrapped *= open_sky + softer * np.float32(1.5 * reach)
            received[colour] += wrapped * lamp.colour[colour]
        # The vector halfway between view and lamp is never made: its length and products follow from theirs.
        half = np.sqrt(np.maximum(2.0 + 2.0 * _along(to_camera, lamp.direction), 1e-4))
        slant = (facing + cosine) / half - np.float32(1.0)
        mirrored = sum(
            np.float32(share * (sharp + 8) / 8) * np.exp(np.float32(sharp) * slant) for share, sharp in lobes
        )
        mirrored *= _fresnel(np.float32(0.5) * half, 1.0) * np.maximum(cosine, 0.0) * open_sky
        for colour in range(3):
            shine[colour] += mirrored * lamp.colour[colour]
    received *= albedo.T
    shine *= gloss
    return np.ascontiguousarray(received.T), np.ascontiguousarray(shine.T)


def light_hair(
    lights: Lights,
    points: np.ndarray,
    tangents: np.ndarray,
    albedo: np.ndarray,
    ambient: np.ndarray,
    lit: Sequence[np.ndarray],
    along: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """light (N, 3) and shine (N, 3) at points (N, 3) of strands: cylinders with a white and a tinted highlight (Kajiya
    and Kay 1989), darker at the roots. tangents (N, 3) unit; along (N,): 0 at the root .. 1 at the tip."""
    tangent, to_camera = _columns(tangents), _unit(-_columns(points))
    across = tangent[0] * to_camera[0] + tangent[1] * to_camera[1] + tangent[2] * to_camera[2]
    around = _columns(ambient)
    received, white = around * np.float32(1.15), np.zeros_like(around)
    tinted = around * np.float32(0.35 * 0.2)  # what the surroundings add to the tinted highlight, from no one side
    for lamp, open_sky in zip(lights.lamps, lit, strict=True):
        cosine = _along(tangent, lamp.direction)
        bright = np.sqrt(np.maximum(1.0 - cosine * cosine, 0.0)) * open_sky
        half = np.sqrt(np.maximum(2.0 + 2.0 * _along(to_camera, lamp.direction), 1e-2))
        slant = (across + cosine) / half
        first = np.exp(np.float32(-40.0) * np.square(slant + np.float32(0.10))) * bright * np.float32(0.05)
        second = np.exp(np.float32(-12.0) * np.square(slant - np.float32(0.12))) * bright * np.float32(0.35)
        for colour in range(3):
            received[colour] += bright * np.float32(0.9 * lamp.colour[colour])
            white[colour] += first * lamp.colour[colour]
            tinted[colour] += second * lamp.colour[colour]
    depth = np.float32(0.45) + np.float32(0.55) * np.minimum(np.float32(1.4) * along, 1.0)
    own = albedo.T
    return np.ascontiguousarray((received * own * depth).T), np.ascontiguousarray(((white + tinted * own) * depth).T)


def _glint(
    lights: Lights, normal: Sequence[np.ndarray], to_camera: np.ndarray, facing: np.ndarray, received: np.ndarray
) -> np.ndarray:
    """(3, N) the surroundings mirrored: their luminance in the mirrored direction, blurred as the surface is rough, in
    their mean colour, as far as the point sees them."""
    sh = (lights.sh @ LUMINANCE) * np.sqrt(MATT)
    x, y, z = (2.0 * facing * n - v for n, v in zip(normal, to_camera, strict=True))
    first, second, third = (np.float32(np.sqrt(c / (4 * np.pi))) for c in (1.0, 3.0, 15.0))
    # As `harmonics`, with what is common taken out.
    sky = z * (second * sh[2] + third * (np.float32(3 / np.sqrt(12)) * sh[6] * z - sh[7] * x - sh[5] * y))
    sky += y * (third * (sh[4] * x - np.float32(0.5) * sh[8] * y) - second * sh[1])
    sky += x * (third * np.float32(0.5) * sh[8] * x - second * sh[3])
    sky += first * sh[0] - third * np.float32(1 / np.sqrt(12)) * sh[6]
    mean = first * lights.sh[0]
    seen = np.minimum(received.mean(axis=0) * np.float32(1.0 / max(float(mean.mean()), 1e-6)), 1.0)
    sky = np.maximum(sky, 0.0) * seen * _fresnel(np.maximum(facing, 0.0), GRAZING)
    return np.multiply.outer(mean / max(float(mean @ LUMINANCE), 1e-6), sky).astype(np.float32)


def _columns(rows: np.ndarray) -> np.ndarray:
    """(3, N) float32 of its own from (N, 3)."""
    return np.array(rows.T, np.float32, order="C")


def _unit(vectors: np.ndarray) -> np.ndarray:
    x, y, z = vectors
    return vectors / np.sqrt(x * x + y * y + z * z + np.float32(1e-12))


def _along(vectors: Sequence[np.ndarray], direction: np.ndarray) -> np.ndarray:
    return vectors[0] * direction[0] + vectors[1] * direction[1] + vectors[2] * direction[2]


def _fresnel(cosine: np.ndarray, most: float) -> np.ndarray:
    """Schlick's approximation, from DIELECTRIC head-on to most along the edge."""
    rest = np.float32(1.0) - cosine
    square = rest * rest
    return np.float32(DIELECTRIC) + np.float32(most - DIELECTRIC) * square * square * rest
