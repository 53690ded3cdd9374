"""The solids that worn things are made of: sheets and tubes over grids of points, as pieces."""

import numpy as np

from data.synthetic.body import grid_triangles
from data.synthetic.portraits.pieces import Piece


def sheet(
    points: np.ndarray,
    albedo: np.ndarray,
    gloss: float = 0.03,
    uv: np.ndarray | None = None,
    texture: np.ndarray | None = None,
    closed: bool = False,
    on_body: bool = False,
) -> Piece:
    """A surface over a grid of points (R, C, 3), metres; albedo (3,) or (R, C, 3), linear.

    Seen from outside rows run down and columns to the right (on the front of a head: towards +x).
    uv: (R, C, 2), over 0..1 once where None; closed: the last column meets the first
    """
    rows, columns = points.shape[:2]
    if uv is None:
        down, along = np.linspace(0.0, 1.0, rows), np.linspace(0.0, 1.0, columns)
        uv = np.stack(np.broadcast_arrays(along[None], down[:, None]), axis=-1)
    return Piece(
        vertices=np.ascontiguousarray(points.reshape(-1, 3), np.float32),
        triangles=grid_triangles(rows, columns, closed),
        uv=np.ascontiguousarray(uv.reshape(-1, 2), np.float32),
        albedo=np.broadcast_to(albedo, points.shape).reshape(-1, 3).astype(np.float32),
        gloss=np.full(rows * columns, gloss, np.float32),
        texture=texture,
        on_body=on_body,
    )


def tube(path: np.ndarray, radii: np.ndarray | float, across: np.ndarray, sides: int = 8) -> np.ndarray:
    """(K, sides, 3) points of a tube about a path (K, 3), for `sheet(..., closed=True)`.

    radii: one, or (K, 1), or (K, 2): along `across` and at right angles to it, metres
    across: (3,) or (K, 3), nowhere along the path; sections are turned by it
    """
    tangent = np.gradient(path, axis=0)
    if np.abs(path[0] - path[-1]).max() < 1e-5:  # a ring
        tangent[[0, -1]] = tangent[0] + tangent[-1]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    second = cross(tangent, across)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    first = cross(second, tangent)
    turn = np.arange(sides) * (-2 * np.pi / sides)  # against the clock from the path's end: outward with rows along it
    radii = np.broadcast_to(radii, (len(path), 2))
    wide = radii[:, :1, None] * np.cos(turn)[:, None] * first[:, None]
    return path[:, None] + wide + radii[:, 1:, None] * np.sin(turn)[:, None] * second[:, None]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K, 3) a x b, of (K, 3) or (3,); np.cross takes several times as long for so few."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def rounded(path: np.ndarray, radii: np.ndarray, caps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Path (K + 2 caps, 3) and radii (K + 2 caps, 2) with hemispheres at both ends, of path (K, 3), radii (K, 2)."""
    angle = np.linspace(0.0, np.pi / 2 - 0.02, caps + 1)[1:, None]
    ends = []
    for end, inner in ((0, 1), (-1, -2)):
        outward = path[end] - path[inner]
        outward = outward / np.linalg.norm(outward)
        ends.append((path[end] + np.sin(angle) * radii[end].min() * outward, np.cos(angle) * radii[end]))
    (start, start_radii), (stop, stop_radii) = ends
    return np.concatenate([start[::-1], path, stop]), np.concatenate([start_radii[::-1], radii, stop_radii])


def capsule(path: np.ndarray, radii: np.ndarray, across: np.ndarray, sides: int = 10) -> np.ndarray:
    """(K + 6, sides, 3): a tube with round ends, see `tube`; radii (K, 2)."""
    return tube(*rounded(path, np.broadcast_to(radii, (len(path), 2))), across, sides)


def through(knots: np.ndarray, count: int) -> np.ndarray:
    """(count, D) places along a smooth line through knots (K, D): Catmull-Rom, evenly in the knots' number."""
    place = np.linspace(0.0, len(knots) - 1, count)
    index = np.minimum(place.astype(int), len(knots) - 2)
    share = (place - index)[:, None]
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    a, b, c, d = (padded[index + k] for k in range(4))
    return b + 0.5 * share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)))


def merged(pieces: list[Piece]) -> Piece:
    """Pieces without textures, or with the first one's, as one."""
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
    return Piece(
        vertices=np.concatenate([piece.vertices for piece in pieces]),
        triangles=np.concatenate(
            [piece.triangles + np.int32(start) for piece, start in zip(pieces, starts, strict=True)]
        ).astype(np.int32),
        uv=np.concatenate([piece.uv for piece in pieces]),
        albedo=np.concatenate([piece.albedo for piece in pieces]),
        gloss=np.concatenate([piece.gloss for piece in pieces]),
        texture=pieces[0].texture,
        on_body=pieces[0].on_body,
    )
