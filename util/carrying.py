"""Another topology carried onto a head: where on the head's surface each vertex of a face mesh belongs.

Found once for a head at rest; from then on the mesh follows the head into every shape (`Carried.places`). The 68 points
guide it: a similarity, a smooth warp through them, then rounds of nearest points on the surface, smoothed over the
mesh, as in non-rigid registration by nearest points (Amberg et al., CVPR 2007) with one shift for each vertex.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from util.checks import check_array, check_indices
from util.errors import InputError
from util.landmarks import MIRROR_68
from util.mesh import Topology
from util.mesh_quality import triangle_normals
from util.mesh_simplification import unique_edges
from util.surface import Surface

# The 68 points mean different places to different topologies, above all at the jaw. One that lies so many times farther
# off than is usual from where all others warp it is none to go by, unless it is close.
ASTRAY = 10.0
# In shares of the distance between the outer corners of the eyes: what is close, and how far the 68 points of two faces
# do not lie from each other, in the mean.
CLOSE, NO_FACE = 0.001, 0.15
OUTER_EYE_CORNERS = (36, 45)
# Of the warp, in metres: enough for two points to be one vertex, and nothing beside the distances between others.
SMOOTHING = 1e-6
# How stiff the mesh is in each round: a shift that differs along an edge counts so much as one off the surface.
STIFFNESS = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
# What a point of the 68 counts against a point of the surface.
PIN = 100.0
# Where the nearest place faces away, others are looked for in space and direction, a radian being so many metres.
RADIAN, CANDIDATES = 0.01, 32
# How far in metres a head may differ from its mirror image that counts as symmetric.
SAME = 1e-4
# Rounds in which triangles that face inwards are smoothed away.
UNTANGLING = 20
# Rounds in which a similarity's weights settle, and the distance in metres below which a point weighs no more.
ROUNDS, NEAR = 50, 1e-6
# Points whose covariance with others has a least singular value below this share of the largest are flat.
FLAT = 1e-6


@dataclass(frozen=True)
class Carried:
    """Where each vertex of a topology lies on a head.

    triangle: (N,) int64 indices of the head's triangles that `carry` was given
    barycentric: (N, 3) float32 weights of their corners
    """

    triangle: np.ndarray
    barycentric: np.ndarray

    def places(self, head_vertices: np.ndarray, head_triangles: np.ndarray) -> np.ndarray:
        """(N, 3) float32 the topology's vertices on a head (V, 3) float32 with those triangles (T, 3), in its frame."""
        corners = head_vertices[head_triangles[self.triangle]]
        return np.einsum("nk,nkc->nc", self.barycentric, corners, dtype=np.float32)


def carry(
    topology: Topology, head_vertices: np.ndarray, head_triangles: np.ndarray, head_landmarks: np.ndarray
) -> Carried:
    """Finds where a topology lies on a head.

    head_vertices: (V, 3) metres, of the head at rest; head_triangles: (T, 3) of the skin that a face mesh may lie on,
    open at eyes and mouth, counter-clockwise from outside; head_landmarks: (68,) its vertices in the iBUG order. Any
    frame will do. A mesh that lies on the head already stays where it is. Raises InputError for arrays that do not fit.
    """
    head_vertices = check_array("head vertices", head_vertices, (None, 3)).astype(np.float64)
    head_triangles = check_indices("head triangles", head_triangles, (None, 3), len(head_vertices))
    targets = head_vertices[check_indices("head landmarks", head_landmarks, (68,), len(head_vertices))]
    template, keypoints = topology.template.astype(np.float64), topology.keypoints
    usable = symmetric_points(topology)
    scale, R, t = similarity_to(template[keypoints[usable]], targets[usable])
    points = scale * template @ R + t
    trusted = trusted_points(points[keypoints], targets, usable)
    skin = Skin(head_vertices, head_triangles)
    mirror = known_mirror(topology) if is_symmetric(head_vertices[np.unique(head_triangles)]) else None
    points = points + symmetric(warp(points[keypoints[trusted]], targets[trusted])(points) - points, mirror)
    differences = edge_differences(topology)
    bending = differences.T @ differences
    pins = np.zeros(topology.num_vertices)
    pins[keypoints[trusted]] = PIN
    for stiffness in STIFFNESS:
        places, _, facing = skin.nearest(points, vertex_normals(points, topology.triangles))
        shifts = np.where(facing[:, None], places - points, 0.0)
        shifts[keypoints[trusted]] = targets[trusted] - points[keypoints[trusted]]
        weights = facing + pins
        system = csc_matrix(diags(weights + 1e-9) + stiffness * bending)
        points = points + symmetric(splu(system).solve(weights[:, None] * shifts), mirror)
    places, triangle = untangled(topology.triangles, points, skin, bending, pins == 0)
    return Carried(triangle, barycentric_of(places, head_vertices[head_triangles[triangle]]).astype(np.float32))


def is_symmetric(points: np.ndarray) -> bool:
    """Whether points (n, 3) are their own mirror image at x = 0."""
    distances, _ = cKDTree(points).query(points * [-1, 1, 1])
    return bool(distances.max() < SAME)


def known_mirror(topology: Topology) -> np.ndarray | None:
    """(N,) a topology's mirror permutation, None where it has none."""
    return None if (topology.mirror == np.arange(topology.num_vertices)).all() else topology.mirror


def symmetric(shifts: np.ndarray, mirror: np.ndarray | None) -> np.ndarray:
    """Shifts (N, 3) of vertices, each the mean of its own and of its mirror image's; as they are without mirror."""
    return shifts if mirror is None else (shifts + shifts[mirror] * [-1, 1, 1]) / 2


def untangled(
    triangles: np.ndarray, points: np.ndarray, skin: "Skin", bending: csc_matrix, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 3) on the skin for points (N, 3) near to it, and the skin's triangles there (N,).

    Corners of triangles (F, 3) that face into the head go to the middle of their neighbours, where they are free (N,),
    in rounds, until there are none. bending: (N, N), minus one where two vertices share an edge.
    """
    neighbours = -bending
    neighbours.setdiag(0)
    counts = np.maximum(neighbours.sum(axis=1), 1).reshape(-1, 1)
    for _ in range(UNTANGLING):
        places, triangle, _ = skin.nearest(points, vertex_normals(points, triangles))
        directions = skin.surface.normals[triangle[triangles]]
        outwards = np.einsum("fc,fkc->fk", triangle_normals(places[None], triangles)[0], directions)
        moved = np.isin(np.arange(len(points)), triangles[(outwards < 0).all(axis=1)]) & free
        if not moved.any():
            break
        points = np.where(moved[:, None], np.asarray(neighbours @ places) / np.asarray(counts), places)
    return places, triangle


def similarity_to(points: np.ndarray, targets: np.ndarray, scaled: bool = True) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation R (3, 3) and shift t (3,), rows of points (n, 3): targets ~ scale * points @ R + t, in metres.

    scaled: otherwise the scale is 1. The sum of the distances is smallest, not of their squares: a few points that mean
    something else move nothing. By weights of one over each distance, in rounds (Umeyama, PAMI 1991, in each). Raises
    InputError where the points lie in a plane.
    """
    weights = np.ones(len(points))
    for _ in range(ROUNDS):
        weights /= weights.sum()
        middle, middle_of_targets = weights @ points, weights @ targets
        first, second = points - middle, targets - middle_of_targets
        U, singular, Vt = np.linalg.svd(first.T @ (weights[:, None] * second))
        if not singular[2] > FLAT * singular[0]:
            raise InputError("key points: wanted points of a face, got points of a plane or a line")
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
        R = (U * sign) @ Vt
        scale = float(singular @ sign / (weights @ (first**2).sum(axis=1))) if scaled else 1.0
        t = middle_of_targets - scale * middle @ R
        weights = 1.0 / np.maximum(np.linalg.norm(scale * points @ R + t - targets, axis=1), NEAR)
    return scale, R, t


def rigid_to(template_points: np.ndarray, head_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation R (3, 3) and shift t (3,) that bring the 68 points of a topology's template (68, 3) onto a head's
    (68, 3) without change of size, rows: head = template @ R + t. So `(head - t) @ R.T` is a head in the
    topology's frame."""
    _, R, t = similarity_to(np.asarray(template_points, np.float64), np.asarray(head_points, np.float64), scaled=False)
    return R, t


def warp(points: np.ndarray, targets: np.ndarray) -> RBFInterpolator:
    """The smooth map of space that brings points (n, 3) to targets (n, 3): thin plates' counterpart in three
    dimensions, whose radial function is the distance, beside an affine map."""
    return RBFInterpolator(points, targets, kernel="linear", degree=1, smoothing=SMOOTHING)


def symmetric_points(topology: Topology) -> np.ndarray:
    """(n,) which of a topology's 68 points are the mirror images of those that they ought to be; all if that is not
    known, or is so of less than half. Of WCPA's own, a jaw point on each side is not, nor is one under each eye."""
    mirror = known_mirror(topology)
    paired = np.arange(68)
    if mirror is not None:
        paired = np.flatnonzero(mirror[topology.keypoints] == topology.keypoints[MIRROR_68])
    return paired if len(paired) >= 34 else np.arange(68)


def trusted_points(points: np.ndarray, targets: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """(n,) of the 68 points (68, 3) those to go by, of such that may be trusted (m,): the one that lies farthest from
    where the others warp it to is left out, with its mirror image, one after the other, until none lies astray or half
    of the 68 are left. Raises InputError where the points are far from their targets, and so no face's."""
    eyes = np.linalg.norm(np.subtract(*targets[list(OUTER_EYE_CORNERS)]))
    off = np.linalg.norm(points - targets, axis=1)[trusted].mean()
    if off > NO_FACE * eyes:
        raise InputError(
            f"key points: wanted the 68 of a face in the iBUG order, got points {1000 * off:.0f} mm off at best"
        )
    while len(trusted) > len(points) // 2:
        errors = np.zeros(len(points))
        for number in trusted:
            others = trusted[trusted != number]
            errors[number] = np.linalg.norm(warp(points[others], targets[others])(points[[number]]) - targets[number])
        worst = errors.argmax()
        if errors[worst] <= max(ASTRAY * np.median(errors[trusted]), CLOSE * eyes):
            break
        trusted = trusted[(trusted != worst) & (trusted != MIRROR_68[worst])]
    return trusted


class Skin:
    """A surface (`util.surface.Surface`) that is asked for places which face as the asker does: the other
    lip or the inside of a lid may be nearer, but they face away."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray):
        self.surface = Surface(vertices, triangles)
        self.tree = cKDTree(np.concatenate([self.surface.centroids, RADIAN * self.surface.normals], axis=1))

    def nearest(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For points (P, 3) with normals (P, 3): the nearest places (P, 3) of triangles that face likewise, the
        triangles (P,), and whether there are such ones near (P,); elsewhere simply the nearest."""
        places, triangles = self.surface.closest(points)
        facing = np.einsum("pc,pc->p", normals, self.surface.normals[triangles]) > 0
        lost = np.flatnonzero(~facing)
        count = min(CANDIDATES, len(self.surface.normals))
        _, found = self.tree.query(
            np.concatenate([points[lost], RADIAN * normals[lost]], axis=1), k=[*range(1, count + 1)]
        )
        for number, candidates in zip(lost, found, strict=True):
            candidates = candidates[self.surface.normals[candidates] @ normals[number] > 0]
            if len(candidates):
                tried = self.surface.place_on(candidates, np.broadcast_to(points[number], (len(candidates), 3)))
                best = np.linalg.norm(tried - points[number], axis=1).argmin()
                places[number], triangles[number], facing[number] = tried[best], candidates[best], True
        return places, triangles, facing


def edge_differences(topology: Topology) -> csc_matrix:
    """(E, N) sparse: one vertex minus the other of each edge."""
    edges = unique_edges(topology.triangles)
    signs = np.tile([1.0, -1.0], len(edges))
    rows = np.repeat(np.arange(len(edges)), 2)
    return csc_matrix((signs, (rows, edges.ravel())), (len(edges), topology.num_vertices))


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) of length one, zero for a vertex without an area around it; counter-clockwise triangles from outside."""
    areas = np.repeat(triangle_normals(vertices[None], triangles)[0], 3, axis=0)
    columns = [np.bincount(triangles.ravel(), areas[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(columns, axis=1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def barycentric_of(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 3) weights of the corners (N, 3, 3) of triangles for places (N, 3) on them; none is below zero."""
    sides = corners[:, 1:] - corners[:, :1]
    gram = np.einsum("nac,nbc->nab", sides, sides)
    one, other = np.einsum("nac,nc->an", sides, places - corners[:, 0])
    determinant = np.maximum(gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2, 1e-300)
    second = (gram[:, 1, 1] * one - gram[:, 0, 1] * other) / determinant
    third = (gram[:, 0, 0] * other - gram[:, 0, 1] * one) / determinant
    weights = np.clip(np.stack([1 - second - third, second, third], axis=1), 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)
