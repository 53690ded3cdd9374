"""Hair on the scalp, after a cut: combed, fallen, gathered, curled, tied."""

import numpy as np

from data.synthetic.geometry import smooth_step
from data.synthetic.hair import at_roots, curl, gather_in_locks, unit
from data.synthetic.portraits.hair_colours import DyedStrands, HairColours, colour_strands
from data.synthetic.portraits.hair_cuts import Cut
from data.synthetic.portraits.hair_laying import LOWEST, Fall, HairBed, lay, lift_out, spread_roots

TAIL_SHARE = 0.3  # strands of what is tied, per strand on the scalp


def grow_scalp(rng: np.random.Generator, bed: HairBed, cut: Cut, mask: np.ndarray, colours: HairColours) -> DyedStrands:
    """Grows what a cut wants where mask (V,) 0..1 has hair."""
    triangle, barycentric = spread_roots(rng, bed, mask, cut.count)
    roots = at_roots(bed.surface.vertices, bed.surface, triangle, barycentric)
    normals = unit(at_roots(bed.surface.normals, bed.surface, triangle, barycentric))
    fullness = at_roots(mask[:, None], bed.surface, triangle, barycentric)[:, 0]
    fringed = _fringed(rng, bed, cut, roots)
    part = _draw_part(rng, cut)
    flow = _comb(rng, bed, cut, roots, normals, part, fringed)
    tie = _draw_tie(rng, bed, cut, roots, part)
    fall = _fall(rng, bed, cut, roots, fullness, fringed, tie)
    points = lay(rng, bed, fall, roots, normals, flow, cut.steps)
    points = gather_in_locks(rng, points, cut.clump * rng.uniform(0.6, 1.1) ** 0.5, cut.lock)
    if cut.curl:
        points = curl(rng, points, cut.curl * rng.uniform(0.7, 1.3), cut.turns)
    points = lift_out(bed, points.astype(np.float32))
    if tie is not None:
        tails, rooted = _grow_tails(rng, bed, cut, roots, tie)
        points = np.concatenate([points, tails])
        roots, triangle = np.concatenate([roots, roots[rooted]]), np.concatenate([triangle, triangle[rooted]])
        barycentric = np.concatenate([barycentric, barycentric[rooted]])
    taper = np.clip(1.25 - (1.25 - cut.tip) * np.linspace(0.0, 1.0, cut.steps + 1) ** 2, 0.0, 1.0)
    widths = cut.width * taper[None] * rng.uniform(0.7, 1.3, (len(points), 1))
    tints = colour_strands(rng, colours, roots)
    return DyedStrands(points, widths.astype(np.float32), tints[0], triangle, barycentric, False, tints[1])


def _fringed(rng: np.random.Generator, bed: HairBed, cut: Cut, roots: np.ndarray) -> np.ndarray:
    """(S,) True for the strands of a fringe: those behind the forehead's hairline."""
    if not cut.fringe:
        return np.zeros(len(roots), bool)
    depth = bed.front + rng.uniform(0.15, 0.45) * bed.third
    return (roots[:, 2] > depth) & (np.abs(roots[:, 0]) < rng.uniform(0.045, 0.065))


def _draw_part(rng: np.random.Generator, cut: Cut) -> float:
    aside = rng.uniform(0.025, 0.050) if cut.comb == "across" else rng.uniform(0.0, 0.035) * (rng.random() < 0.6)
    return float(rng.choice([-1, 1]) * aside)


def _comb(
    rng: np.random.Generator,
    bed: HairBed,
    cut: Cut,
    roots: np.ndarray,
    normals: np.ndarray,
    part: float,
    fringed: np.ndarray,
) -> np.ndarray:
    """(S, 3) float32 unit directions along the skin that the comb gives the hair at its roots."""
    back = np.clip((bed.front - 0.02 - roots[:, 2]) / 0.03, 0.0, 1.0)  # where no part is seen
    side = np.tanh((roots[:, 0] - part * (1 - back)) / (0.006 + 0.05 * back))
    front = np.clip((roots[:, 2] - bed.front) / 0.03, 0.0, 1.0)
    one = np.ones(len(roots), np.float32)
    whorl = np.float32([rng.normal(0, 0.01), bed.crown, bed.front - 0.05 + rng.normal(0, 0.01)])
    if cut.comb == "whorl":
        flow = roots - whorl
        flow = flow + 0.5 * np.cross(normals, flow)
    elif cut.comb == "down":
        flow = roots - whorl
    elif cut.comb in ("side", "across"):
        flow = np.stack([side, -0.35 * one, -0.6 * front], axis=1)
    elif cut.comb == "back":
        flow = np.stack([0.3 * side, -0.1 * one, -one], axis=1)
    elif cut.comb == "forward":
        flow = np.stack([0.25 * side, -0.1 * one, one], axis=1)
    else:
        flow = np.stack([0 * one, one, rng.uniform(-0.3, 0.4) * one], axis=1)
    sweep = rng.normal(0.0, 0.7) if cut.comb != "across" else -np.sign(part) * rng.uniform(0.6, 1.5)
    flow = np.where(fringed[:, None], np.float32([sweep, -0.3, 1.0]), flow)
    flow = flow - (flow * normals).sum(axis=1, keepdims=True) * normals
    return unit(flow).astype(np.float32)


def _draw_tie(rng: np.random.Generator, bed: HairBed, cut: Cut, roots: np.ndarray, part: float) -> np.ndarray | None:
    """(S, 3) where each strand is tied: a place a little off the skin."""
    back = bed.front - 1.2 * bed.third
    if cut.tie == "braids":
        places = np.array([[s * 0.8 * bed.landmarks[16, 0], bed.brow - 0.85 * bed.third, back + 0.03] for s in (-1, 1)])
        places = places[(roots[:, 0] > part).astype(np.int64)]
    elif cut.tie:
        angle = {"ponytail": (-0.1, 0.5), "high ponytail": (0.8, 1.2), "bun": (-0.4, 0.4), "top bun": (1.1, 1.6)}
        up = rng.uniform(*angle[cut.tie])
        centre = np.array([rng.normal(0, 0.004), bed.brow, bed.front - 0.03])
        places = np.tile(centre + 0.13 * np.array([0.0, np.sin(up), -np.cos(up)]), (len(roots), 1))
    else:
        return None
    places = places.astype(np.float32)
    height, normal = bed.ground.under(places)
    return places - (height - np.float32(0.006))[:, None] * normal


def _fall(
    rng: np.random.Generator,
    bed: HairBed,
    cut: Cut,
    roots: np.ndarray,
    fullness: np.ndarray,
    fringed: np.ndarray,
    tie: np.ndarray | None,
) -> Fall:
    count = len(roots)
    high = smooth_step(roots[:, 1], bed.brow + 0.05 * bed.third, bed.brow + 0.75 * bed.third)
    behind = smooth_step(bed.front - roots[:, 2], 0.4 * bed.third, 1.0 * bed.third)
    low = cut.sides + (cut.nape - cut.sides) * behind
    length = rng.uniform(*cut.length) * rng.uniform(0.8, 1.1, count) * (0.45 + 0.55 * fullness)
    length *= low + (1.0 - low) * high
    length = np.where(fringed, cut.fringe * length, length)
    loose = fringed | (rng.random(count) < rng.choice([0.0, 0.004, 0.015]))
    half = np.abs(bed.landmarks[16, 0])
    opening = cut.opening * rng.uniform(0.9, 1.05) * half * np.where(loose, 0.0, 1.0)
    end = np.full(count, LOWEST)
    lowest = bed.brow + rng.uniform(-0.012, 0.018)
    if cut.comb == "across" and rng.random() < 0.3:  # over one eye
        lowest -= 0.6 * bed.third
    end[fringed] = lowest + rng.normal(0.0, 0.002, int(fringed.sum()))
    volume = cut.volume * rng.uniform(0.7, 1.4)
    if tie is not None:
        length = 1.25 * np.linalg.norm(tie - roots, axis=1)
    return Fall(
        length=length,
        layer=(volume * rng.random(count) ** 1.5 * (0.3 + 0.7 * fullness)).astype(np.float32),
        lift=cut.lift,
        gravity=cut.gravity,
        cling=cut.cling,
        drift=np.full(count, rng.uniform(*cut.drift), np.float32),
        opening=opening.astype(np.float32),
        end=end,
        target=tie,
    )


def _grow_tails(
    rng: np.random.Generator, bed: HairBed, cut: Cut, roots: np.ndarray, tie: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Strands (S', K, 3) of what hangs from, or is wound about, where hair is tied, and the strands (S',) whose roots
    they move with."""
    places = np.unique(tie, axis=0)
    count = int(TAIL_SHARE * len(roots) / len(places))
    size = cut.steps + 1
    length = rng.uniform(0.12, 0.28)
    tails, rooted = [], []
    for place in places:
        _, out = bed.ground.under(place[None])
        if "bun" in cut.tie:
            tails.append(_bun(rng, place, out[0], count, size))
        else:
            tails.append(_hanging(rng, bed, place, out, count, size, length, cut.tie == "braids"))
        rooted.append(np.full(count, np.square(roots - place).sum(axis=1).argmin()))
    return np.concatenate(tails), np.concatenate(rooted)


def _bun(rng: np.random.Generator, place: np.ndarray, out: np.ndarray, count: int, size: int) -> np.ndarray:
    """Strands (S, size, 3) wound around a ball on the head."""
    radius = rng.uniform(0.022, 0.036)
    across = unit(np.cross(out, np.float32([0.9, 0.1, 0.3])))
    third = np.cross(out, across)
    turn = rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0.0, 1.0, size) * rng.uniform(2, 5, (count, 1))
    polar = np.arccos(rng.uniform(-0.6, 1.0, (count, 1))) + rng.normal(0, 0.25, (count, 1)) * np.linspace(0, 1, size)
    far = radius * rng.uniform(0.85, 1.05, (count, 1))
    flat = (far * np.sin(polar))[..., None] * (np.cos(turn)[..., None] * across + np.sin(turn)[..., None] * third)
    return (place + flat + (0.6 * radius + 0.8 * far * np.cos(polar))[..., None] * out).astype(np.float32)


def _hanging(
    rng: np.random.Generator,
    bed: HairBed,
    place: np.ndarray,
    out: np.ndarray,
    count: int,
    size: int,
    length: float,
    braided: bool,
) -> np.ndarray:
    """Strands (S, size, 3) of a ponytail or a braid that leaves the head at a place (3,) along out (1, 3)."""
    one = np.ones(1, np.float32)
    drift = np.float32(rng.uniform(0.1, 0.3) if braided else rng.uniform(-0.2, 0.1)) * one
    fall = Fall(length * one, 0.012 * one, 0.8, 0.45, 0.2, drift, 0.0 * one, LOWEST * one)
    middle = lay(rng, bed, fall, place[None], out, out, size - 1)
    along = np.linspace(0.0, 1.0, size)
    strand = rng.integers(0, 3, (count, 1)) * (2 * np.pi / 3)
    if braided:
        turn = strand + 2 * np.pi * 2.5 * along
        wide = 0.010 * np.cos(turn) + 0.004 * rng.standard_normal((count, 1))
        deep = 0.005 * np.sin(2 * turn) + 0.003 * rng.standard_normal((count, 1))
    else:
        swell = 0.35 + np.sin(np.pi * np.minimum(1.0, 0.25 + along))
        wide, deep = (0.012 * swell * rng.standard_normal((count, 1)) for _ in range(2))
    across = np.float32([1.0, 0.0, 0.0]) if abs(out[0, 0]) < 0.7 else np.float32([0.0, 0.0, 1.0])
    ahead = np.cross(unit(middle[:, -1] - middle[:, 0]), across)
    return lift_out(bed, (middle + wide[..., None] * across + deep[..., None] * ahead).astype(np.float32))
