"""Coarser meshes by collapsing edges, mirror-symmetric as faces are."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from util.errors import InputError

# How much more a move of a border counts than one of the surface.
BORDER_WEIGHT = 3.0
# How much a move within the surface counts beside one off it: what spreads the vertices over flat regions.
SPREAD_WEIGHT = 0.01
# A collapse may turn no triangle by more than this, as a cosine.
LEAST_COSINE = 0.2
# How much larger than asked for a mesh may be where no more edges can go.
SLACK = 1.2

Triangle = tuple[int, ...]


@dataclass(frozen=True)
class SimplifiedMesh:
    """A mesh of n of another's N vertices.

    kept: (n,) their indices, ascending; triangles: (F, 3) int32, of these n; stands_in: (N,) of these n, the one onto
    which each vertex was collapsed, itself where it is kept
    """

    kept: np.ndarray
    triangles: np.ndarray
    stands_in: np.ndarray


def simplify(
    vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray, sizes: Sequence[int]
) -> list[SimplifiedMesh]:
    """Meshes of some of the vertices each, from fine to coarse.

    Quadric edge collapse (Garland and Heckbert 1997) onto one of the edge's ends, with its mirror edge at once, the
    cheapest first. Manifolds stay manifolds with the same borders, and no triangle is turned over.

    vertices: (N, 3) mirror-symmetric; triangles: (F, 3), a manifold; mirror: (N,); sizes: descending, below N. A mesh
    has as many vertices as asked for or one less, as two go at once. Raises InputError where the mesh is not
    mirror-symmetric, a vertex is in no triangle, or it cannot be made so small; up to a fifth larger passes.
    """
    loose = np.setdiff1d(np.arange(len(vertices)), triangles)
    if len(loose):
        raise InputError(f"mesh of {len(vertices)} vertices: wanted each in a triangle, got {len(loose)} in none")
    mesh = _CollapsingMesh(vertices, symmetric_triangles(vertices, triangles, mirror), mirror)
    meshes = []
    for size in sizes:
        mesh.shrink(size)
        kept = np.unique(mesh.stands_in)
        finer = len(meshes[-1].kept) if meshes else len(vertices)
        if len(kept) > SLACK * size or len(kept) == finer:
            raise InputError(f"mesh of {finer} vertices: wanted {size} of them, its edges collapse to {len(kept)}")
        rows = np.array([mesh.triangles[index] for index in sorted(mesh.triangles)])
        to_kept = np.searchsorted(kept, mesh.stands_in)
        meshes.append(SimplifiedMesh(kept, np.searchsorted(kept, rows).astype(np.int32), to_kept))
    return meshes


def symmetric_triangles(vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The triangles (F, 3) with those at x < 0 replaced by the mirror images of those at x > 0: most meshes of
    triangles come from symmetric meshes of quadrilaterals, each cut along either diagonal.

    Raises InputError where that does not give as many triangles with as many borders.
    """
    sides = np.where(mirror == np.arange(len(mirror)), 0, np.sign(vertices[:, 0]))[triangles]
    left = (sides >= 0).all(axis=1) & (sides > 0).any(axis=1)
    right = (sides <= 0).all(axis=1) & (sides < 0).any(axis=1)
    made = np.concatenate([triangles[~left & ~right], triangles[left], mirror[triangles[left]][:, ::-1]])
    if len(made) != len(triangles) or len(unique_edges(made)) != len(unique_edges(triangles)):
        raise InputError("mesh: wanted triangles that are mirror-symmetric but for diagonals, got others")
    return made


def unique_edges(triangles: np.ndarray) -> np.ndarray:
    """(E, 2) int64 edges of triangles (F, 3), each once, the lower index first, sorted."""
    pairs = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def quadrics(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 4, 4) the squared distances that a vertex's new place (x, y, z, 1) is charged for, as quadratic forms.

    By area, from the planes of its triangles, and from its old place by SPREAD_WEIGHT. By the squared lengths of its
    border's two edges and BORDER_WEIGHT, from the planes that stand upright on them, and from its old place as much as
    the border bends there: where lips meet, planes alone would let the corner slide along them.
    """
    crosses = _normals(vertices[triangles])
    areas = np.linalg.norm(crosses, axis=1) / 2
    normals = crosses / np.maximum(2 * areas, 1e-300)[:, None]
    forms = np.zeros((len(vertices), 4, 4))
    bends, squares = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    directed = {(start, end) for row in triangles.tolist() for start, end in zip(row, row[1:] + row[:1], strict=True)}
    for corner in range(3):
        here, following = triangles[:, corner], triangles[:, (corner + 1) % 3]
        np.add.at(forms, here, _plane_forms(normals, vertices[here], areas))
        np.add.at(forms, here, _place_forms(vertices[here], SPREAD_WEIGHT * areas))
        border = [(end, start) not in directed for start, end in zip(here.tolist(), following.tolist(), strict=True)]
        here, following, normal = here[border], following[border], normals[border]
        sides = vertices[following] - vertices[here]
        lengths = np.linalg.norm(sides, axis=1)
        directions = sides / np.maximum(lengths, 1e-300)[:, None]
        form = _plane_forms(np.cross(directions, normal), vertices[here], BORDER_WEIGHT * lengths**2)
        for end, direction in ((here, directions), (following, -directions)):
            np.add.at(forms, end, form)
            np.add.at(bends, end, direction)
            np.add.at(squares, end, lengths**2)
    # from 0 on a straight border to 4 where it turns back
    sharpness = (bends**2).sum(axis=1)
    return forms + _place_forms(vertices, BORDER_WEIGHT * sharpness * squares)


def _plane_forms(normals: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K, 4, 4): weight times the squared distance from the plane with this normal through this point."""
    planes = np.concatenate([normals, -(normals * points).sum(axis=1, keepdims=True)], axis=1)
    return weights[:, None, None] * planes[:, :, None] * planes[:, None]


def _place_forms(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K, 4, 4): weight times the squared distance from this point."""
    return sum(_plane_forms(np.broadcast_to(axis, points.shape), points, weights) for axis in np.eye(3))


class _CollapsingMesh:
    """A mesh that loses vertices. Its mirror is kept in step: a collapse (gone, onto) stands for that of the mirror
    vertices, too."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray):
        self.vertices = vertices
        self.homogeneous = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1)
        self.forms = quadrics(vertices, triangles)
        self.mirror = mirror.tolist()
        # the vertex onto which each one was collapsed
        self.stands_in = np.arange(len(vertices))
        self.num_vertices = len(vertices)
        self.triangles: dict[int, Triangle] = dict(enumerate(map(tuple, triangles.tolist())))
        # the triangles round each vertex
        self.fans: list[set[int]] = [set() for _ in vertices]
        for index, triangle in self.triangles.items():
            for vertex in triangle:
                self.fans[vertex].add(index)
        self.heap: list[tuple[float, int, int]] = []
        self.queue(range(len(vertices)))

    def shrink(self, size: int) -> None:
        """Collapses edges until `size` vertices are left, or until none can be collapsed."""
        while self.heap and self.num_vertices > size:
            cost, gone, onto = heapq.heappop(self.heap)
            if onto not in self.neighbours(gone):
                continue
            # forms only grow: a collapse that has become dearer since it was queued waits for its turn
            now = self.cost(gone, onto)
            if now > cost:
                heapq.heappush(self.heap, (now, gone, onto))
            elif self.collapse_pair(gone, onto):
                self.queue({onto} | self.neighbours(onto))

    def queue(self, vertices: Iterable[int]) -> None:
        """Queues the collapses of all edges at some vertices, those, too, that were not allowed before."""
        collapses = set()
        for vertex in vertices:
            for other in self.neighbours(vertex):
                collapses |= {self.one_of_pair(vertex, other), self.one_of_pair(other, vertex)}
        for gone, onto in collapses:
            # a vertex on the middle line stays there, and none jumps to its mirror image
            if (self.mirror[gone] != gone or self.mirror[onto] == onto) and self.mirror[gone] != onto:
                heapq.heappush(self.heap, (self.cost(gone, onto), gone, onto))

    def one_of_pair(self, gone: int, onto: int) -> tuple[int, int]:
        return min((gone, onto), (self.mirror[gone], self.mirror[onto]))

    def cost(self, gone: int, onto: int) -> float:
        place = self.homogeneous[onto]
        return float(place @ (self.forms[gone] + self.forms[onto]) @ place)

    def neighbours(self, vertex: int) -> set[int]:
        return {corner for index in self.fans[vertex] for corner in self.triangles[index]} - {vertex}

    def collapse_pair(self, gone: int, onto: int) -> bool:
        """Collapses an edge and its mirror edge where both may go; says whether they went."""
        pair = dict.fromkeys([(gone, onto), (self.mirror[gone], self.mirror[onto])])
        before: list[tuple[int, Triangle]] = []
        for one in pair:
            if not self.may_collapse(*one):
                for index, triangle in before:
                    self.put(index, triangle)
                return False
            before += self.collapse(*one)
        for one, other in pair:
            self.forms[other] += self.forms[one]
            self.stands_in[self.stands_in == one] = other
        self.num_vertices -= len(pair)
        return True

    def may_collapse(self, gone: int, onto: int) -> bool:
        """Whether the mesh stays a manifold with the same borders, and its triangles the right way up.

        The link condition (Dey and others 1999): the ends of the edge have no common neighbours but those across its
        triangles, and a vertex on a border moves along it. Besides, a triangle by itself stays.
        """
        shared = self.fans[gone] & self.fans[onto]
        around = self.neighbours(gone)
        on_border = len(around) > len(self.fans[gone])
        if not shared or (on_border and len(shared) > 1) or len(around & self.neighbours(onto)) != len(shared):
            return False
        if self.fans[gone] | self.fans[onto] == shared:
            return False
        left = np.array([self.triangles[index] for index in self.fans[gone] - shared], dtype=np.int64).reshape(-1, 3)
        before, after = (_normals(self.vertices[rows]) for rows in (left, np.where(left == gone, onto, left)))
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        return bool(((before * after).sum(axis=1) > LEAST_COSINE * lengths).all())

    def collapse(self, gone: int, onto: int) -> list[tuple[int, Triangle]]:
        """Moves `gone` onto `onto`; returns the triangles that this changed, as they were."""
        before = [(index, self.triangles[index]) for index in self.fans[gone]]
        for index, triangle in before:
            moved = tuple(onto if vertex == gone else vertex for vertex in triangle)
            self.put(index, () if onto in triangle else moved)
        return before

    def put(self, index: int, triangle: Triangle) -> None:
        """Makes this the triangle of an index; () takes it away."""
        for vertex in self.triangles.pop(index, ()):
            self.fans[vertex].discard(index)
        for vertex in triangle:
            self.fans[vertex].add(index)
        if triangle:
            self.triangles[index] = triangle


def _normals(corners: np.ndarray) -> np.ndarray:
    """(K, 3) normals of triangles (K, 3, 3), twice as long as their areas."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
