"""Meshes from coarse to fine, with the matrices that lead from each to the next: what graph networks deform.

All matrices are sparse, with rows of non-negative weights that sum to 1, and mirror-symmetric: to mirror the vertices
and to apply a matrix is to apply it and to mirror the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, eye_array, vstack

from util.errors import InputError
from util.mesh import Topology
from util.mesh_simplification import SimplifiedMesh, simplify, unique_edges
from util.surface import Surface
from util.uv import close_holes, is_disc, outline_and_holes, uv_layout

# How far the nose may be moved to get to the middle of the disc, whose radius is 1.
LARGEST_SHIFT = 0.5


@dataclass(frozen=True)
class MeshLevel:
    """One level of n vertices.

    vertices: (n, 3) float64 metres, where its vertices start, mirror-symmetric; triangles: (F, 3) int32,
    counter-clockwise from outside; edges: (E, 2) int64, each once, the lower index first, sorted
    mirror: (n,) int64, the vertex that each vertex becomes when the mesh is mirrored at x = 0
    from_topology: (n, N), where its vertices lie on a mesh of the data root's topology: from_topology @ verts
    to_topology: (N, n), where the data root's vertices lie on this level's mesh
    """

    vertices: np.ndarray
    triangles: np.ndarray
    edges: np.ndarray
    mirror: np.ndarray
    from_topology: csr_array
    to_topology: csr_array


@dataclass(frozen=True)
class MeshHierarchy:
    """Levels from coarse to fine, and what leads from one to the next.

    up: one less than levels, (n_k+1, n_k) each; down: likewise, (n_k, n_k+1), which takes the finer level's vertices
    that the coarser one has; middles: likewise, None, or for levels made by unpooling the (E, 2) edges of the coarser
    level whose middles are the vertices n_k.. of the finer one
    """

    levels: list[MeshLevel]
    up: list[csr_array]
    down: list[csr_array]
    middles: list[np.ndarray | None]


def simplified_hierarchy(topology: Topology, vertices: np.ndarray, sizes: Sequence[int]) -> MeshHierarchy:
    """Levels of the data root's own mesh: simplified ones (`simplify` says how), then the topology itself.

    vertices: (N, 3) metres, as the mean face; the levels start from the mean of it and its mirror image, and each has
    some of the next finer one's vertices. A finer level's vertices lie at the nearest places of the coarser mesh on the
    triangles round the vertex onto which each was collapsed, so that an upper lip does not hang on the lower one.
    sizes: about how many vertices the coarser levels have, ascending. Raises InputError where a size is not below the
    next finer level's, or cannot be reached.
    """
    finer = [*sizes, topology.num_vertices][1:]
    for size, next_size in zip(sizes, finer, strict=True):
        if not 3 <= size < next_size:
            raise InputError(f"mesh level: wanted 3..{next_size - 1} vertices below {next_size}, got {size}")
    mirror = topology.mirror
    symmetric = (vertices + vertices[mirror] * [-1.0, 1.0, 1.0]) / 2
    meshes = simplify(symmetric, topology.triangles, mirror, sizes[::-1])[::-1]
    everything = np.arange(topology.num_vertices)
    meshes.append(SimplifiedMesh(everything, topology.triangles, everything))
    mirrors = [np.searchsorted(mesh.kept, mirror[mesh.kept]) for mesh in meshes]
    down, up = [], []
    for k, (coarse, fine) in enumerate(pairwise(meshes)):
        down.append(_selection(np.searchsorted(fine.kept, coarse.kept), len(fine.kept)))
        surface = Surface(symmetric[coarse.kept], coarse.triangles)
        places, found = _closest_round(surface, coarse, symmetric[fine.kept], coarse.stands_in[fine.kept])
        matrix = _weights(symmetric[coarse.kept], coarse.triangles[found], places)
        up.append(_symmetric(matrix, mirrors[k + 1], mirrors[k]))
    levels, to_topology = [], eye_array(topology.num_vertices, format="csr")
    for k in range(len(meshes))[::-1]:
        kept, triangles = meshes[k].kept, meshes[k].triangles
        to_topology = to_topology @ up[k] if k < len(up) else to_topology
        selection = _selection(kept, topology.num_vertices)
        levels.insert(
            0, MeshLevel(symmetric[kept], triangles, unique_edges(triangles), mirrors[k], selection, to_topology)
        )
    return MeshHierarchy(levels, up, down, [None] * len(up))


def unpooled_hierarchy(topology: Topology, vertices: np.ndarray, rings: int, num_levels: int) -> MeshHierarchy:
    """Levels of the published kind: half an ellipsoid, open to the back, whose triangles become four each from level
    to level: new vertices are the middles of the edges (Wang and others: Pixel2Mesh, 2018).

    The ellipsoid is as wide as the mesh `vertices` (N, 3) metres, as high, and as deep from its hindmost to its
    frontmost vertex. The coarsest level has `rings` hexagonal rings round a vertex at the pole, so r rings have
    3 r (r + 1) + 1 vertices; all levels start on the ellipsoid itself.

    The data root's mesh is laid over it by a flat chart of both, without folds: the outline round the ellipsoid's rim,
    the frontmost vertex of `vertices` near the pole, holes (eyes, mouth) closed by the mean of their borders.
    Raises InputError where rings or levels are less than 1, the mesh is flat, or is not of one piece with an outline.
    """
    if rings < 1 or num_levels < 1:
        raise InputError(f"half ellipsoid: wanted at least 1 ring and 1 level, got {rings} and {num_levels}")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    half_axes = np.array([np.abs(vertices[:, 0]).max(), (high[1] - low[1]) / 2, high[2] - low[2]])
    if not (half_axes > 0).all():
        raise InputError(f"half ellipsoid: wanted half axes above 0 m, got {half_axes}")
    centre = np.array([0.0, (low[1] + high[1]) / 2, low[2]])
    chart, closed_triangles, closing = _closed_chart(topology, vertices)
    lattice, triangles = _hexagon(rings)
    levels, up, down, middles = [], [], [], []
    for k in range(num_levels):
        edges = unique_edges(triangles)
        mirror = _lattice_mirror(lattice)
        disc = _mirror_mean(_on_disc(lattice, rings * 2**k), mirror)
        from_topology = _weights_on(_flat(chart), closed_triangles, _flat(disc)) @ closing
        to_topology = _weights_on(_flat(disc), triangles, _flat(chart[: topology.num_vertices]))
        levels.append(
            MeshLevel(
                centre + half_axes * _mirror_mean(_on_sphere(disc), mirror),
                triangles,
                edges,
                mirror,
                _symmetric(from_topology, mirror, topology.mirror),
                _symmetric(to_topology, topology.mirror, mirror),
            )
        )
        if k + 1 < num_levels:
            halves = (_selection(edges[:, 0], len(disc)) + _selection(edges[:, 1], len(disc))) / 2
            up.append(vstack([eye_array(len(disc)), halves], format="csr"))
            down.append(_selection(np.arange(len(disc)), len(disc) + len(edges)))
            middles.append(edges)
            lattice = np.concatenate([2 * lattice, lattice[edges].sum(axis=1)])
            triangles = _four_each(triangles, edges, len(disc))
    return MeshHierarchy(levels, up, down, middles)


def _selection(indices: np.ndarray, num_columns: int) -> csr_array:
    """The matrix that takes these entries."""
    rows = np.arange(len(indices))
    return csr_array((np.ones(len(indices)), (rows, indices)), (len(indices), num_columns))


def _symmetric(matrix: csr_array, row_mirror: np.ndarray, column_mirror: np.ndarray) -> csr_array:
    """The mean of a matrix and what it is in the mirror."""
    return ((matrix + matrix[row_mirror][:, column_mirror]) / 2).tocsr()


def _closest_round(
    surface: Surface, mesh: SimplifiedMesh, points: np.ndarray, middles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `Surface.closest`, out of the triangles round a vertex of the mesh for each of points (P, 3): middles (P,)."""
    round_vertex = csr_array(
        (np.ones(mesh.triangles.size), (mesh.triangles.ravel(), np.repeat(np.arange(len(mesh.triangles)), 3)))
    )[middles]
    owners, triangles = np.repeat(np.arange(len(points)), np.diff(round_vertex.indptr)), round_vertex.indices
    places = surface.place_on(triangles, points[owners])
    order = np.lexsort((np.linalg.norm(places - points[owners], axis=1), owners))
    nearest = order[np.unique(owners[order], return_index=True)[1]]
    return places[nearest], triangles[nearest]


def _weights_on(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> csr_array:
    """(P, n) the place of a mesh (n, 3) that is nearest to each of points (P, 3), as barycentric weights."""
    places, found = Surface(vertices, triangles).closest(points)
    return _weights(vertices, triangles[found], places)


def _weights(vertices: np.ndarray, rows: np.ndarray, places: np.ndarray) -> csr_array:
    """(P, n) places (P, 3), each on one triangle (P, 3) of vertices (n, 3), as barycentric weights."""
    corners = vertices[rows]
    sides = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)
    # the pseudo-inverse, as triangles may have no area
    shares = np.einsum("pkc,pc->pk", np.linalg.pinv(sides), places - corners[:, 0])
    weights = np.concatenate([1 - shares.sum(axis=1, keepdims=True), shares], axis=1).clip(0)
    # what rounding leaves of a corner that the place is not at
    weights[weights < 1e-12] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    owners = np.repeat(np.arange(len(places)), 3)
    matrix = csr_array((weights.ravel(), (owners, rows.ravel())), (len(places), len(vertices)))
    matrix.eliminate_zeros()
    return matrix


def _closed_chart(topology: Topology, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, csr_array]:
    """The topology's chart on the unit disc, its holes closed: (N + H, 2) places, triangles, and the matrix (N + H, N)
    that makes the closed mesh's vertices of the topology's."""
    chart = _mirror_mean(2.0 * uv_layout(topology, roundness=2) - 1, topology.mirror)
    # Straight lines stay straight and the disc a disc, so that nothing folds: a move in Klein's model of the plane.
    shift = np.clip(chart[vertices[:, 2].argmax(), 1], -LARGEST_SHIFT, LARGEST_SHIFT)
    moved = np.stack([chart[:, 0] * np.sqrt(1 - shift**2), chart[:, 1] - shift], axis=1) / (1 - shift * chart[:, 1:])
    _, holes = outline_and_holes(topology.template, topology.triangles)
    closed, closed_triangles = close_holes(moved, topology.triangles, holes)
    if not is_disc(len(closed), closed_triangles):
        raise InputError(
            "half ellipsoid: wanted a mesh of one piece with an outline, which can be flattened, got another"
        )
    means = [csr_array(np.full((1, len(hole)), 1 / len(hole))) @ _selection(hole, len(chart)) for hole in holes]
    return closed, closed_triangles, vstack([eye_array(len(chart)), *means], format="csr")


def _mirror_mean(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The mean of points (P, 2 or 3) and their mirror image at x = 0."""
    return (points + points[mirror] * [-1.0, 1.0, 1.0][: points.shape[1]]) / 2


def _flat(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points, np.zeros(len(points))])


def _hexagon(rings: int) -> tuple[np.ndarray, np.ndarray]:
    """A hexagon of triangles: (n, 2) whole steps q along the direction of 30 degrees and r along that of 90 degrees,
    from the middle outwards, and (F, 3) int32 triangles, counter-clockwise."""
    steps = np.arange(-rings, rings + 1)
    lattice = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    lattice = lattice[np.abs(lattice.sum(axis=1)) <= rings]
    lattice = lattice[np.argsort(_ring(lattice), kind="stable")]
    places = {tuple(place): index for index, place in enumerate(lattice.tolist())}
    pointing_up = [((q, r), (q + 1, r), (q, r + 1)) for q, r in places]
    pointing_down = [((q, r), (q - 1, r), (q, r - 1)) for q, r in places]
    inside = [corners for corners in pointing_up + pointing_down if all(corner in places for corner in corners)]
    return lattice, np.array([[places[corner] for corner in corners] for corners in inside], dtype=np.int32)


def _ring(lattice: np.ndarray) -> np.ndarray:
    """(n,) the hexagonal ring on which each place lies."""
    return np.maximum(np.abs(lattice).max(axis=1), np.abs(lattice.sum(axis=1)))


def _lattice_mirror(lattice: np.ndarray) -> np.ndarray:
    """(n,) int64 the place at which each place of the lattice is in the mirror at x = 0."""
    places = {tuple(place): index for index, place in enumerate(lattice.tolist())}
    return np.array([places[-q, q + r] for q, r in lattice.tolist()], dtype=np.int64)


def _on_disc(lattice: np.ndarray, rings: int) -> np.ndarray:
    """(n, 2) places on the unit disc, hexagonal rings made circles with their vertices evenly spaced."""
    flat = lattice @ np.array([[np.sqrt(3) / 2, 0.5], [0.0, 1.0]])
    turns = np.arctan2(flat[:, 1], flat[:, 0]) / (np.pi / 3) - 0.5
    side = np.floor(turns)
    # from the angle at which a point is seen to its share of the hexagon's side
    ahead, behind = (np.sin(np.pi / 3 * angle) for angle in (turns - side, 1 - turns + side))
    angles = np.pi / 3 * (side + 0.5 + ahead / (ahead + behind))
    return (_ring(lattice) / rings)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _on_sphere(disc: np.ndarray) -> np.ndarray:
    """(n, 3) the disc's places on half a unit sphere, as far from the pole as they are from the middle."""
    radius = np.hypot(*disc.T)
    angles = np.pi / 2 * radius
    around = (np.sin(angles) / np.maximum(radius, 1e-300))[:, None] * disc
    return np.column_stack([around, np.cos(angles)])


def _four_each(triangles: np.ndarray, edges: np.ndarray, num_vertices: int) -> np.ndarray:
    """(4 F, 3) int32: each triangle cut at the middles of its edges, the vertices behind num_vertices."""
    middles = {tuple(edge): num_vertices + index for index, edge in enumerate(edges.tolist())}
    made = []
    for a, b, c in triangles.tolist():
        ab, bc, ca = (middles[min(pair), max(pair)] for pair in ((a, b), (b, c), (c, a)))
        made += [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    return np.array(made, dtype=np.int32)
