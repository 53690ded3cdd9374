"""The fine mean head: the template's coarse mesh, every triangle split in sixteen and laid onto the sculpture."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.sparse import csr_matrix

from data.synthetic import chart
from data.synthetic.ears import ear_points
from data.synthetic.sculpture import EYE_CENTRE, cast_rays, skin_distance, skin_normal
from data.synthetic.template import build_template, front_points, lid_depth

SUBDIVISIONS = 2
LIP_GAP = 0.00005  # metres from the line of the closed mouth to each lip's inner line
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
    directions: np.ndarray, triangles: np.ndarray, mirror: np.ndarray, loops: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Splits every triangle in four. Openings stay smooth curves: their new points follow the four-point rule."""
    count = len(directions)
    edges, of_triangle = edge_table(triangles, count)
    keys = edges[:, 0] * count + edges[:, 1]
    middles = directions[edges].sum(axis=1)
    new_loops = {}
    for name, loop in loops.items():
        before, after, beyond = np.roll(loop, 1), np.roll(loop, -1), np.roll(loop, -2)
        low, high = np.minimum(loop, after), np.maximum(loop, after)
        index = np.searchsorted(keys, low * count + high)
        rule = (9 * (directions[loop] + directions[after]) - directions[before] - directions[beyond]) / 8
        middles[index] = rule
        new_loops[name] = np.stack([loop, index + count], axis=1).ravel()
    mirrored = np.sort(mirror[edges], axis=1)
    edge_mirror = np.searchsorted(keys, mirrored[:, 0] * count + mirrored[:, 1])
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    left = middles[:, 0] >= 0
    middles[~left] = middles[edge_mirror[~left]] * [-1, 1, 1]
    m = of_triangle + count
    a, b, c = triangles.T
    pieces = [(a, m[:, 0], m[:, 2]), (m[:, 0], b, m[:, 1]), (m[:, 2], m[:, 1], c), (m[:, 0], m[:, 1], m[:, 2])]
    triangles = np.stack([np.stack(piece, axis=1) for piece in pieces], axis=1).reshape(-1, 3)
    mirror = np.concatenate([mirror, edge_mirror + count])
    return np.concatenate([directions, middles]), triangles.astype(np.int32), mirror, new_loops


def averaging(triangles: np.ndarray, count: int) -> csr_matrix:
    """(V, V) matrix that replaces each vertex by the mean of its neighbours."""
    edges, _ = edge_table(triangles, count)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
    degree = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
    return csr_matrix(matrix.multiply(1.0 / degree[:, None]))


def mouth_line(x: np.ndarray) -> np.ndarray:
    """Height (N,) metres of the line between the closed lips at x (N,)."""
    return -0.0448 + 0.0006 * np.exp(-((x / 0.006) ** 2)) - 0.0007 * np.exp(-(((np.abs(x) - 0.011) / 0.006) ** 2))


def _lay_openings(vertices: np.ndarray, loops: dict[str, np.ndarray]) -> None:
    """Puts the lid margins onto the sphere of the lids and closes the lips; left half alone, in place."""
    eye = loops["left_eye"]
    front = 1000 * (vertices[eye, :2] - EYE_CENTRE[:2])
    vertices[eye, 2] = lid_depth(front)
    mouth = loops["mouth"]
    mouth = mouth[vertices[mouth, 0] >= 0]
    x = vertices[mouth, 0]
    line = mouth_line(x)
    valley = front_points(1000 * np.stack([x, line], axis=1))
    side = np.clip((vertices[mouth, 1] - line) / 0.0004, -1.0, 1.0)
    vertices[mouth, 1] = line + LIP_GAP * side
    vertices[mouth, 2] = valley[:, 2] - 0.0006


@cache
def build_head() -> FineHead:
    """Builds the fine mean head; deterministic, kept for the process."""
    template = build_template()
    state = (template.directions, template.triangles, template.mirror, template.loops)
    for _ in range(SUBDIVISIONS):
        state = _split(*state)
    directions, triangles, mirror, loops = state
    left = np.nonzero(directions[:, 0] >= 0)[0]
    vertices = np.zeros_like(directions)
    vertices[left] = cast_rays(*chart.rays(directions[left]))
    vertices[directions[:, 0] == 0, 0] = 0.0
    lip_side = vertices[:, 1] - mouth_line(vertices[:, 0])
    radius, _ = chart.ear_coordinates(directions[left])
    ear = left[radius < 1.0]
    _lay_openings(vertices, loops)
    pinned = np.zeros(len(vertices), dtype=bool)
    pinned[np.concatenate([*loops.values(), template.keypoints, ear])] = True
    pinned[_neck_rim(triangles, len(vertices))] = True
    _even_out(vertices, triangles, mirror, left, pinned)
    vertices[ear] = ear_points(directions[ear])
    right = directions[:, 0] < 0
    vertices[right] = vertices[mirror[right]] * [-1, 1, 1]
    lip_side[right] = lip_side[mirror[right]]
    return FineHead(vertices, directions, triangles, mirror, loops, lip_side)


def _neck_rim(triangles: np.ndarray, count: int) -> np.ndarray:
    edges, of_triangle = edge_table(triangles, count)
    return np.unique(edges[np.bincount(of_triangle.ravel(), minlength=len(edges)) == 1])


def _even_out(
    vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray, left: np.ndarray, pinned: np.ndarray
) -> None:
    """Spreads the free vertices of the left half evenly along the skin, in place."""
    mean = averaging(triangles, len(vertices))
    right = np.setdiff1d(np.arange(len(vertices)), left)
    free = left[~pinned[left]]
    for step in range(_EVEN_OUT_STEPS):
        vertices[right] = vertices[mirror[right]] * [-1, 1, 1]
        moved = vertices[free] + 0.5 * (mean[free] @ vertices - vertices[free])
        moved[vertices[free, 0] == 0, 0] = 0.0
        for _ in range(2 if step == _EVEN_OUT_STEPS - 1 else 1):
            normal = skin_normal(moved)
            normal[vertices[free, 0] == 0, 0] = 0.0
            moved -= np.clip(skin_distance(moved), -0.003, 0.003)[:, None] * normal
        vertices[free] = moved
