"""One synthetic person: face, colours, textures, hair and clothes; everything that stays from picture to picture."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from data.synthetic import appearance, garments, hair, lighting
from data.synthetic.hairdo import grow_all_hair
from data.synthetic.shape import FaceModel, Part, skin_of
from Sim3DR import get_normal

SKIN, EYES, TEETH, MOUTH, CLOTHES, HAIR = range(6)
MATERIAL_OF_PART = {
    "skin": SKIN,
    "eye_left": EYES,
    "eye_right": EYES,
    "teeth_upper": TEETH,
    "teeth_lower": TEETH,
    "mouth": MOUTH,
    "clothes": CLOTHES,
}
SKY_DIRECTIONS = lighting.sphere_directions(48)
# Metres in front of a surface within which nothing shades it: what the depth pictures cannot tell apart.
CLEARANCE = {SKIN: 0.0022, EYES: 0.0012, TEETH: 0.002, MOUTH: 0.002, CLOTHES: 0.004, HAIR: 0.003}
MOUTH_SURROUNDINGS = 0.02  # metres around teeth and mouth in which lips and cheeks lie
OCCLUDER_SHARE = 5  # every so manieth strand shades others, that much wider


class Weld(NamedTuple):
    """Vertices joined along texture seams: first copies (U,), joined vertex of each (V,), triangles (F, 3) of those."""

    first: np.ndarray
    inverse: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True)
class SubjectMesh:
    """What is drawn: the vertices of all parts in the order of face.parts, then the ribbons of all strands.

    triangles: (F, 3) int32; material: (F,) uint8; strand: (F,) int32, -1 where not hair
    uv: (N, 2) float32; for hair the share of the way to the tip, and 0
    shadow_triangles: (F', 3) int32, what throws shadows: all but short hair, long hair thinned out
    """

    triangles: np.ndarray
    material: np.ndarray
    strand: np.ndarray
    uv: np.ndarray
    shadow_triangles: np.ndarray


@dataclass(frozen=True)
class Subject:
    """See `make_subject`.

    rest: part name -> (V, 3) neutral vertices; welds: part name -> see `weld`
    strand_colours: (S, 3) linear albedos
    transfer: (M, D) float32, what reaches the parts' vertices, then whole strands, of the light from SKY_DIRECTIONS,
        which turn with the head
    textures: material -> list of (T, T, 4), each half as large as the one before; folds (T, T, 3) of the clothes
    """

    face: FaceModel
    identity: np.ndarray
    look: appearance.Look
    rest: dict[str, np.ndarray]
    welds: dict[str, Weld]
    strands: tuple[hair.Strands, ...]
    strand_colours: np.ndarray
    mesh: SubjectMesh
    transfer: np.ndarray
    textures: dict[int, list[np.ndarray]]
    folds: np.ndarray


def make_subject(face: FaceModel, identity: np.ndarray, rng: np.random.Generator) -> Subject:
    """Draws looks, hair and clothes for a face and prepares what its pictures share.

    identity: (I,) float32 weights of the face model
    """
    count = len(face.expression_names)
    rest = face.vertices(identity, np.zeros(count, np.float32))
    stirred = face.vertices(identity, np.linspace(0.1, 0.5, count, dtype=np.float32))
    parts = {part.name: part for part in face.parts}
    welds = {
        name: weld(np.concatenate([rest[name], stirred[name]], axis=1), part.triangles) for name, part in parts.items()
    }
    normals = {name: smooth_normals(rest[name], welds[name]) for name in parts}
    look = appearance.draw_look(rng)
    strands, hair_cover = grow_all_hair(rng, face, look, rest, normals)
    regions = appearance.RegionMaps(parts["skin"].uv, parts["skin"].triangles, face.regions)
    cloth, folds = garments.paint_clothes(rng)
    return Subject(
        face=face,
        identity=identity,
        look=look,
        rest=rest,
        welds=welds,
        strands=strands,
        strand_colours=np.concatenate([np.zeros((0, 3), np.float32), *(group.colours for group in strands)]),
        mesh=_assemble(face, rest, strands),
        transfer=_transfer(face, identity, rest, normals, strands),
        textures={
            SKIN: _pyramid(appearance.paint_skin(rng, look, regions, hair_cover)),
            CLOTHES: _pyramid(cloth),
            **_paint_small_parts(rng, look, parts, rest),
        },
        folds=folds,
    )


def weld(places: np.ndarray, triangles: np.ndarray) -> Weld:
    """Joins the copies of vertices along texture seams.

    places: (V, C) metres: where each vertex is, in one or several expressions, as lips that touch are not joined
    """
    _, first, inverse = np.unique(np.round(places * 1e5), axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1).astype(np.int32)
    return Weld(first, inverse, inverse[triangles])


def smooth_normals(vertices: np.ndarray, welded: Weld) -> np.ndarray:
    """(V, 3) float32 unit normals that agree on both sides of texture seams."""
    return get_normal(np.ascontiguousarray(vertices[welded.first]), welded.triangles)[welded.inverse]


def _assemble(face: FaceModel, rest: dict[str, np.ndarray], strands: tuple[hair.Strands, ...]) -> SubjectMesh:
    triangles, material, strand, uv, shadow = [], [], [], [], []
    start = first_strand = 0
    for part in face.parts:
        triangles.append(part.triangles + start)
        material.append(np.full(len(part.triangles), MATERIAL_OF_PART[part.name], np.uint8))
        strand.append(np.full(len(part.triangles), -1, np.int32))
        uv.append(np.asarray(part.uv, np.float32))
        shadow.append(triangles[-1])
        start += len(rest[part.name])
    for group in strands:
        count, size = group.points.shape[:2]
        triangles.append(hair.ribbon_triangles(count, size) + start)
        material.append(np.full(len(triangles[-1]), HAIR, np.uint8))
        strand.append(np.repeat(np.arange(count, dtype=np.int32) + first_strand, 2 * (size - 1)))
        share = np.repeat(np.tile(np.linspace(0, 1, size, dtype=np.float32), count), 2)
        uv.append(np.stack([share, np.zeros_like(share)], axis=1))
        if not group.turns:
            shadow.append(triangles[-1].reshape(count, -1, 3)[::OCCLUDER_SHARE].reshape(-1, 3))
        start, first_strand = start + 2 * count * size, first_strand + count
    return SubjectMesh(
        triangles=np.concatenate(triangles).astype(np.int32),
        material=np.concatenate(material),
        strand=np.concatenate(strand),
        uv=np.concatenate(uv),
        shadow_triangles=np.concatenate(shadow).astype(np.int32),
    )


def _paint_small_parts(
    rng: np.random.Generator, look: appearance.Look, parts: dict[str, Part], rest: dict[str, np.ndarray]
) -> dict[int, list[np.ndarray]]:
    """Textures of eyes, teeth and the inside of the mouth; the eyes share one, as the teeth do."""
    eye = rest["eye_left"]
    directions = eye - (eye.min(axis=0) + eye.max(axis=0)) / 2
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-9
    baked = appearance.bake(parts["eye_left"].uv, parts["eye_left"].triangles, directions, appearance.EYE_SIZE)
    baked /= np.linalg.norm(baked, axis=2, keepdims=True) + 1e-9
    textures = {EYES: _pyramid(appearance.paint_eye(rng, look, baked)), MOUTH: [appearance.paint_mouth()]}
    if "teeth_upper" in parts:
        teeth = parts["teeth_upper"]
        textures[TEETH] = _pyramid(
            appearance.paint_teeth(rng, appearance.bake(teeth.uv, teeth.triangles, rest["teeth_upper"], 256))
        )
    return textures


def _pyramid(texture: np.ndarray, smallest: int = 64) -> list[np.ndarray]:
    levels = [np.ascontiguousarray(texture)]
    while len(levels[-1]) > smallest:
        half = len(levels[-1]) // 2
        levels.append(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA))
    return levels


def _transfer(
    face: FaceModel,
    identity: np.ndarray,
    rest: dict[str, np.ndarray],
    normals: dict[str, np.ndarray],
    strands: tuple[hair.Strands, ...],
) -> np.ndarray:
    """The light transfer of the parts' vertices, then of whole strands, (M, D).

    Teeth and the inside of the mouth get what enters an open mouth.
    """
    names = [part.name for part in face.parts]
    outer = [name for name in names if MATERIAL_OF_PART[name] not in (TEETH, MOUTH)]
    occluders, triangles = _occluders(face, rest, strands)
    points = [rest[name] for name in outer] + [group.points[:, group.points.shape[1] // 2] for group in strands]
    skin_triangles = skin_of(face).triangles
    surface = hair.Surface(rest["skin"], normals["skin"], skin_triangles, rest["skin"][:0], rest["skin"][:0])
    up = [hair.at_roots(surface.normals, surface, group.triangle, group.barycentric) for group in strands]
    lengths = [len(array) for array in points]
    clearances = [CLEARANCE[MATERIAL_OF_PART[name]] for name in outer] + [CLEARANCE[HAIR]] * len(strands)
    outside = lighting.light_transfer(
        np.concatenate(points).astype(np.float32),
        np.concatenate([normals[name] for name in outer] + up).astype(np.float32),
        np.repeat(np.float32(clearances), lengths),
        occluders,
        triangles,
        SKY_DIRECTIONS,
    )
    pieces = np.split(outside, np.cumsum(lengths)[:-1])
    transfers = dict(zip(outer, pieces, strict=False))
    transfers.update(_inner_transfer(face, identity, [name for name in names if name not in outer]))
    return np.concatenate([transfers[name] for name in names] + pieces[len(outer) :])


def _occluders(
    face: FaceModel, rest: dict[str, np.ndarray], strands: tuple[hair.Strands, ...]
) -> tuple[np.ndarray, np.ndarray]:
    vertices = [rest[part.name] for part in face.parts]
    triangles = [part.triangles for part in face.parts]
    for group in strands:
        if group.turns:
            continue
        points = group.points[::OCCLUDER_SHARE]
        from_front = np.float32([0.0, 0.0, 10.0])  # ribbons face their origin
        flat, _ = hair.ribbons(points - from_front, OCCLUDER_SHARE * 0.6 * group.widths[::OCCLUDER_SHARE])
        vertices.append(flat + from_front)
        triangles.append(hair.ribbon_triangles(*points.shape[:2]))
    starts = np.concatenate([[0], np.cumsum([len(array) for array in vertices])[:-1]])
    return (
        np.concatenate(vertices).astype(np.float32),
        np.concatenate([array + start for array, start in zip(triangles, starts, strict=True)]).astype(np.int32),
    )


def _inner_transfer(face: FaceModel, identity: np.ndarray, inner: list[str]) -> dict[str, np.ndarray]:
    """The transfer of teeth and mouth, found with the jaw open. Only what is near the mouth shades them."""
    if not inner:
        return {}
    opened = np.array([0.8 * (name == "jaw_open") for name in face.expression_names], np.float32)
    moved = face.vertices(identity, opened)
    parts = {part.name: part for part in face.parts}
    normals = [smooth_normals(moved[name], weld(moved[name], parts[name].triangles)) for name in inner]
    points = np.concatenate([moved[name] for name in inner]).astype(np.float32)
    vertices, triangles = _occluders(face, moved, ())
    low, high = points.min(axis=0) - MOUTH_SURROUNDINGS, points.max(axis=0) + MOUTH_SURROUNDINGS
    near = ((vertices > low) & (vertices < high)).all(axis=1)
    found = lighting.light_transfer(
        points,
        np.concatenate(normals).astype(np.float32),
        np.full(len(points), CLEARANCE[MOUTH], np.float32),
        vertices,
        triangles[near[triangles].all(axis=1)],
        SKY_DIRECTIONS,
    )
    sizes = np.cumsum([len(moved[name]) for name in inner])[:-1]
    return dict(zip(inner, np.split(found, sizes), strict=True))
