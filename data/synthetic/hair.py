"""Hair as ribbons: growing it once per subject, moving and turning it to the camera in each frame.

A strand is a polyline of K points that stands for a wisp of hairs about a millimetre wide. All lengths in metres,
canonical frame (+x the person's left, +y up, +z out of the face).
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

LOWEST_HAIR = -0.20  # metres: below it lie clothes, through which hair would show
MAX_PUSH = 0.015  # metres: a strand that has to be pushed further out of something ends there
NAPE_LENGTH = 0.11  # metres: styles that are longer leave the nape uncut


@dataclass(frozen=True)
class Surface:
    """What hair grows on and slides over: skin in the neutral pose.

    vertices, normals: (V, 3) float32; triangles: (F, 3); obstacles: (B, 3) further points (clothes) with normals
    """

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    obstacle_points: np.ndarray
    obstacle_normals: np.ndarray


@dataclass(frozen=True)
class Strands:
    """S strands of K points.

    points: (S, K, 3) float32 at rest; widths: (S, K) float32 half widths; colours: (S, 3) float32 linear albedo
    triangle: (S,) skin triangle of each root; barycentric: (S, 3) its place in it
    turns: True where the strands turn with the skin around their roots (lashes, brows, beard), False where they
    only move along with it (the scalp hardly turns)
    """

    points: np.ndarray
    widths: np.ndarray
    colours: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray
    turns: bool


@dataclass(frozen=True)
class Style:
    """A way to wear the hair on the scalp.

    length: (low, high); lift: how steeply it leaves the skin, 0 flat .. 1 upright; volume: thickness of the layer
    comb: "whorl", "side", "back", "forward" or "up"; gravity: bend per step; curl: radius of curls
    cling: how much it bends back to the head where it stands off
    clump: how far tips gather in locks 0..1; count: strands; steps: points less one; width: half width
    """

    name: str
    length: tuple[float, float]
    lift: float
    volume: float
    comb: str
    gravity: float
    cling: float = 0.0
    curl: float = 0.0
    clump: float = 0.4
    count: int = 5500
    steps: int = 5
    width: float = 0.0010


STYLES = (
    Style("buzz", (0.004, 0.008), 0.45, 0.001, "whorl", 0.0, clump=0.0, count=6000, steps=1, width=0.0008),
    Style("crop", (0.012, 0.026), 0.35, 0.006, "whorl", 0.03, clump=0.5, count=9000, steps=2, width=0.0010),
    Style("crop_forward", (0.018, 0.034), 0.30, 0.008, "forward", 0.05, clump=0.6, count=7000, steps=3),
    Style("spiky", (0.018, 0.032), 0.55, 0.010, "up", 0.03, clump=0.75, count=7000, steps=3),
    Style("side_part", (0.045, 0.080), 0.35, 0.014, "side", 0.15, cling=0.35, clump=0.5),
    Style("swept_back", (0.060, 0.100), 0.40, 0.014, "back", 0.08, cling=0.35, clump=0.5),
    Style("fringe", (0.055, 0.085), 0.25, 0.012, "forward", 0.15, cling=0.35, clump=0.5),
    Style("bob", (0.130, 0.180), 0.20, 0.013, "side", 0.20, cling=0.40, clump=0.4, count=5000, steps=11),
    Style("long", (0.190, 0.260), 0.20, 0.013, "side", 0.22, cling=0.40, clump=0.5, count=4200, steps=11, width=0.0012),
    Style("tied", (0.090, 0.150), 0.10, 0.004, "back", 0.0, cling=0.40, clump=0.2),
    Style("curly", (0.040, 0.080), 0.55, 0.018, "side", 0.10, cling=0.2, curl=0.005, clump=0.7, count=4000, steps=9),
    Style("afro", (0.030, 0.060), 0.95, 0.025, "whorl", 0.0, curl=0.004, clump=0.3, count=5000, steps=7),
)


def sample_roots(
    rng: np.random.Generator, surface: Surface, mask: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` places on the skin, in proportion to area times mask (V,): triangles (S,) and barycentrics (S, 3).

    An empty mask gives no places.
    """
    corners = surface.vertices[surface.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    weight = area * mask[surface.triangles].mean(axis=1)
    if weight.sum() <= 0:
        return np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    triangle = rng.choice(len(weight), size=count, p=weight / weight.sum())
    first, second = np.sqrt(rng.random(count)), rng.random(count)
    barycentric = np.stack([1 - first, first * (1 - second), first * second], axis=1).astype(np.float32)
    return triangle, barycentric


def at_roots(values: np.ndarray, surface: Surface, triangle: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    """Interpolates values (V, C) at root places: (S, C)."""
    return np.einsum("sk,skc->sc", barycentric, values[surface.triangles[triangle]])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) brought to length 1."""
    return vectors / (np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None] + 1e-9)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross products along the last axis; faster than NumPy's, which copies."""
    (a, b, c), (d, e, f) = (np.moveaxis(vectors, -1, 0) for vectors in (first, second))
    return np.stack([b * f - c * e, c * d - a * f, a * e - b * d], axis=-1)


def _comb_direction(comb: str, roots: np.ndarray, normals: np.ndarray, part: float, whorl: np.ndarray) -> np.ndarray:
    """(S, 3) unit directions along the skin that the comb gives the hair at its roots."""
    side = np.tanh((roots[:, :1] - part) / 0.006)
    if comb == "whorl":
        flow = roots - whorl
        flow = flow + 0.5 * np.cross(normals, flow)
    elif comb == "side":
        aside = -0.75 * np.clip((roots[:, 2:] - 0.01) / 0.03, 0.0, 1.0)  # from the forehead it goes to the sides
        flow = np.concatenate([side, -0.35 + 0 * side, aside], axis=1)
    elif comb == "back":
        flow = np.tile([0.0, -0.1, -1.0], (len(roots), 1)) + 0.3 * side * [1.0, 0.0, 0.0]
    elif comb == "forward":
        flow = np.tile([0.0, -0.1, 1.0], (len(roots), 1)) + 0.25 * side * [1.0, 0.0, 0.0]
    else:
        flow = np.tile([0.0, 1.0, 0.15], (len(roots), 1))
    flow = flow - (flow * normals).sum(axis=1, keepdims=True) * normals
    return unit(flow)


class _Ground:
    """The nearest place of everything that hair lies on."""

    def __init__(self, surface: Surface) -> None:
        self.points = np.concatenate([surface.vertices, surface.obstacle_points])
        self.normals = np.concatenate([surface.normals, surface.obstacle_normals])
        self.tree = cKDTree(self.points)

    def under(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index of the nearest place, and the height above it along its normal, for points (S, 3)."""
        _, nearest = self.tree.query(points)
        return nearest, ((points - self.points[nearest]) * self.normals[nearest]).sum(axis=1)


def gather_in_locks(rng: np.random.Generator, points: np.ndarray, clump: float, size: int) -> np.ndarray:
    """Draws the tips of strands (S, K, 3) together in locks of about `size` strands."""
    if clump <= 0 or len(points) < 2 * size:
        return points
    guides = rng.choice(len(points), size=len(points) // size, replace=False)
    _, lock = cKDTree(points[guides, 0]).query(points[:, 0])
    guide = points[guides][lock]
    share = clump * np.linspace(0.0, 1.0, points.shape[1])[None, :, None] * rng.uniform(0.3, 1.0, (len(points), 1, 1))
    return points + share * (guide - points)


def grow_scalp_hair(
    rng: np.random.Generator,
    style: Style,
    surface: Surface,
    mask: np.ndarray,
    keep_clear: np.ndarray,
    colours: np.ndarray,
) -> Strands:
    """Grows one head of hair.

    mask: (V,) 0..1, where and how densely; keep_clear: (V,) True where hair that comes to lie there is cut off
    colours: (P, 3) linear albedos from which strands take theirs
    """
    triangle, barycentric = sample_roots(rng, surface, mask, style.count)
    count = len(triangle)
    roots = at_roots(surface.vertices, surface, triangle, barycentric)
    normals = unit(at_roots(surface.normals, surface, triangle, barycentric))
    fullness = at_roots(mask[:, None], surface, triangle, barycentric)[:, 0]
    whorl = np.array([rng.normal(0, 0.01), roots[:, 1].max(initial=0), roots[:, 2].mean() - 0.03])
    part = float(rng.choice([-1, 1]) * rng.uniform(0.0, 0.04))
    flow = _comb_direction(style.comb, roots, normals, part, whorl)
    length = rng.uniform(*style.length) * rng.uniform(0.75, 1.1, count) * (0.45 + 0.55 * fullness)
    if style.length[1] < NAPE_LENGTH:  # short hair gets shorter still towards the nape
        length *= 0.25 + 0.75 * np.clip((roots[:, 1] + 0.07) / 0.08, 0.0, 1.0)
    layer = style.volume * rng.random(count) ** 1.5 * (0.3 + 0.7 * fullness)

    points = _lay(rng, style, surface, keep_clear, roots, normals, flow, length, layer)
    points = gather_in_locks(rng, points, style.clump, 24)
    if style.curl:
        points = curl(rng, points, style.curl)
    taper = np.clip(1.25 - np.linspace(0.0, 1.0, style.steps + 1) ** 2, 0.2, 1.0)
    widths = style.width * taper[None] * rng.uniform(0.7, 1.3, (count, 1))
    return _strands(rng, points, widths, colours, triangle, barycentric, turns=False)


def _lay(
    rng: np.random.Generator,
    style: Style,
    surface: Surface,
    keep_clear: np.ndarray,
    roots: np.ndarray,
    normals: np.ndarray,
    flow: np.ndarray,
    length: np.ndarray,
    layer: np.ndarray,
) -> np.ndarray:
    """Lays strands (S, K, 3) over the head, step by step from their roots.

    roots, normals, flow: (S, 3) places and unit directions; length, layer: (S,) metres, of each strand and above skin
    """
    ground = _Ground(surface)
    clear = np.append(keep_clear, np.zeros(len(surface.obstacle_points), bool))
    count = len(roots)
    points = np.empty((count, style.steps + 1, 3))
    points[:, 0] = roots - 0.0005 * normals
    heading = unit(style.lift * normals + (1.05 - style.lift) * flow + 0.12 * rng.standard_normal((count, 3)))
    step = (length / style.steps)[:, None]
    goes_on, in_face = np.ones(count, bool), np.zeros(count, bool)
    for index in range(style.steps):
        share = (index + 1) / style.steps
        pull = style.gravity * np.array([0.0, -1.0, 0.0]) + 0.25 * (1 - style.lift) * flow * (1 - share)
        heading = unit(heading + pull + 0.06 * rng.standard_normal((count, 3)))
        reached = points[:, index] + step * heading
        nearest, height = ground.under(reached)
        over, normal = height - (layer * min(1.0, 1.5 * share) + 0.0006), ground.normals[nearest]
        reached += np.maximum(-over, 0.0)[:, None] * normal
        in_face |= goes_on & clear[nearest]
        goes_on &= ~clear[nearest] & (over > -MAX_PUSH) & (reached[:, 1] > LOWEST_HAIR)
        points[:, index + 1] = np.where(goes_on[:, None], reached, points[:, index])
        heading = unit(reached - points[:, index])
        heading -= (style.cling * np.clip(over / 0.012, 0.0, 1.0))[:, None] * normal
    if style.comb != "forward":  # no single stumps on the forehead
        stumps = in_face & (roots[:, 2] > 0.015)
        points[stumps, 1:] = points[stumps, :1]
    return points


def curl(
    rng: np.random.Generator, points: np.ndarray, radius: float, turns: tuple[float, float] = (1.5, 3.0)
) -> np.ndarray:
    """Winds strands (S, K, 3) into curls of a radius around themselves; neighbours share a phase by place."""
    count, size, _ = points.shape
    along = unit(points[:, -1:] - points[:, :1])
    across = unit(np.cross(along, np.array([0.31, 0.2, 0.93])))
    third = np.cross(along, across)
    phase = 60.0 * points[:, 0] @ rng.standard_normal(3) + rng.normal(0, 0.7, count)
    angle = phase[:, None] + np.linspace(0.0, 1.0, size) * rng.uniform(*turns, (count, 1)) * 2 * np.pi
    swell = radius * np.minimum(1.0, 3.0 * np.linspace(0.0, 1.0, size))[None, :, None]
    return points + swell * (np.cos(angle)[..., None] * across + np.sin(angle)[..., None] * third)


def _strands(
    rng: np.random.Generator,
    points: np.ndarray,
    widths: np.ndarray,
    colours: np.ndarray,
    triangle: np.ndarray,
    barycentric: np.ndarray,
    turns: bool,
) -> Strands:
    picked = colours[rng.integers(0, len(colours), len(points))] * np.exp(rng.normal(0, 0.18, (len(points), 1)))
    return Strands(
        points.astype(np.float32),
        np.broadcast_to(widths, points.shape[:2]).astype(np.float32),
        picked.astype(np.float32),
        triangle,
        barycentric,
        turns,
    )


def grow_short_hair(
    rng: np.random.Generator,
    surface: Surface,
    mask: np.ndarray,
    colours: np.ndarray,
    count: int,
    length: tuple[float, float],
    direction: np.ndarray,
    rise: float,
    width: float,
    steps: int = 3,
) -> Strands:
    """Brows, lashes and beards: strands that leave the skin at an angle and bend along a direction.

    mask: (V,) 0..1; direction: (V, 3) unit vectors at the skin's vertices; rise: share of the normal in the first
    heading, against the direction's 1; width: half width
    """
    triangle, barycentric = sample_roots(rng, surface, mask, count)
    roots = at_roots(surface.vertices, surface, triangle, barycentric)
    normals = unit(at_roots(surface.normals, surface, triangle, barycentric))
    along = unit(at_roots(direction, surface, triangle, barycentric))
    size = len(triangle)
    step = rng.uniform(*length, size)[:, None] / steps
    scatter = 0.18 * rng.standard_normal((size, 3))
    points = [roots - 0.0003 * normals]
    for index in range(steps):
        share = index / steps
        points.append(points[-1] + step * unit(along + rise * (1 - share) * normals + scatter))
    taper = np.clip(1.2 - np.linspace(0.0, 1.0, steps + 1), 0.25, 1.0)
    return _strands(rng, np.stack(points, axis=1), width * taper[None], colours, triangle, barycentric, turns=True)


def _frames(vertices: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(S, 3, 3) orthonormal frames, rows, of the triangles with corner indices (S, 3)."""
    first, second, third = (vertices[corners[:, index]] for index in range(3))
    along = unit(second - first)
    normal = unit(np.cross(along, third - first))
    return np.stack([along, np.cross(normal, along), normal], axis=1)


def move_strands(strands: Strands, triangles: np.ndarray, rest: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(S, K, 3) float32 strand points after the skin went from `rest` to `moved`, both (V, 3)."""
    corners = triangles[strands.triangle]
    weights = strands.barycentric[..., None]
    old_root = (rest[corners] * weights).sum(axis=1)
    new_root = (moved[corners] * weights).sum(axis=1)
    offset = strands.points - old_root[:, None]
    if strands.turns:
        turn = np.einsum("sij,sik->sjk", _frames(rest, corners), _frames(moved, corners))
        offset = offset @ turn
    return (offset + new_root[:, None]).astype(np.float32)


def ribbons(points: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns strands in camera space to flat ribbons that face the camera.

    points: (S, K, 3), widths: (S, K). Returns vertices (S * K * 2, 3) float32, and unit tangents of the same shape.
    """
    tangents = np.empty_like(points)
    tangents[:, 1:-1] = points[:, 2:] - points[:, :-2]
    tangents[:, 0] = points[:, 1] - points[:, 0]
    tangents[:, -1] = points[:, -1] - points[:, -2]
    tangents = unit(tangents)
    side = unit(_cross(tangents, points)) * widths[..., None]
    vertices = np.stack([points - side, points + side], axis=2)
    return vertices.reshape(-1, 3).astype(np.float32), np.repeat(tangents.reshape(-1, 3), 2, axis=0).astype(np.float32)


def ribbon_triangles(count: int, size: int) -> np.ndarray:
    """(count * (size - 1) * 2, 3) int32 triangles of the ribbons that `ribbons` makes of (count, size) points."""
    base = (np.arange(count)[:, None] * size + np.arange(size - 1)[None]).reshape(-1, 1) * 2
    return (
        np.concatenate([base + np.array([0, 1, 2]), base + np.array([2, 1, 3])], axis=1).reshape(-1, 3).astype(np.int32)
    )
