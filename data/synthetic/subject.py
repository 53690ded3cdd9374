"""One synthetic person: face, colours, textures, hair and clothes; everything that stays from picture to picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic import appearance, garments, hair, lighting
from data.synthetic.shape import FaceModel, Part
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
OCCLUDER_SHARE = 5  # every so manieth strand shades others, that much wider


@dataclass(frozen=True)
class Subject:
    """See `make_subject`. Vertex arrays run over all parts in the order of face.parts, then all strands.

    rest: part name -> (V, 3) neutral vertices
    triangles: (F, 3) int32; material: (F,) uint8; strand: (F,) int32, -1 where not hair
    uv: (N, 2) float32; for hair the share of the way to the tip, and 0
    transfer: (M, D) float32, what reaches the parts' vertices, then whole strands, of the light from SKY_DIRECTIONS,
        which turn with the head
    textures: material -> list of (T, T, 4), each half as large as the one before
    shadow_triangles: (F', 3): what throws shadows, hair thinned out; welds: part name -> see `_weld`
    """

    face: FaceModel
    identity: np.ndarray
    look: appearance.Look
    rest: dict[str, np.ndarray]
    strands: tuple[hair.Strands, ...]
    triangles: np.ndarray
    material: np.ndarray
    strand: np.ndarray
    strand_colours: np.ndarray
    uv: np.ndarray
    transfer: np.ndarray
    textures: dict[int, list[np.ndarray]]
    folds: np.ndarray
    shadow_triangles: np.ndarray
    welds: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def weld(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joins the copies of vertices along texture seams: first copies (U,), inverse (V,), welded triangles (F, 3)."""
    _, first, inverse = np.unique(np.round(vertices * 1e5), axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1).astype(np.int32)
    return first, inverse, inverse[triangles]


def smooth_normals(vertices: np.ndarray, welded: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(V, 3) float32 unit normals that agree on both sides of texture seams."""
    first, inverse, triangles = welded
    return get_normal(np.ascontiguousarray(vertices[first]), triangles)[inverse]


def make_subject(face: FaceModel, identity: np.ndarray, rng: np.random.Generator) -> Subject:
    """Draws looks, hair and clothes for a face and prepares what its pictures share.

    identity: (I,) float32 weights of the face model
    """
    neutral = np.zeros(len(face.expression_names), np.float32)
    rest = face.vertices(identity, neutral)
    parts = {part.name: part for part in face.parts}
    welds = {name: weld(rest[name], part.triangles) for name, part in parts.items()}
    normals = {name: smooth_normals(rest[name], welds[name]) for name in parts}
    look = appearance.draw_look(rng)
    strands, hair_cover = grow_all_hair(rng, face, look, rest, normals)

    part_sizes = [len(rest[part.name]) for part in face.parts]
    starts = np.concatenate([[0], np.cumsum(part_sizes)])
    triangles = [part.triangles + start for part, start in zip(face.parts, starts[:-1], strict=True)]
    material = [np.full(len(part.triangles), MATERIAL_OF_PART[part.name], np.uint8) for part in face.parts]
    uv = [np.asarray(part.uv, np.float32) for part in face.parts]
    shadow = list(triangles)
    strand = [np.full(sum(len(part.triangles) for part in face.parts), -1, np.int32)]
    start, first_strand = int(starts[-1]), 0
    for group in strands:
        count, size = group.points.shape[:2]
        ribbon = hair.ribbon_triangles(count, size) + start
        triangles.append(ribbon)
        material.append(np.full(len(ribbon), HAIR, np.uint8))
        strand.append(np.repeat(np.arange(count, dtype=np.int32) + first_strand, 2 * (size - 1)))
        if not group.turns:
            shadow.append(ribbon.reshape(count, -1, 3)[::OCCLUDER_SHARE].reshape(-1, 3))
        share = np.repeat(np.tile(np.linspace(0, 1, size, dtype=np.float32), count), 2)
        uv.append(np.stack([share, np.zeros_like(share)], axis=1))
        start, first_strand = start + 2 * count * size, first_strand + count
    return Subject(
        face=face,
        identity=identity,
        look=look,
        rest=rest,
        strands=strands,
        triangles=np.concatenate(triangles).astype(np.int32),
        material=np.concatenate(material),
        strand=np.concatenate(strand),
        strand_colours=np.concatenate([group.colours for group in strands] + [np.zeros((1, 3), np.float32)]),
        uv=np.concatenate(uv),
        transfer=_transfer(face, identity, rest, normals, strands),
        textures={
            SKIN: _pyramid(
                appearance.paint_skin(
                    rng,
                    look,
                    appearance.RegionMaps(parts["skin"].uv, parts["skin"].triangles, face.regions),
                    hair_cover,
                )
            ),
            **_paint_small_parts(rng, look, parts, rest),
            CLOTHES: _pyramid((clothes := garments.paint_clothes(rng))[0]),
        },
        folds=clothes[1],
        shadow_triangles=np.concatenate(shadow).astype(np.int32),
        welds=welds,
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


def grow_all_hair(
    rng: np.random.Generator,
    face: FaceModel,
    look: appearance.Look,
    rest: dict[str, np.ndarray],
    normals: dict[str, np.ndarray],
) -> tuple[tuple[hair.Strands, ...], float]:
    """Scalp hair, brows, lashes and beard, and how far the scalp shows the hair's colour (0..1)."""
    skin = next(part for part in face.parts if part.name == "skin")
    surface = hair.Surface(rest["skin"], normals["skin"], skin.triangles, rest["clothes"][::3], normals["clothes"][::3])
    palette = appearance.hair_palette(rng, look)
    groups = []
    cover = 0.0
    style = _draw_style(rng, look)
    scalp = _hairline(rng, look, rest["skin"], face.regions["scalp"])
    if style is not None:
        groups.append(hair.grow_scalp_hair(rng, style, surface, scalp, _bare_face(rng, face, rest["skin"]), palette))
        cover = 1.0 if style.name != "buzz" else 0.7
    elif rng.random() < 0.6:
        cover = rng.uniform(0.0, 0.5)
    groups += _brows_and_lashes(rng, face, look, surface, rest, palette)
    groups += _beard(rng, face, look, surface, palette)
    return tuple(group for group in groups if len(group.points)), cover


def _bare_face(rng: np.random.Generator, face: FaceModel, skin: np.ndarray) -> np.ndarray:
    """(V,) True where the face stays free of hair: below the brows of most people, below the nose of the others."""
    brow = skin[face.regions["brows"] > 0.5, 1].mean()
    top = brow + rng.uniform(-0.004, 0.012, len(skin)) - 0.03 * (rng.random() < 0.1)
    return (face.regions["face"] > 0.3) & (face.regions["scalp"] < 0.1) & (skin[:, 1] < top)


def _draw_style(rng: np.random.Generator, look: appearance.Look) -> hair.Style | None:
    """A hair style, or None for a bald head."""
    if rng.random() < (0.10 if look.masculine else 0.02):
        return None
    short = {"buzz", "crop", "crop_forward", "spiky"}
    weights = np.ones(len(hair.STYLES))
    for index, style in enumerate(hair.STYLES):
        if style.name in ("bob", "long"):
            weights[index] = 0.15 if look.masculine else 2.5
        if style.name in short:
            weights[index] = 1.5 if look.masculine else 0.3
        if style.name == "afro":
            weights[index] = 1.5 if look.melanin > 0.8 else 0.1
        if style.name == "curly":
            weights[index] = 1.0 if look.melanin < 0.9 else 2.0
    return hair.STYLES[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _hairline(rng: np.random.Generator, look: appearance.Look, skin: np.ndarray, scalp: np.ndarray) -> np.ndarray:
    """The scalp mask (V,) with this person's hairline: higher at the temples and irregular, receding in some men."""
    recede = float(max(0.0, rng.normal(0.0, 0.5))) if look.masculine else 0.0
    inside = scalp > 0.5
    if not inside.any() or recede < 0.05:
        return scalp
    front = skin[inside, 2].max()
    corner = np.exp(-((np.abs(skin[:, 0]) - 0.035) ** 2) / (2 * 0.018**2))
    depth = front - skin[:, 2]
    above = skin[:, 1] > np.quantile(skin[inside, 1], 0.3)
    cut = np.clip(1.0 - (depth - 0.035 * recede * (0.4 + 0.6 * corner)) / 0.012, 0.0, 1.0)
    return scalp * np.where(above, 1.0 - cut, 1.0).astype(np.float32)


def _brows_and_lashes(
    rng: np.random.Generator,
    face: FaceModel,
    look: appearance.Look,
    surface: hair.Surface,
    rest: dict[str, np.ndarray],
    palette: np.ndarray,
) -> list[hair.Strands]:
    skin = surface.vertices
    brows, lashes = face.regions["brows"], face.regions["lash_line"] * (1.0 - face.regions.get("inner_lid", 0.0))
    span = np.abs(skin[brows > 0.4, 0])
    share = np.clip((np.abs(skin[:, 0]) - span.min()) / (np.ptp(span) + 1e-6), 0.0, 1.0)
    outward = np.sign(skin[:, 0])
    along = np.stack([outward * (0.35 + 0.65 * share), 0.85 - 1.15 * share, -0.45 * share], axis=1)
    density = rng.uniform(0.6, 1.2) * (1.25 if look.masculine else 0.9)
    darker = palette * rng.uniform(0.4, 0.8)
    grown = [
        hair.grow_short_hair(
            rng, surface, brows, darker, int(500 * density), (0.005, 0.010), along, 0.5, 0.00022 * density**0.5
        )
    ]
    centres = [(rest[name].min(axis=0) + rest[name].max(axis=0)) / 2 for name in ("eye_left", "eye_right")]
    centre = np.where(skin[:, :1] > 0, *(c for c in sorted(centres, key=lambda c: -c[0])))
    reach = (skin - centre) * [0.9, 1.2, 0.0]
    reach /= np.linalg.norm(reach, axis=1, keepdims=True) + 1e-9
    upper = skin[:, 1] > centre[:, 1] + 0.0005
    forward = reach * np.where(upper, 0.9, 0.7)[:, None] + [0.0, 0.0, 0.8]
    black = np.minimum(palette, 0.03) * (0.5 if look.masculine else 0.35)
    strength = rng.uniform(0.7, 1.0) if look.masculine else rng.uniform(0.9, 1.5)
    grown.append(
        hair.grow_short_hair(
            rng, surface, lashes * upper, black, 260, (0.006 * strength, 0.009 * strength), forward, 0.0, 0.00014
        )
    )
    grown.append(
        hair.grow_short_hair(
            rng, surface, lashes * ~upper, black, 120, (0.002 * strength, 0.004 * strength), forward, 0.0, 0.00010
        )
    )
    return grown


def _beard(
    rng: np.random.Generator, face: FaceModel, look: appearance.Look, surface: hair.Surface, palette: np.ndarray
) -> list[hair.Strands]:
    skin = surface.vertices
    length = rng.choice([rng.uniform(0.003, 0.008), rng.uniform(0.008, 0.025)])
    grown = []
    for name, wanted, count, stretch in (("beard", look.beard, 4500, 1.0), ("moustache", look.moustache, 1600, 0.7)):
        if not wanted:
            continue
        down = np.tile(np.array([0.0, -1.0, 0.15]), (len(skin), 1))
        if name == "moustache":
            down[:, 0] = 0.9 * np.tanh(skin[:, 0] / 0.004)
        reach = (0.6 * stretch * length, stretch * length)
        grown.append(
            hair.grow_short_hair(rng, surface, face.regions[name] ** 1.5, palette, count, reach, down, 0.6, 0.00048)
        )
    return grown


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
    skin_triangles = next(part.triangles for part in face.parts if part.name == "skin")
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
    """The transfer of teeth and mouth, found with the jaw open."""
    if not inner:
        return {}
    opened = np.array([0.8 * (name == "jaw_open") for name in face.expression_names], np.float32)
    moved = face.vertices(identity, opened)
    parts = {part.name: part for part in face.parts}
    normals = {name: smooth_normals(moved[name], weld(moved[name], parts[name].triangles)) for name in inner}
    found = lighting.light_transfer(
        np.concatenate([moved[name] for name in inner]).astype(np.float32),
        np.concatenate([normals[name] for name in inner]).astype(np.float32),
        np.full(sum(len(moved[name]) for name in inner), CLEARANCE[MOUTH], np.float32),
        *_occluders(face, moved, ()),
        SKY_DIRECTIONS,
    )
    sizes = np.cumsum([len(moved[name]) for name in inner])[:-1]
    return dict(zip(inner, np.split(found, sizes), strict=True))
