"""What the head hides from itself: of the surroundings, once for all pictures, and of each lamp in each picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from data.synthetic.lighting import light_transfer, remap_points, sphere_directions, view_frame
from data.synthetic.portraits.head import Head
from data.synthetic.portraits.light import MATT, Lamp, Lights, harmonics, rotate_harmonics
from Sim3DR import get_normal, rasterize_buffers

NUM_DIRECTIONS = 60  # from which the head is looked at to find what each vertex sees
CLEARANCE = 0.0015  # metres within which nothing is taken to stand in the light
INSIDE = ("mouth_socket", "gums_tongue", "teeth")  # regions of the mouth, which light reaches when it is open
LIPS_REACH = 0.035  # metres from the middle of the mouth: skin that gets other light when it is open
JAW, JAW_OPEN = "jawOpen", 0.8
LIPS_APART = 0.022  # metres between the inner lips at which the mouth counts as open
INNER_LIPS = 62, 66  # of the 68 landmarks
CELL = 0.0085  # metres: about the length of a coarse triangle's edge
SHADOW_SIZE = 192  # pixels a side of a lamp's shadow map
SHARPNESS = 140.0  # per metre: how fast light fades behind what stands before it


@dataclass(frozen=True)
class Transfer:
    """How much of each harmonic of the surroundings reaches a vertex and is sent on, in the head's frame.

    shut: (V, 9) float32, columns contiguous, with the mouth shut; mouth: (M,) vertices for which `open` (M, 9) holds
    once it is open
    """

    shut: np.ndarray
    mouth: np.ndarray
    open: np.ndarray


def head_transfer(head: Head) -> Transfer:
    """Transfer of the mean head; a second or so, once a process."""
    inside = np.concatenate([np.arange(head.regions[name].start, head.regions[name].stop) for name in INSIDE])
    middle = head.mean[head.landmarks68[list(INNER_LIPS)]].mean(axis=0)
    near = np.linalg.norm(head.mean[head.skin] - middle, axis=1) < LIPS_REACH
    mouth = np.concatenate([np.flatnonzero(near) + head.skin.start, inside])
    opened = head.express(head.mean, {JAW: JAW_OPEN})
    everywhere = np.arange(len(head.mean))
    return Transfer(
        np.asfortranarray(mesh_transfer(head.mean, head.triangles, everywhere)),
        mouth,
        np.asfortranarray(mesh_transfer(opened, head.triangles, mouth)),
    )


def mesh_transfer(vertices: np.ndarray, triangles: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(C, 9) float32 of the chosen of vertices (V, 3) with triangles (T, 3): what a vertex of this normal gets from
    everywhere, less what the mesh hides from it. As in lighting.light_transfer, the mesh is about as large as a head
    and lies where a head does.

    The hidden part is summed over directions; the whole is exact, so that open skin shows no trace of them.
    """
    normals = get_normal(vertices, triangles)[chosen]
    directions = sphere_directions(NUM_DIRECTIONS)
    clearance = np.full(len(chosen), CLEARANCE, np.float32)
    reached = light_transfer(vertices[chosen], normals, clearance, vertices, triangles, directions)
    hidden = np.maximum(normals @ directions.T, 0.0) * np.float32(4.0 / NUM_DIRECTIONS) - reached
    # einsum, as a matrix product's rounding would depend on the number of threads
    return harmonics(normals) * MATT - np.einsum("vd,dk->vk", hidden, harmonics(directions))


def mouth_opening(head: Head, vertices: np.ndarray) -> float:
    """How open the mouth is, 0..1, for `irradiance`; vertices (V, 3): the head's, in any frame."""
    upper, lower = vertices[head.landmarks68[list(INNER_LIPS)]]
    shut = np.linalg.norm(np.subtract(*head.mean[head.landmarks68[list(INNER_LIPS)]]))
    return float(np.clip((np.linalg.norm(upper - lower) - shut) / LIPS_APART, 0.0, 1.0))


def irradiance(lights: Lights, transfer: Transfer, rotation: np.ndarray, opening: float = 0.0) -> np.ndarray:
    """(V, 3) float32: what of the surroundings a white matt surface sends on at each vertex.

    rotation (3, 3): camera = head @ rotation; opening: of the mouth
    """
    sh = rotate_harmonics(rotation) @ lights.sh
    received = reach(transfer.shut, sh)
    if opening > 0.0:
        received[transfer.mouth] += np.float32(opening) * (reach(transfer.open, sh) - received[transfer.mouth])
    return received


def reach(transfer: np.ndarray, sh: np.ndarray) -> np.ndarray:
    """(V, 3) float32, not negative: transfer (V, 9), columns contiguous, times sh (9, 3).

    Column after column, for the same reason as above.
    """
    total = np.empty((3, len(transfer)), np.float32)
    step = np.empty(len(transfer), np.float32)
    for colour in range(3):
        np.multiply(transfer[:, 0], sh[0, colour], out=total[colour])
        for index in range(1, len(sh)):
            total[colour] += np.multiply(transfer[:, index], sh[index, colour], out=step)
    return np.ascontiguousarray(np.maximum(total, 0.0, out=total).T)


def open_transfer(normals: np.ndarray) -> np.ndarray:
    """(N, 9) float32, columns contiguous: transfer for `reach` of surfaces that nothing hides, of normals (N, 3)."""
    return np.asfortranarray(harmonics(normals) * MATT)


def coarse_triangles(head: Head, cell: float = CELL) -> np.ndarray:
    """(T', 3) int32: the skin in some 4,000 triangles between some of the head's own vertices, to throw shadows.

    Each vertex goes to the nearest, along the mesh, of one in each cell of space, and what triangles are left join
    these; so upper and lower lips and lids stay apart. Once a process.
    """
    triangles = head.skin_triangles
    cells = np.unique(np.floor(head.mean[head.skin] / cell).astype(np.int64), axis=0, return_index=True)[1]
    seeds = np.sort(cells + head.skin.start)
    edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    lengths = np.linalg.norm(head.mean[edges[:, 0]] - head.mean[edges[:, 1]], axis=1)
    # both ways and each once or twice: the least is taken, as the two are the same
    count = len(head.mean)
    graph = coo_matrix((lengths, (edges[:, 0], edges[:, 1])), (count, count)).tocsr().maximum(0)
    nearest = dijkstra(graph, directed=False, indices=seeds, min_only=True, return_predecessors=True)[2]
    joined = nearest[triangles]
    joined = joined[(joined[:, 0] != joined[:, 1]) & (joined[:, 1] != joined[:, 2]) & (joined[:, 2] != joined[:, 0])]
    unique = np.unique(np.sort(joined, axis=1), axis=0, return_index=True)[1]
    return joined[np.sort(unique)].astype(np.int32)


class Shadow:
    """The shadow map of one lamp in one picture: soft by blurring exponentials of depth (Annen and others 2008)."""

    def __init__(
        self, lamp: Lamp, casters: np.ndarray, triangles: np.ndarray, centre: np.ndarray, reach: float
    ) -> None:
        """casters: (P, 3) float32 camera space, metres; triangles: (F, 3); centre (3,), reach: metres from there to the
        border of the map, beyond which nothing lies in shadow"""
        scale = np.float32(0.5 * SHADOW_SIZE / reach)
        axes = view_frame(lamp.direction) * np.float32([[scale], [scale], [1.0]])
        middle = np.float32([SHADOW_SIZE / 2, SHADOW_SIZE / 2, 0.0]) - axes @ np.float32(centre)
        self.placing = np.concatenate([axes, middle[:, None]], axis=1)
        depth = rasterize_buffers(self._place(casters), triangles, SHADOW_SIZE, SHADOW_SIZE).depth
        risen = np.exp(np.float32(SHARPNESS) * np.clip(depth, -reach, reach))
        blur = max(0.8, lamp.softness * float(scale))
        self.risen = cv2.GaussianBlur(risen, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
        self.reach = np.float32(reach)

    def lit(self, points: np.ndarray, bias: float = 0.004) -> np.ndarray:
        """(P,) float32, 0 in the shadow .. 1 in the light, at points (P, 3) raised by bias metres."""
        columns, rows, height = np.ascontiguousarray(self._place(points).T)
        # outside is zero: nothing stands in the light there
        risen = remap_points(self.risen, columns, rows, outside=cv2.BORDER_CONSTANT)
        own = np.exp(np.float32(SHARPNESS) * np.clip(height + np.float32(bias), -self.reach, self.reach))
        return own / np.maximum(own, risen)

    def _place(self, points: np.ndarray) -> np.ndarray:
        return cv2.transform(points[:, None], self.placing)[:, 0]
