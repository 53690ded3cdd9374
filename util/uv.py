"""A flat chart of any topology, u and v, for textures: the face as it looks from the front, spread out.

u runs from left to right and v from bottom to top, 0..1, as in OBJ files, OpenGL and Sim3DR; the first row of a texture
is at v = 1. The face's left is at u = 1, as in a photo. A chart is mirror-symmetric: where a place is at
(u, v), its mirror place is at (1 - u, v), so that a texture is mirrored as `texture[:, ::-1]`.
"""

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from util.mesh import Topology

# The outline |x|^4 + |y|^4 = 1 fills 93 % of its square and, being curved everywhere, leaves no triangle flat.
ROUNDNESS = 4


def uv_layout(topology: Topology, roundness: int = ROUNDNESS) -> np.ndarray:
    """(N, 2) float32 chart coordinates of a topology's vertices.

    roundness: exponent of the outline; a circle has 2.

    A mesh of one piece with holes is laid out without overlaps: its longest border becomes a rounded square, with the
    vertices spaced as on the mesh, the holes are closed, and each other vertex is the mean of its neighbours under mean
    value weights. These are positive, so that no triangle is turned over (Tutte 1963; Floater 1997).
    Any other mesh, as one without a border or of several pieces, is unrolled from a cylinder round its y axis, where
    what folds back overlaps.
    """
    vertices, triangles = topology.template.astype(np.float64), topology.triangles
    # straight up and down is 1 m for 1 m, round the axis for what lies 0.1 m from it: only the aspect depends on that
    unrolled = np.stack([0.1 * np.arctan2(vertices[:, 0], vertices[:, 2]), vertices[:, 1]], axis=1)
    outline, holes = outline_and_holes(vertices, triangles)
    closed_vertices, closed_triangles = close_holes(vertices, triangles, holes)
    if not len(outline) or not is_disc(len(closed_vertices), closed_triangles):
        return _scaled(unrolled, topology.mirror)
    places = _on_rounded_square(_steps(vertices[outline]), unrolled[outline], roundness)
    chart = _inner_means(_mean_value_weights(closed_vertices, closed_triangles), outline, places)
    return _scaled(chart[: len(vertices)], topology.mirror)


def border_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """The borders of a mesh, its outline and its holes, each as (K,) vertex indices along the triangles' winding.

    triangles: (F, 3) vertex indices, wound alike.
    """
    edges = {tuple(edge) for edge in _directed_edges(triangles).tolist()}
    following = {start: end for start, end in sorted(edges) if (end, start) not in edges}
    loops = []
    while following:
        vertex, loop = next(iter(following)), []
        while vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(loop))
    return loops


def outline_and_holes(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The longest border of a mesh, (K,) vertex indices, none where it is closed; and the other borders."""
    loops = border_loops(triangles)
    if not loops:
        return np.zeros(0, np.int64), []
    outline = loops.pop(int(np.argmax([_steps(vertices[loop]).sum() for loop in loops])))
    return outline, loops


def _directed_edges(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _steps(loop: np.ndarray) -> np.ndarray:
    """(K,) lengths from each point of a closed line (K, 3) to the next."""
    return np.linalg.norm(np.roll(loop, -1, axis=0) - loop, axis=1)


def close_holes(vertices: np.ndarray, triangles: np.ndarray, holes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with a vertex in the middle of each hole, behind the others, and a fan of triangles round it."""
    middles = [vertices[hole].mean(axis=0, keepdims=True) for hole in holes]
    fans = [
        np.stack([np.roll(hole, -1), hole, np.full(len(hole), len(vertices) + index)], axis=1)
        for index, hole in enumerate(holes)
    ]
    return np.concatenate([vertices, *middles]), np.concatenate([triangles, *fans])


def is_disc(num_vertices: int, triangles: np.ndarray) -> bool:
    """Whether a mesh is of one piece and has one border."""
    edges = np.unique(np.sort(_directed_edges(triangles), axis=1), axis=0)
    graph = coo_matrix((np.ones(len(edges)), edges.T), (num_vertices, num_vertices))
    euler = num_vertices - len(edges) + len(triangles)
    return euler == 1 and connected_components(graph, directed=False)[0] == 1


def _on_rounded_square(steps: np.ndarray, unrolled: np.ndarray, roundness: int) -> np.ndarray:
    """(K, 2) places of a closed line's points on the outline |x|^roundness + |y|^roundness = 1.

    steps: (K,) from each to the next; the whole is turned to fit unrolled (K, 2), the points on the cylinder.
    """
    angles = 2 * np.pi * (np.cumsum(steps) - steps) / steps.sum()
    from_middle = unrolled - (unrolled.min(axis=0) + unrolled.max(axis=0)) / 2
    directions = from_middle @ [1, 1j]
    angles += np.angle((directions / np.abs(directions) * np.exp(-1j * angles)).mean())
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return circle / (np.abs(circle) ** roundness).sum(axis=1, keepdims=True) ** (1 / roundness)


def _mean_value_weights(vertices: np.ndarray, triangles: np.ndarray) -> csr_matrix:
    """(N, N) weights of each vertex's neighbours, a row a vertex: the sum of tan(angle / 2) / length over the two
    triangles at the edge (M. S. Floater: Mean value coordinates, CAGD 20, 2003)."""
    rows, columns, weights = [], [], []
    for corner in range(3):
        here, following, before = (triangles[:, (corner + step) % 3] for step in range(3))
        sides = vertices[following] - vertices[here], vertices[before] - vertices[here]
        angle = np.arctan2(np.linalg.norm(np.cross(*sides), axis=1), (sides[0] * sides[1]).sum(axis=1))
        for neighbour, side in zip((following, before), sides, strict=True):
            rows.append(here)
            columns.append(neighbour)
            weights.append(np.tan(angle / 2) / np.linalg.norm(side, axis=1))
    places = np.concatenate(rows), np.concatenate(columns)
    return coo_matrix((np.concatenate(weights), places), (len(vertices), len(vertices))).tocsr()


def _inner_means(weights: csr_matrix, outline: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 2): the outline's vertices at their places, each other one at its neighbours' weighted mean."""
    chart = np.zeros((weights.shape[0], 2))
    chart[outline] = places
    inner = np.setdiff1d(np.arange(len(chart)), outline)
    rows = (diags(weights.sum(axis=1).A1) - weights).tocsr()[inner]
    if len(inner):
        chart[inner] = spsolve(rows[:, inner].tocsc(), -(rows[:, outline] @ places))
    return chart


def _scaled(chart: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """A chart (N, 2) scaled to 0..1 on both axes, and the mean of itself and its mirror image."""
    low, high = chart.min(axis=0), chart.max(axis=0)
    chart = (chart - low) / (high - low)
    return ((chart + chart[mirror] * [-1, 1] + [1, 0]) / 2).astype(np.float32)
