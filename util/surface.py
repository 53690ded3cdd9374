"""The nearest points of a triangle mesh's surface, exactly, for triangles of any size and shape."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.spatial import cKDTree

# Points looked up at once: what bounds the memory.
BLOCK = 8192


@dataclass(frozen=True)
class SizeClass:
    """Triangles of similar size: their indices, a tree of their centroids, and the largest distance of a corner from
    its centroid."""

    members: np.ndarray
    tree: cKDTree
    radius: float


class Surface:
    """A mesh to which points can ask for the nearest place.

    vertices: (N, 3) finite, any unit; triangles: (F, 3) indices, F > 0. Triangles without an area count as the segment
    or the point that they are. normals: (F, 3) of length one, zero where there is no area.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray):
        self.corners = np.asarray(vertices, dtype=np.float64)[triangles]
        self.edges = np.roll(self.corners, -1, axis=1) - self.corners
        self.squared_lengths = (self.edges**2).sum(axis=2)
        areas = np.cross(self.edges[:, 0], self.edges[:, 1])
        self.normals = areas / np.maximum(np.linalg.norm(areas, axis=1, keepdims=True), 1e-300)
        # within the plane, at right angles to each edge, towards the third corner
        self.inwards = np.cross(self.normals[:, None], self.edges)
        self.centroids = self.corners.mean(axis=1)
        self.radii = np.linalg.norm(self.corners - self.centroids[:, None], axis=2).max(axis=1)
        self.tree = cKDTree(self.centroids)
        # by powers of two, so that one large triangle does not widen the search among the small ones
        sizes = np.frexp(self.radii)[1]
        self.classes = [self._size_class(np.flatnonzero(sizes == size)) for size in np.unique(sizes)]

    def _size_class(self, members: np.ndarray) -> SizeClass:
        return SizeClass(members, cKDTree(self.centroids[members]), self.radii[members].max())

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest place of the surface to each of points (P, 3): places (P, 3) and triangles (P,).

        Where several triangles are as near, as along an edge, one of them.
        """
        points = np.asarray(points, dtype=np.float64)
        blocks = [self._closest(points[start : start + BLOCK]) for start in range(0, len(points), BLOCK)]
        return np.concatenate([places for places, _ in blocks]), np.concatenate([found for _, found in blocks])

    def _closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The distance to the triangle with the nearest centroid bounds that to the surface. No triangle can be nearer
        whose centroid is farther off than this bound and its own radius together."""
        _, best = self.tree.query(points)
        places = self.place_on(best, points)
        bounds = np.linalg.norm(points - places, axis=1)
        for group in self.classes:
            near = group.tree.query_ball_point(points, bounds + group.radius, return_sorted=False)
            owners = np.repeat(np.arange(len(points)), [len(row) for row in near])
            candidates = group.members[np.fromiter(chain.from_iterable(near), np.int64, len(owners))]
            reach = np.linalg.norm(points[owners] - self.centroids[candidates], axis=1) - self.radii[candidates]
            possible = reach < bounds[owners]
            owners, candidates = owners[possible], candidates[possible]
            tried = self.place_on(candidates, points[owners])
            distances = np.linalg.norm(points[owners] - tried, axis=1)
            # the nearest candidate of each point comes last and is what an assignment leaves
            order = np.argsort(-distances, kind="stable")
            order = order[distances[order] < bounds[owners[order]]]
            owners, candidates, tried = owners[order], candidates[order], tried[order]
            best[owners], places[owners], bounds[owners] = candidates, tried, distances[order]
        return places, best

    def place_on(self, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(P, 3) the place of each given triangle (P,) that is nearest to its point (P, 3): the point's foot on the
        plane where that lies inside, else the nearest place of the three edges."""
        arms = points[:, None] - self.corners[triangles]
        edges, normals = self.edges[triangles], self.normals[triangles]
        along = np.einsum("pkc,pkc->pk", arms, edges) / np.maximum(self.squared_lengths[triangles], 1e-300)
        offsets = np.clip(along, 0.0, 1.0)[:, :, None] * edges - arms
        nearest = np.einsum("pkc,pkc->pk", offsets, offsets).argmin(axis=1)
        offsets = offsets[np.arange(len(points)), nearest]
        inside = (np.einsum("pkc,pkc->pk", arms, self.inwards[triangles]) >= 0).all(axis=1) & normals.any(axis=1)
        heights = np.einsum("pc,pc->p", arms[:, 0], normals)
        return points + np.where(inside[:, None], -heights[:, None] * normals, offsets)
