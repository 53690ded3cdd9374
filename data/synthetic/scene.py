"""Pictures of a subject: geometry into camera space, one pass of the rasterizer, then light on the pixels it found.

Camera space throughout: x right, y up, z towards the camera, metres. Light is linear.
"""

from dataclasses import dataclass, replace

import numpy as np

from data.synthetic import hair, lighting
from data.synthetic.background import draw_background
from data.synthetic.camera import Camera, develop, draw_camera
from data.synthetic.pixels import EMPTY, SUPERSAMPLING, gather, spread
from data.synthetic.shading import shade
from data.synthetic.shape import skin_of
from data.synthetic.subject import (
    CLOTHES,
    EYES,
    HAIR,
    MATERIAL_OF_PART,
    MOUTH,
    SKIN,
    SKY_DIRECTIONS,
    TEETH,
    Subject,
    smooth_normals,
)
from data.synthetic.sweep import body_pose
from Sim3DR import rasterize_buffers
from util.camera import WCPA_PROJECTION, screen_vertices, transform

# The cornea is a dome of 8 mm radius on a ball of 12.5 mm: its centre lies this far ahead, in radii of the ball.
CORNEA_OFFSET = 0.38
# Hair begins to lie on the shoulders at this height and does so altogether that much below; metres.
HAIR_ON_SHOULDERS = (-0.075, 0.09)
HEAD_MIDDLE = np.array([[0.0, -0.05, -0.03]])  # canonical, of head and neck: what the shadow map is laid around
TEETH_SHOWN_BY = ("smile_left", "smile_right", "upper_lip_raise", "lower_lip_down", "funnel", "lips_stretch")


@dataclass(frozen=True)
class Setting:
    """Where a picture is taken: lights, background (size, size, 3) linear, and camera."""

    lights: lighting.Lights
    background: np.ndarray
    camera: Camera


@dataclass(frozen=True)
class Posed:
    """A subject in camera space; vertex arrays as in Subject.

    vertices, normals: (N, 3) float32, the normals of hair being its tangents
    light: (N, 3) float32 irradiance / pi from the sky; glint: (N, 1) what the sky's mirror image adds
    centre: (3,) the middle of the head
    """

    vertices: np.ndarray
    normals: np.ndarray
    light: np.ndarray
    glint: np.ndarray
    centre: np.ndarray


def draw_setting(rng: np.random.Generator, size: int) -> Setting:
    """Draws surroundings, lights that go with them, and a camera."""
    background = draw_background(rng, size)
    mean = np.minimum(background[::8, ::8], 1.5).mean(axis=(0, 1))
    lights = lighting.draw_lights(rng, mean)
    level = np.exp(rng.normal(-0.1, 0.4)) * 0.30 / (mean.mean() + 0.05)
    return Setting(lights, background * np.float32(np.clip(level, 0.4, 1.8)), draw_camera(rng))


def pose_subject(
    subject: Subject, R_t: np.ndarray, expression: np.ndarray, gaze: tuple[float, float], sky: lighting.Lights
) -> Posed:
    """Brings a subject into camera space under a sky; R_t (4, 4) is the pose of the head."""
    face = subject.face
    moved = face.vertices(subject.identity, expression, gaze)
    shoulders = body_pose(R_t)
    # The sky as the head sees it; what turns less than the head (clothes) is lit as if it turned along.
    light = subject.transfer @ sky.sky(SKY_DIRECTIONS @ R_t[:3, :3].astype(np.float32))
    placed, normals, start = [], [], 0
    for part in face.parts:
        share = face.neck_weight[:, None] if part.name == "skin" else float(part.name == "clothes")
        placed.append(blend_poses(moved[part.name], R_t, shoulders, share))
        normals.append(smooth_normals(placed[-1], subject.welds[part.name]))
        material = MATERIAL_OF_PART[part.name]
        if material == EYES:
            normals[-1] = _raise_cornea(normals[-1], part.uv, subject.look.iris_angle)
        if material in (TEETH, MOUTH):
            light[start : start + len(placed[-1])] *= mouth_opening(face.expression_names, expression)
        start += len(placed[-1])
    surface, surface_normals = np.concatenate(placed), np.concatenate(normals)
    glint = np.zeros((len(subject.mesh.uv), 1), np.float32)
    glint[:start] = _mirror_image(surface, surface_normals, light[:start], sky)
    hair_vertices, tangents = _pose_hair(subject, moved["skin"], R_t, shoulders)
    repeats = [2 * group.points.shape[1] for group in subject.strands for _ in range(len(group.points))]
    return Posed(
        vertices=np.concatenate([surface, hair_vertices]),
        normals=np.concatenate([surface_normals, tangents]),
        light=np.concatenate([light[:start], np.repeat(light[start:], np.array(repeats, int), axis=0)]),
        glint=glint,
        centre=transform(HEAD_MIDDLE, R_t)[0],
    )


def _pose_hair(
    subject: Subject, skin: np.ndarray, R_t: np.ndarray, shoulders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and tangents (H, 3) of all ribbons in camera space, for canonical skin vertices (V, 3)."""
    triangles = skin_of(subject.face).triangles
    made = [(np.zeros((0, 3), np.float32),) * 2]
    for group in subject.strands:
        points = hair.move_strands(group, triangles, subject.rest["skin"], skin)
        share = 0.0 if group.turns else np.clip((HAIR_ON_SHOULDERS[0] - points[..., 1:2]) / HAIR_ON_SHOULDERS[1], 0, 1)
        made.append(hair.ribbons(blend_poses(points, R_t, shoulders, share), group.widths))
    vertices, tangents = zip(*made, strict=True)
    return np.concatenate(vertices), np.concatenate(tangents)


def mouth_opening(names: tuple[str, ...], expression: np.ndarray) -> float:
    """Which share of the light that enters an open mouth enters it with expression weights (E,): about 0.1 to 1."""
    weights = dict(zip(names, expression.tolist(), strict=True))
    shown = max(weights.get(name, 0.0) for name in TEETH_SHOWN_BY)
    return float(np.clip(0.1 + 1.3 * weights.get("jaw_open", 0.0) + 0.5 * shown, 0.1, 1.0))


def blend_poses(points: np.ndarray, R_t: np.ndarray, shoulders: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Points (..., 3) under the head's pose where share (..., 1) is 0, under the shoulders' where it is 1; float32."""
    R_t, shoulders = R_t.astype(np.float32), shoulders.astype(np.float32)
    with_head = transform(points, R_t)
    if np.max(share) == 0:
        return with_head
    return with_head + np.float32(share) * (transform(points, shoulders) - with_head)


def _raise_cornea(normals: np.ndarray, uv: np.ndarray, iris_angle: float) -> np.ndarray:
    """Normals (V, 3) of an eyeball with the steeper dome of the cornea over its iris, which is around uv (0.5, 0.5)."""
    ahead = normals[np.square(uv - 0.5).sum(axis=1).argmin()]
    inside = np.clip((normals @ ahead - np.cos(1.15 * iris_angle)) / 0.05, 0.0, 1.0)[:, None]
    dome = normals - CORNEA_OFFSET * inside * ahead
    return (dome / np.linalg.norm(dome, axis=1, keepdims=True)).astype(np.float32)


def _mirror_image(vertices: np.ndarray, normals: np.ndarray, light: np.ndarray, sky: lighting.Lights) -> np.ndarray:
    """(V, 1) radiance of the sky mirrored towards the camera by a dielectric, dimmed where little sky is seen."""
    view = -vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    facing = (view * normals).sum(axis=1, keepdims=True)
    mirrored = sky.sky(2.0 * facing * normals - view).mean(axis=1, keepdims=True)
    fresnel = 0.028 + 0.35 * (1.0 - np.clip(facing, 0.0, 1.0)) ** 5
    seen = np.minimum(light.mean(axis=1, keepdims=True) / (mirrored + 0.2), 1.0)
    return (mirrored * fresnel * seen).astype(np.float32)


def expose(subject: Subject, posed: Posed, lights: lighting.Lights) -> float:
    """The factor on all light that gives the face the brightness an automatic exposure aims at."""
    skin = slice(0, len(subject.rest["skin"]))  # the first part
    weight = subject.face.regions["face"] * (posed.normals[skin, 2] > 0.1) + 1e-6
    key = np.maximum(posed.normals[skin] @ lights.key_direction, 0.0)[:, None] * lights.key_colour
    irradiance = float(np.average((posed.light[skin] + key).mean(axis=1), weights=weight))
    return float(0.85 * np.exp(0.12 * (subject.look.melanin - 0.6)) / (irradiance + 1e-3))


def render(
    subject: Subject,
    R_t: np.ndarray,
    expression: np.ndarray,
    gaze: tuple[float, float],
    setting: Setting,
    rng: np.random.Generator,
    projection: np.ndarray = WCPA_PROJECTION,
) -> np.ndarray:
    """(size, size, 3) uint8 sRGB picture of a subject in a setting, of the size of the setting's background."""
    posed = pose_subject(subject, R_t, expression, gaze, setting.lights)
    factor = expose(subject, posed, setting.lights)
    lights = lighting.scale_lights(setting.lights, factor)
    posed = replace(posed, light=posed.light * factor, glint=posed.glint * factor)
    light = composite(subject, posed, lights, setting.background, projection)
    return develop(rng, setting.camera, light)


def composite(
    subject: Subject, posed: Posed, lights: lighting.Lights, background: np.ndarray, projection: np.ndarray
) -> np.ndarray:
    """(H, W, 3) float32 linear light of the subject before the background."""
    height, width = background.shape[:2]
    scale = SUPERSAMPLING
    screen = screen_vertices(posed.vertices, projection.astype(np.float32), width * scale, height * scale)
    box = _picture_box(screen, width, height, scale)
    picture = background.copy()
    if box is None:
        return picture
    left, top, right, bottom = box
    screen[:, :2] -= np.float32([left * scale, top * scale])
    size = ((bottom - top) * scale, (right - left) * scale)
    buffers = rasterize_buffers(screen, subject.mesh.triangles, *size, w=-screen[:, 2])
    materials = np.append(subject.mesh.material, EMPTY).astype(np.uint8)[buffers.triangle]
    columns = (np.arange(size[1]) + left * scale + 0.5) * (2.0 / (width * scale)) - 1.0
    rows = 1.0 - (np.arange(size[0]) + top * scale + 0.5) * (2.0 / (height * scale))
    rays = ((columns / projection[0, 0]).astype(np.float32), (rows / projection[1, 1]).astype(np.float32))
    attributes = np.concatenate([posed.normals, posed.light, posed.glint, subject.mesh.uv], axis=1)
    shadow = lighting.Shadow(posed.vertices, subject.mesh.shadow_triangles, lights, posed.centre)
    layer = np.zeros((bottom - top, right - left, 4), np.float32)
    for material in (SKIN, EYES, TEETH, MOUTH, CLOTHES, HAIR):
        fine = material not in (SKIN, CLOTHES)
        pixels = gather(buffers, subject.mesh.triangles, attributes, materials == material, fine, rays)
        if pixels is not None:
            spread(pixels, np.minimum(shade(subject, material, pixels, lights, shadow), 8.0), layer)
    window = picture[top:bottom, left:right]
    window *= 1.0 - layer[..., 3:]
    window += layer[..., :3]
    return picture


def _picture_box(screen: np.ndarray, width: int, height: int, scale: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what the subject covers in the picture, whole pixels; None where nothing."""
    (left, right), (top, bottom) = (
        np.clip([np.floor(values.min() / scale), np.ceil(values.max() / scale) + 1], 0, side).astype(int)
        for values, side in ((screen[:, 0], width), (screen[:, 1], height))
    )
    return (int(left), int(top), int(right), int(bottom)) if right > left and bottom > top else None
