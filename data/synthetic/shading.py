"""Light on pixels: one function per material, on flat float32 arrays with channels first, (C, P).

Camera space: x right, y up, z towards the camera, metres.
"""

import numpy as np

from data.synthetic.lighting import Lights, Shadow, remap_points
from data.synthetic.pixels import Pixels
from data.synthetic.subject import CLOTHES, EYES, HAIR, MOUTH, SKIN, TEETH, Subject

# How far light reaches round the edge of shadow inside skin, per colour: red travels furthest.
SKIN_WRAP = np.float32([[0.30], [0.14], [0.09]])
METRES_OF_TEXTURE = {SKIN: 0.26, EYES: 0.045, TEETH: 0.06, MOUTH: 0.1, CLOTHES: 1.0}  # what one texture spans
DIELECTRIC = 0.028  # reflectance of skin head-on


def shade(subject: Subject, material: int, pixels: Pixels, lights: Lights, shadow: Shadow) -> np.ndarray:
    """(3, P) float32 linear light that pixels of one material send to the camera."""
    if material == HAIR:
        return _shade_hair(subject, pixels, lights, shadow)
    if material == CLOTHES:
        return _shade_clothes(subject, pixels, lights, shadow)
    if material == SKIN:
        return _shade_skin(subject, pixels, lights, shadow)
    return _shade_wet(subject, pixels, lights, shadow, material)


def look_up(subject: Subject, material: int, pixels: Pixels) -> np.ndarray:
    """(4, P) albedo and gloss from the texture level that fits the distance between pixels."""
    levels = subject.textures[material]
    texels = len(levels[0]) * pixels.metres / METRES_OF_TEXTURE[material]
    level = int(np.clip(np.round(np.log2(max(texels, 1e-3))), 0, len(levels) - 1))
    return sample(levels[level], pixels.uv)


def sample(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear texture (T, T, C) at uv (2, P) in 0..1 from border to border: (C, P)."""
    place = uv * np.float32(len(texture)) - np.float32(0.5)
    return np.ascontiguousarray(remap_points(texture, place[0], place[1]).T)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) products of vectors (3, P), or (3, P) with (3,)."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(_dot(vectors, vectors) + np.float32(1e-12))


def _lobe(cosine: np.ndarray, sharpness: float) -> np.ndarray:
    """Nearly cosine ** sharpness, and much faster."""
    return np.exp(np.float32(sharpness) * (cosine - np.float32(1.0)))


def _highlight(normals: np.ndarray, half: np.ndarray, fresnel: np.ndarray, sharpness: float) -> np.ndarray:
    """(P,) mirror reflection of the key light after Blinn and Phong, with its energy kept."""
    return fresnel * np.float32((sharpness + 8.0) / 8.0) * _lobe(_dot(normals, half), sharpness)


def _fresnel(view: np.ndarray, half: np.ndarray, front: float) -> np.ndarray:
    """Schlick's approximation; front: reflectance head-on."""
    grazing = 1.0 - np.maximum(_dot(view, half), 0.0)
    square = grazing * grazing
    return np.float32(front) + np.float32(1.0 - front) * square * square * grazing


def _shade_skin(subject: Subject, pixels: Pixels, lights: Lights, shadow: Shadow) -> np.ndarray:
    texture = look_up(subject, SKIN, pixels)
    normals, view = _unit(pixels.normals), _unit(-pixels.points)
    cosine = _dot(normals, lights.key_direction)
    open_sky = shadow.lit(pixels.points + np.float32(0.0015) * normals, 0.003)
    wrapped = np.clip((cosine + SKIN_WRAP) * (1.0 / (1.0 + SKIN_WRAP)), 0.0, 1.0)
    softened = open_sky + (np.sqrt(open_sky) - open_sky) * (SKIN_WRAP * np.float32(1.5))
    colours = texture[:3] * (pixels.light + wrapped * softened * lights.key_colour[:, None])
    half = _unit(view + lights.key_direction[:, None])
    fresnel = _fresnel(view, half, DIELECTRIC)
    shine = 0.65 * _highlight(normals, half, fresnel, 14.0) + 0.35 * _highlight(normals, half, fresnel, 55.0)
    shine *= np.maximum(cosine, 0.0) * open_sky
    return colours + texture[3] * (shine * lights.key_colour[:, None] + pixels.glint)


def _shade_clothes(subject: Subject, pixels: Pixels, lights: Lights, shadow: Shadow) -> np.ndarray:
    texture = look_up(subject, CLOTHES, pixels)
    smooth = _unit(pixels.normals)
    normals = _unit(smooth + sample(subject.folds, pixels.uv))
    cosine = _dot(normals, lights.key_direction)
    wrapped = np.clip((cosine + 0.1) / 1.1, 0.0, 1.0) * shadow.lit(pixels.points, 0.006)
    creases = 1.0 + _dot(normals - smooth, np.float32([0.2, 0.75, 0.3]))
    view = _unit(-pixels.points)
    half = _unit(view + lights.key_direction[:, None])
    shine = wrapped * texture[3] * _highlight(normals, half, _fresnel(view, half, 0.04), 12.0)
    return texture[:3] * (pixels.light * creases) + (texture[:3] * wrapped + shine) * lights.key_colour[:, None]


def _shade_wet(subject: Subject, pixels: Pixels, lights: Lights, shadow: Shadow, material: int) -> np.ndarray:
    """Eyes, teeth and the inside of the mouth."""
    texture = look_up(subject, material, pixels)
    normals, view = _unit(pixels.normals), _unit(-pixels.points)
    cosine = _dot(normals, lights.key_direction)
    open_sky = shadow.lit(pixels.points, 0.004)
    wrapped = np.clip((cosine + 0.25) / 1.25, 0.0, 1.0) * open_sky
    colours = texture[:3] * (pixels.light + wrapped * lights.key_colour[:, None])
    half = _unit(view + lights.key_direction[:, None])
    shine = _highlight(normals, half, _fresnel(view, half, 0.04), 240.0 if material == EYES else 40.0)
    shine *= (cosine > -0.1) * np.sqrt(shadow.lit(pixels.points, 0.012))
    mirrored = 2.0 * _dot(view, normals) * normals - view
    seen = np.clip(2.0 * pixels.light.mean(axis=0), 0.0, 1.0)
    sky = lights.sky(np.ascontiguousarray(mirrored.T)).T ** 1.5 * (0.03 * seen)
    return colours + texture[3] * (shine * lights.key_colour[:, None] + sky)


def _shade_hair(subject: Subject, pixels: Pixels, lights: Lights, shadow: Shadow) -> np.ndarray:
    """Kajiya and Kay's cylinders with a white and a tinted highlight; darker at the roots."""
    albedo = np.ascontiguousarray(subject.strand_colours[subject.mesh.strand[pixels.triangle]].T)
    tangents, view = _unit(pixels.normals), _unit(-pixels.points)
    along = _dot(tangents, lights.key_direction)
    lit = np.sqrt(np.maximum(1.0 - along * along, 0.0)) * shadow.lit(pixels.points, 0.005)
    slant = _dot(tangents, _unit(view + lights.key_direction[:, None]))
    white = _lobe(1.0 - (slant + 0.10) ** 2, 40.0)
    tinted = _lobe(1.0 - (slant - 0.12) ** 2, 12.0)
    depth = np.float32(0.45) + np.float32(0.55) * np.minimum(1.4 * pixels.uv[0], 1.0)
    key = lit * lights.key_colour[:, None]
    shine = np.float32(0.05) * white + (np.float32(0.35) * tinted) * albedo
    return depth * (albedo * (1.15 * pixels.light + 0.9 * key) + shine * (key + 0.35 * pixels.light))
