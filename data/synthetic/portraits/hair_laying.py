"""Laying strands over a scan-based head: step by step from their roots, all of them at once, in float32."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from data.synthetic.geometry import smooth_step
from data.synthetic.hair import Surface, unit
from data.synthetic.portraits.hair_masks import behind_hairline, hair_masks
from data.synthetic.portraits.head import Head

CELL = 0.007  # metres a side of the cells in which the way to the skin is known
REACH = 0.06  # metres beyond the skin's box that the cells reach
CLOTHES = 0.012  # metres of room for clothes that hair keeps below the chin
HANGS_WITHIN = 1.3  # half widths of the face: farther out on the shoulders no hair lies
COMBED_OVER = 0.04  # metres to either side of the middle within which the comb decides where hair falls
LOWEST = -0.24  # metres: hair ends there at the latest
DOWN = np.float32([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Ground:
    """The skin as hair lies on it, as heights in cells of a box.

    origin: (3,) middle of the first cell; cells: (X, Y, Z, 4) float32, unit normal and height in each cell's middle
    """

    origin: np.ndarray
    cells: np.ndarray

    def under(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights (S,) over the skin and its unit normals (S, 3), for points (S, 3) float32."""
        place = (points - self.origin) * np.float32(1 / CELL)
        middle = np.clip(np.rint(place), 0, np.float32(self.cells.shape[:3]) - 1)
        found = self.cells[tuple(middle.astype(np.int32).T)]
        away = (place - middle) * np.float32(CELL)
        return found[:, 3] + np.einsum("si,si->s", away, found[:, :3]), found[:, :3]


@dataclass(frozen=True)
class HairBed:
    """What hair grows on, once a process: the head's mean skin.

    surface: skin with its triangles; area: (F,) of these; masks: see `hair_masks`, on the skin's vertices
    behind: (V,) metres behind an ordinary hairline; landmarks: (68, 3); brow, third, front, crown: heights of brows,
    from nose to brows, depth of the ears' front and height of the crown, metres
    """

    surface: Surface
    area: np.ndarray
    masks: dict[str, np.ndarray]
    behind: np.ndarray
    landmarks: np.ndarray
    ground: Ground
    brow: float
    third: float
    front: float
    crown: float


def make_bed(head: Head) -> HairBed:
    """Prepares a head for `hairdos.grow`; half a second."""
    skin, normals, triangles = head.mean[head.skin], head.normals[head.skin], head.skin_triangles
    points = head.mean[head.landmarks68]
    masks = {name: mask[head.skin] for name, mask in hair_masks(head).items()}
    corners = skin[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    nothing = np.zeros((0, 3), np.float32)
    brow = float(points[17:27, 1].mean())
    return HairBed(
        surface=Surface(skin, normals, triangles, nothing, nothing),
        area=area,
        masks=masks,
        behind=behind_hairline(skin, points).astype(np.float32),
        landmarks=points,
        ground=_make_ground(skin, normals, masks["ears"], float(points[8, 1])),
        brow=brow,
        third=brow - float(points[33, 1]),
        front=float(points[0, 2]),
        crown=float(skin[:, 1].max()),
    )


def _make_ground(skin: np.ndarray, normals: np.ndarray, ears: np.ndarray, chin: float) -> Ground:
    outside = (ears < 0.3) | (normals[:, 0] * np.sign(skin[:, 0]) > 0.5)  # ears count as seen from the side
    points, normals = skin[outside], normals[outside]
    low, high = points.min(axis=0) - REACH, points.max(axis=0) + REACH
    axes = [np.arange(a, b, CELL, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance, nearest = cKDTree(points).query(middles, k=6)
    weights = (1.0 / (distance + 0.002) ** 2).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    normal = np.einsum("nk,nkc->nc", weights, normals[nearest])
    height = np.einsum("nk,nkc,nkc->n", weights, middles[:, None] - points[nearest], normals[nearest])
    height -= CLOTHES * smooth_step(chin - middles[:, 1], 0.015, 0.05)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    cells = np.concatenate([normal, height[:, None]], axis=1).astype(np.float32)
    return Ground(low.astype(np.float32), cells.reshape(*map(len, axes), 4))


def spread_roots(rng: np.random.Generator, bed: HairBed, mask: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (S,) and barycentrics (S, 3) of `count` places on the skin, in proportion to area times mask (V,).

    They come in the order of the triangles, evenly spread, so that every so manieth is spread evenly, too. An empty
    mask gives no places.
    """
    weight = bed.area * mask[bed.surface.triangles].mean(axis=1)
    total = np.cumsum(weight)
    if total[-1] <= 0:
        return np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    wanted = (np.arange(count) + rng.random(count)) * (total[-1] / count)
    triangle = np.minimum(np.searchsorted(total, wanted), len(weight) - 1)
    first, second = np.sqrt(rng.random(count)), rng.random(count)
    return triangle, np.stack([1 - first, first * (1 - second), first * second], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Fall:
    """How strands fall, each (S,) or one number for all.

    length: metres; layer: metres above the skin at which they lie; lift: 0 flat .. 1 upright at the root
    gravity: bend down per step; cling: bend back to the head where they stand off; drift: bend forward per step below
    the chin; opening: metres to either side of the face's middle that stay free, 0 for strands that may cross it
    end: height below which they are cut; target: (S, 3) place where they are tied, or None
    """

    length: np.ndarray
    layer: np.ndarray
    lift: float
    gravity: float
    cling: float
    drift: np.ndarray
    opening: np.ndarray
    end: np.ndarray
    target: np.ndarray | None = None


def lay(
    rng: np.random.Generator,
    bed: HairBed,
    fall: Fall,
    roots: np.ndarray,
    normals: np.ndarray,
    flow: np.ndarray,
    steps: int,
) -> np.ndarray:
    """Strands (S, steps + 1, 3) float32 from roots, normals and combed directions (S, 3) along the skin."""
    count = len(roots)
    points = np.empty((count, steps + 1, 3), np.float32)
    points[:, 0] = roots - np.float32(0.0005) * normals
    scatter = rng.standard_normal((count, 3), np.float32)
    heading = unit(fall.lift * normals + (1.05 - fall.lift) * flow + np.float32(0.12) * scatter)
    step = (fall.length / steps).astype(np.float32)[:, None]
    combed_aside = (np.abs(flow[:, 0]) > 0.2) & (np.abs(roots[:, 0]) < COMBED_OVER)
    side = np.where(combed_aside, np.sign(flow[:, 0]), np.sign(roots[:, 0]))
    goes_on = np.ones(count, bool)
    for index in range(steps):
        share = (index + 1) / steps
        last = points[:, index]
        if fall.target is not None:
            flow = unit(fall.target - last)
            goes_on &= np.square(fall.target - last).sum(axis=1) > (1.5 * step[:, 0]) ** 2
            heading = heading + flow
        else:
            heading = heading + np.float32(0.25 * (1 - fall.lift) * (1 - share)) * flow
            heading = heading + np.float32(fall.gravity) * DOWN
        below = np.clip((bed.brow - bed.third - last[:, 1]) / bed.third, 0.0, 1.0)
        heading[:, 0] *= 1 - np.float32(0.35) * below  # hair that hangs does not go on aside
        heading[:, 2] += fall.drift * below
        heading += np.float32(0.05) * rng.standard_normal((count, 3), np.float32)
        reached = last + step * unit(heading)
        height, normal = bed.ground.under(reached)
        over = height - (fall.layer * min(1.0, 1.5 * share) + np.float32(0.0008))
        reached += np.maximum(-over, 0.0)[:, None] * normal
        _open_face(bed, reached, side, fall.opening)
        aside = np.float32(HANGS_WITHIN * bed.landmarks[16, 0]) + fall.layer
        reached[:, 0] = np.where(below > 0, np.clip(reached[:, 0], -aside, aside), reached[:, 0])
        goes_on &= (over > -0.02) & (reached[:, 1] > fall.end)
        points[:, index + 1] = np.where(goes_on[:, None], reached, last)
        heading = unit(reached - last)
        heading -= (fall.cling * np.clip(over / np.float32(0.012), 0.0, 1.0))[:, None] * normal
    return points


def _open_face(bed: HairBed, points: np.ndarray, side: np.ndarray, opening: np.ndarray) -> None:
    """Moves points (S, 3) that lie before the face out to its sides (S,), in place."""
    before = smooth_step(points[:, 2], bed.front - 0.005, bed.front + 0.025)
    before *= 1 - smooth_step(points[:, 1], bed.brow + 0.3 * bed.third, bed.brow + 0.75 * bed.third)
    lacking = np.maximum(opening - side * points[:, 0], 0.0) * (opening > 0)
    points[:, 0] += (0.7 * before * side * lacking).astype(np.float32)


def lift_out(bed: HairBed, points: np.ndarray) -> np.ndarray:
    """Strands (S, K, 3) with what got into the skin lifted out of it, roots excepted."""
    flat = points[:, 1:].reshape(-1, 3)
    height, normal = bed.ground.under(flat)
    flat = flat + np.maximum(np.float32(0.001) - height, 0.0)[:, None] * normal
    return np.concatenate([points[:, :1], flat.reshape(points[:, 1:].shape)], axis=1)
