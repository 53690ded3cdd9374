"""Pictures of a person: geometry into camera space, light at its vertices, and one pass of the rasterizer.

Camera space throughout: x right, y up, z towards the camera, metres. Light is linear.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from data.synthetic import hair
from data.synthetic.portraits.hair_ribbons import move_strands, ribbons
from data.synthetic.portraits.head import EYES, GUMS, TEETH
from data.synthetic.portraits.light import LUMINANCE, Lights, exposure
from data.synthetic.portraits.outfit import WHITE, level_for
from data.synthetic.portraits.people import Person
from data.synthetic.portraits.reflection import CLOTH_LOBES, WET_LOBES, light_hair, light_surface
from data.synthetic.portraits.shadows import Shadow, irradiance, mouth_opening, open_transfer, reach
from data.synthetic.scene import HAIR_ON_SHOULDERS, blend_poses
from data.synthetic.sweep import body_pose
from Sim3DR import draw_lit, get_normal

# Metres that the textures of the head's surfaces and of pieces span, about: which level of them is drawn goes by it.
SPANS = {EYES: 0.06, TEETH: 0.10, GUMS: 0.12}
SKIN_SPAN, PIECE_SPAN = 0.30, 0.40
# All strands are drawn where a metre has so many pixels, as in a face 900 pixels wide; the smaller, the fewer.
FINE_HAIR, LEAST_HAIR = 7000.0, 0.09
SHOULDERS_FOLLOW = (0.12, 0.35, 0.20)  # shares of the head's pitch, yaw and roll
NEAREST = 0.02  # metres before the camera
SHADOW_REACH = 0.30  # metres about the head's middle within which things throw shadows
EDGE = 0.25  # the cosine to the line of sight by which skin may turn away and still be drawn: of coarse triangles
CLOTH_SKY = 0.75  # the share of the surroundings' light that pieces get, which know nothing of what hides it


@dataclass(frozen=True)
class Frame:
    """A camera, and the part of its picture that is drawn.

    projection: (4, 4) M_proj; width, height: of the whole picture in pixels; left, top: the part's corner in it;
    scale: pixels drawn for each of the picture's; columns, rows: pixels drawn
    """

    projection: np.ndarray
    width: int
    height: int
    left: float
    top: float
    scale: float
    columns: int
    rows: int

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) float32 in camera space to Sim3DR's screen (N, 3) of what is drawn, as util.camera does it."""
        screen = np.empty_like(points)
        nearness = np.float32(-1.0) / points[:, 2]
        for axis, (side, corner, sign) in enumerate(((self.width, self.left, 1.0), (self.height, self.top, -1.0))):
            slope = np.float32(sign * self.projection[axis, axis] * side / 2 * self.scale)
            middle = np.float32((side / 2 - corner) * self.scale - 0.5)
            screen[:, axis] = points[:, axis] * nearness * slope + middle
        screen[:, 2] = points[:, 2]
        return screen

    def pixels_per_metre(self, distance: float) -> float:
        """How many drawn pixels a metre is at a distance."""
        return float(self.projection[0, 0]) * self.width / 2 * self.scale / distance


@lru_cache(maxsize=256)
def ribbon_triangles(count: int, steps: int) -> np.ndarray:
    """hair.ribbon_triangles, kept: few numbers of strands are drawn again and again."""
    return hair.ribbon_triangles(count, steps)


def whole_frame(projection: np.ndarray, size: int) -> Frame:
    """All of a square picture."""
    return Frame(projection, size, size, 0.0, 0.0, 1.0, size, size)


class Mesh(NamedTuple):
    """Something in camera space: points (N, 3), normals (N, 3), of hair its tangents, and triangles (F, 3) int32."""

    points: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray


class Lit(NamedTuple):
    """What is drawn: points (N, 3) in camera space, light (N, 3), shine (N, 3), uv (N, 2), triangles (F, 3) and the
    number (F,) of their texture in `textures`."""

    points: np.ndarray
    light: np.ndarray
    shine: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    surface: np.ndarray
    textures: list[np.ndarray]


def draw_portrait(
    rng: np.random.Generator,
    person: Person,
    vertices: np.ndarray,
    R_t: np.ndarray,
    lights: Lights,
    frame: Frame,
    behind: np.ndarray,
) -> np.ndarray:
    """(rows, columns, 3) float32 light of a person before `behind` of that shape, which is drawn over.

    vertices: (V, 3) float32 of the head, with its expression; R_t: (4, 4) its pose; rng: of the exposure
    """
    head, outfit = person.studio.head, person.character.outfit
    shoulders = body_pose(R_t, SHOULDERS_FOLLOW)
    sharpness = frame.pixels_per_metre(max(-float(R_t[3, 2]), 0.1))
    points = blend_poses(vertices, R_t, shoulders, person.studio.neck_weight)
    skin = Mesh(points, get_normal(points, head.triangles), head.triangles)
    points = blend_poses(person.worn, R_t, shoulders, outfit.on_body[:, None].astype(np.float32))
    worn = Mesh(points, get_normal(points, outfit.triangles), outfit.triangles)
    strands = strands_of(person, vertices, sharpness)
    placed = [place_strands(group, R_t, shoulders) for group in strands]

    casters = join([skin._replace(triangles=person.studio.casters), worn, *placed[:1]])
    centre = R_t[3, :3].astype(np.float32)
    ambient = irradiance(lights, person.studio.transfer, R_t[:3, :3], mouth_opening(head, vertices))
    shadows = [Shadow(lamp, casters.points, casters.triangles, centre, SHADOW_REACH) for lamp in lights.lamps]
    factor = exposure(rng, lights, *face_brightness(person, skin, lights, ambient, shadows))
    lights, ambient = lights.scale(factor), ambient * np.float32(factor)
    parts = [
        light_head(person, skin, lights, ambient, shadows, sharpness),
        light_worn(person, worn, lights, shadows, sharpness),
    ]
    parts += [
        light_strands(group, mesh, head.skin_triangles, lights, ambient, shadows)
        for group, mesh in zip(strands, placed, strict=True)
    ]
    return draw_parts(parts, frame, behind)


def strands_of(person: Person, vertices: np.ndarray, sharpness: float) -> list[hair.Strands]:
    """A character's hair on a person's head (V, 3), canonical metres: the scalp's moves with the head, the rest with
    the skin. There are fewer and wider strands where a metre has few pixels."""
    share = float(np.clip(sharpness / FINE_HAIR, LEAST_HAIR, 1.0))
    triangles, mean = person.studio.head.skin_triangles, person.studio.head.mean
    return [
        replace(group, points=move_strands(group, triangles, mean, vertices if group.turns else person.neutral))
        for group in person.character.strands(share)
    ]


def place_strands(strands: hair.Strands, R_t: np.ndarray, shoulders: np.ndarray) -> Mesh:
    """Strands as ribbons in camera space; long hair lies on the shoulders."""
    points, share = strands.points, 0.0
    if not strands.turns:
        share = np.clip((HAIR_ON_SHOULDERS[0] - points[..., 1:2]) / np.float32(HAIR_ON_SHOULDERS[1]), 0.0, 1.0)
    vertices, tangents = ribbons(blend_poses(points, R_t, shoulders, share), strands.widths)
    return Mesh(vertices, tangents, ribbon_triangles(*points.shape[:2]))


def join(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])
    triangles = [mesh.triangles + np.int32(start) for mesh, start in zip(meshes, starts, strict=False)]
    points, normals = (np.concatenate([mesh[index] for mesh in meshes]) for index in (0, 1))
    return Mesh(points, normals, np.concatenate(triangles))


def face_brightness(
    person: Person, skin: Mesh, lights: Lights, ambient: np.ndarray, shadows: list[Shadow]
) -> tuple[float, float]:
    """Mean luminance of the light on the visible face, by 68 points of it, and of their albedo."""
    chosen = person.studio.head.landmarks68
    points, normals = skin.points[chosen], skin.normals[chosen]
    facing = np.maximum(-(normals * points).sum(axis=1), 0.0) + 1e-4
    light = ambient[chosen] @ LUMINANCE
    for lamp, shadow in zip(lights.lamps, shadows, strict=True):
        light += np.maximum(normals @ lamp.direction, 0.0) * shadow.lit(points) * (lamp.colour @ LUMINANCE)
    return float(np.average(light, weights=facing)), person.character.face_albedo


def light_head(
    person: Person, skin: Mesh, lights: Lights, ambient: np.ndarray, shadows: list[Shadow], sharpness: float
) -> Lit:
    """The head's drawn vertices. Those that face away are not lit, and triangles between them not drawn."""
    head, look = person.studio.head, person.character.look
    facing = np.einsum("vc,vc->v", skin.normals, skin.points) < -EDGE * skin.points[:, 2]
    chosen = np.flatnonzero(facing[head.source])
    source = head.source[chosen]
    light, shine = np.zeros((2, len(head.source), 3), np.float32)

    def lit(part: np.ndarray, **surface: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of some of the chosen vertices."""
        at, drawn = source[part], chosen[part]
        points = skin.points[at]
        seen = [shadow.lit(points) for shadow in shadows]
        return light_surface(
            lights, points, skin.normals[at], look.albedo[drawn], look.gloss[drawn], ambient[at], seen, **surface
        )

    light[chosen], shine[chosen] = lit(np.arange(len(chosen)))
    wet = np.flatnonzero(person.studio.wet[chosen])
    shine[chosen[wet]] = lit(wet, wrap=False, lobes=WET_LOBES)[1]
    seen = facing[head.triangles].all(axis=1)
    levels = enumerate(person.character.levels)
    textures = [level_for(level, SPANS.get(surface, SKIN_SPAN), sharpness) for surface, level in levels]
    triangles, surface = head.drawn_triangles[seen], head.surface[seen]
    return Lit(skin.points[head.source], light, shine, head.uv, triangles, surface, textures)


def light_worn(person: Person, worn: Mesh, lights: Lights, shadows: list[Shadow], sharpness: float) -> Lit:
    """The outfit's vertices: both of its sides are seen, so that normals are turned to the camera."""
    outfit = person.character.outfit
    away = (worn.normals * worn.points).sum(axis=1, keepdims=True) > 0
    normals = np.where(away, -worn.normals, worn.normals)
    sky = reach(open_transfer(normals), lights.sh) * np.float32(CLOTH_SKY)
    lit = [shadow.lit(worn.points, bias=0.008) for shadow in shadows]
    light, shine = light_surface(
        lights, worn.points, normals, outfit.albedo, outfit.gloss, sky, lit, wrap=False, lobes=CLOTH_LOBES
    )
    textures = [level_for(levels, PIECE_SPAN, sharpness) for levels in outfit.textures]
    return Lit(worn.points, light, shine, outfit.uv, worn.triangles, outfit.surface, textures)


def light_strands(
    strands: hair.Strands,
    mesh: Mesh,
    skin_triangles: np.ndarray,
    lights: Lights,
    ambient: np.ndarray,
    shadows: list[Shadow],
) -> Lit:
    """Ribbons; the surroundings reach a strand as they reach its root. Both edges of a ribbon get the same light."""
    count, steps = strands.points.shape[:2]
    points, tangents = mesh.points[::2], mesh.normals[::2]
    around = np.repeat(ambient[skin_triangles[strands.triangle, 0]], steps, axis=0)
    along = np.tile(np.linspace(0.0, 1.0, steps, dtype=np.float32), count)
    tips = strands.tips - strands.colours
    albedo = np.repeat(strands.colours, steps, axis=0) + along[:, None] * np.repeat(tips, steps, axis=0)
    lit = [shadow.lit(points, bias=0.006) for shadow in shadows]
    lit_points = light_hair(lights, points, tangents, albedo, around, lit, along)
    light, shine = (np.repeat(values, 2, axis=0) for values in lit_points)
    surface = np.zeros(len(mesh.triangles), np.uint8)
    return Lit(mesh.points, light, shine, np.zeros((len(light), 2), np.float32), mesh.triangles, surface, [WHITE])


def draw_parts(parts: list[Lit], frame: Frame, behind: np.ndarray) -> np.ndarray:
    """(rows, columns, 3) float32: all parts over `behind`, in place."""
    starts = np.cumsum([0, *(len(part.points) for part in parts)])
    firsts = np.cumsum([0, *(len(part.textures) for part in parts)])
    screen = frame.place(np.concatenate([part.points for part in parts]))
    return draw_lit(
        behind,
        screen,
        np.concatenate([part.triangles + np.int32(start) for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.light for part in parts]),
        np.concatenate([part.shine for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.surface + np.uint8(first) for part, first in zip(parts, firsts, strict=False)]),
        [texture for part in parts for texture in part.textures],
        # Triangles are small: perspective matters where one might lie behind the camera.
        w=-screen[:, 2] if screen[:, 2].max() > -NEAREST else None,
        out=behind,
    )
