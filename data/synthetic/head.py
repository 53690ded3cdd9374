"""The fine mean head: the template's coarse mesh, every triangle split in sixteen and laid onto the sculpture."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from data.synthetic import chart
from data.synthetic.ears import ear_points
from data.synthetic.sculpture import cast_rays, skin_distance, skin_normal
from data.synthetic.template import build_template, front_points

SUBDIVISIONS = 2
LIP_GAP = 0.00005  # metres from the line of the closed mouth to each lip's inner line
_OPENING_REACH = 0.0028  # metres about an opening in which the skin goes along when it is laid in place
_EVEN_OUT_STEPS = 8  # of evening out the fine vertices along the skin


@dataclass(frozen=True)
class FineHead:
    """The fine mean skin without the folds behind lids and lips.

    vertices: (V, 3) float64 metres, exactly mirror-symmetric; the first 1,220 are the face's labelled vertices
    directions: (V, 3) chart directions
    triangles: (F, 3) int32; mirror: (V,) int64
    loops: fine vertex indices of the openings, see `Template.loops`
    lip_side: (V,) metres: height over the line of the mouth as the chart has it, lips apart
    """

    vertices: np.ndarray
    directions: np.ndarray
    triangles: np.ndarray
    mirror: np.ndarray
    loops: dict[str, np.ndarray]
    lip_side: np.ndarray


def edge_table(triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The undirected edges (E, 2) of triangles (F, 3), and for each triangle its three edges (F, 3): 01, 12, 20."""
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1).astype(np.int64)
    keys, inverse = np.unique(pairs[:, 0] * count + pairs[:, 1], return_inverse=True)
    return np.stack([keys // count, keys % count], axis=1), inverse.reshape(-1, 3)


def _split(
    directions: np.ndarray,
    triangles: np.ndarray,
    mirror: np.ndarray,
    loops: dict[str, np.ndarray],
    ear: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Splits every triangle in four. Openings stay smooth between their corners: by the four-point rule.

    ear: (V, 3) radius, cosine and sine of the angle in the ear's patch, which stay round on its rings
    """
    count = len(directions)
    edges, of_triangle = edge_table(triangles, count)
    keys = edges[:, 0] * count + edges[:, 1]
    middles = directions[edges].sum(axis=1)
    new_loops = {}
    for name, loop in loops.items():
        before, after, beyond = np.roll(loop, 1), np.roll(loop, -1), np.roll(loop, -2)
        low, high = np.minimum(loop, after), np.maximum(loop, after)
        index = np.searchsorted(keys, low * count + high)
        start, end = directions[loop], directions[after]
        corner = np.isin(np.arange(len(loop)), (0, len(loop) // 2))[:, None]
        previous = np.where(corner, 2 * start - end, directions[before])
        following = np.where(np.roll(corner, -1, axis=0), 2 * end - start, directions[beyond])
        middles[index] = (9 * (start + end) - previous - following) / 8
        new_loops[name] = np.stack([loop, index + count], axis=1).ravel()
    mirrored = np.sort(mirror[edges], axis=1)
    edge_mirror = np.searchsorted(keys, mirrored[:, 0] * count + mirrored[:, 1])
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    left = middles[:, 0] >= 0
    middles[~left] = middles[edge_mirror[~left]] * [-1, 1, 1]
    polar = ear[edges].mean(axis=1)
    polar[:, 1:] /= np.linalg.norm(polar[:, 1:], axis=1, keepdims=True) + 1e-12
    m = of_triangle + count
    a, b, c = triangles.T
    pieces = [(a, m[:, 0], m[:, 2]), (m[:, 0], b, m[:, 1]), (m[:, 2], m[:, 1], c), (m[:, 0], m[:, 1], m[:, 2])]
    triangles = np.stack([np.stack(piece, axis=1) for piece in pieces], axis=1).reshape(-1, 3)
    mirror = np.concatenate([mirror, edge_mirror + count])
    ear = np.concatenate([ear, polar])
    return np.concatenate([directions, middles]), triangles.astype(np.int32), mirror, new_loops, ear


def averaging(triangles: np.ndarray, count: int) -> csr_matrix:
    """(V, V) matrix that replaces each vertex by the mean of its neighbours."""
    edges, _ = edge_table(triangles, count)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
    degree = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
    return csr_matrix(matrix.multiply(1.0 / degree[:, None]))


def mouth_line(x: np.ndarray) -> np.ndarray:
    """Height (N,) metres of the line between the closed lips at x (N,)."""
    return -0.0446 + 0.0004 * np.exp(-((x / 0.006) ** 2)) - 0.0007 * np.exp(-(((np.abs(x) - 0.011) / 0.006) ** 2))


def _lay_openings(vertices: np.ndarray, left: np.ndarray, loops: dict[str, np.ndarray]) -> np.ndarray:
    """Closes the lips; what lies near goes along. Left half alone, in place.

    Returns (V,) 0 at the openings of eye and mouth .. 1 well away from them.
    """
    mouth = loops["mouth"]
    mouth = mouth[np.isin(mouth, left)]
    x, y = vertices[mouth, 0], vertices[mouth, 1]
    line = mouth_line(x)
    depth = front_points(1000 * np.stack([x, line], axis=1))[:, 2] - 0.0006
    side = np.clip((y - line) / 0.0004, -1.0, 1.0)
    move = np.stack([x, line + LIP_GAP * side, depth], axis=1) - vertices[mouth]
    away, nearest = cKDTree(vertices[mouth, :2]).query(vertices[left, :2])
    away[vertices[left, 2] < 0.0] = 1.0
    vertices[left] += np.exp(-((away / _OPENING_REACH) ** 2))[:, None] * move[nearest]
    openings = vertices[np.concatenate([mouth, loops["left_eye"]])]
    away, _ = cKDTree(openings).query(vertices)
    return np.clip(away / 0.004 - 0.4, 0.0, 1.0)


@cache
def build_head() -> FineHead:
    """Builds the fine mean head; deterministic, kept for the process."""
    template = build_template()
    radius, angle = chart.ear_coordinates(np.abs(template.directions * [1, 0, 0]) + template.directions * [0, 1, 1])
    polar = np.stack([radius, np.cos(angle), np.sin(angle)], axis=1)
    polar[radius < 1e-9, 1:] = 0.0  # the patch's middle lies at every angle
    state = (template.directions, template.triangles, template.mirror, template.loops, polar)
    for _ in range(SUBDIVISIONS):
        state = _split(*state)
    directions, triangles, mirror, loops, polar = state
    left = np.nonzero(directions[:, 0] >= 0)[0]
    vertices = np.zeros_like(directions)
    vertices[left] = cast_rays(*chart.rays(directions[left]))
    vertices[directions[:, 0] == 0, 0] = 0.0
    lip_side = vertices[:, 1] - mouth_line(vertices[:, 0])
    ear = left[polar[left, 0] < 1.0 - 1e-9]
    freedom = _lay_openings(vertices, left, loops)
    pinned = np.zeros(len(vertices), dtype=bool)
    pinned[np.concatenate([*loops.values(), template.keypoints, ear])] = True
    pinned[_neck_rim(triangles, len(vertices))] = True
    _even_out(vertices, triangles, mirror, left, np.where(pinned, 0.0, freedom))
    vertices[ear] = ear_points(polar[ear, 0], np.arctan2(polar[ear, 2], polar[ear, 1]))
    right = directions[:, 0] < 0
    vertices[right] = vertices[mirror[right]] * [-1, 1, 1]
    lip_side[right] = lip_side[mirror[right]]
    return FineHead(vertices, directions, triangles, mirror, loops, lip_side)


def _neck_rim(triangles: np.ndarray, count: int) -> np.ndarray:
    edges, of_triangle = edge_table(triangles, count)
    return np.unique(edges[np.bincount(of_triangle.ravel(), minlength=len(edges)) == 1])


def _even_out(
    vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray, left: np.ndarray, freedom: np.ndarray
) -> None:
    """Spreads the vertices of the left half evenly along the skin, in place, as far as each is free (V,), 0..1."""
    mean = averaging(triangles, len(vertices))
    right = np.setdiff1d(np.arange(len(vertices)), left)
    free = left[freedom[left] > 0]
    on_midline = vertices[free, 0] == 0
    for step in range(_EVEN_OUT_STEPS):
        vertices[right] = vertices[mirror[right]] * [-1, 1, 1]
        moved = vertices[free] + 0.5 * freedom[free, None] * (mean[free] @ vertices - vertices[free])
        moved[on_midline, 0] = 0.0
        for _ in range(2 if step == _EVEN_OUT_STEPS - 1 else 1):
            normal = skin_normal(moved)
            normal[on_midline, 0] = 0.0
            moved -= np.clip(skin_distance(moved), -0.003, 0.003)[:, None] * normal
        vertices[free] = moved
