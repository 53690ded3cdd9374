"""The body under the clothes: neck and shoulders of the head model's mean, continued below its open rim."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from data.synthetic.portraits.head import Head
from data.synthetic.portraits.star import Star, make_star

COLUMNS, ROWS = 97, 260  # of the table: around, from back to back over the front; down
TOP, BOTTOM = 0.115, -1.50  # metres along the surface from the rim: up the neck, down the body
# Below the rim: y below it at side, front and back; half width; z before its front and behind its back; metres.
_SECTIONS = (
    (0.021, 0.030, 0.028, 0.156, 0.012, 0.012),
    (0.051, 0.065, 0.065, 0.186, 0.026, 0.022),
    (0.113, 0.120, 0.130, 0.203, 0.044, 0.030),
    (0.200, 0.210, 0.210, 0.208, 0.052, 0.030),
    (0.380, 0.360, 0.380, 0.204, 0.040, 0.022),
    (0.620, 0.560, 0.600, 0.198, 0.030, 0.015),
    (1.600, 1.540, 1.580, 0.190, 0.030, 0.015),
)
_BOXY = 0.80  # power of the super-ellipse: a body is boxier than an ellipse


@dataclass(frozen=True)
class Bust:
    """table: (ROWS, COLUMNS, 6) float32: place and outward unit normal at azimuths -pi..pi, TOP..BOTTOM."""

    table: np.ndarray

    def place(self, azimuth: np.ndarray, along: np.ndarray, lift: np.ndarray | float = 0.0) -> np.ndarray:
        """(R, C, 3) points `lift` metres off the surface: azimuth from the front towards +x, radians; along: metres
        along the surface up from the rim, negative below it. All broadcast to (R, C)."""
        azimuth, along, lift = np.broadcast_arrays(azimuth, along, np.float32(lift))
        column = (azimuth / (2 * np.pi) + 0.5) % 1.0 * (COLUMNS - 1)
        row = (TOP - along) / (TOP - BOTTOM) * (ROWS - 1)
        maps = (column.astype(np.float32), row.astype(np.float32))
        found = [
            cv2.remap(self.table[..., part], *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for part in (slice(0, 3), slice(3, 6))
        ]
        return found[0] + lift[..., None] * found[1]


def rim_of(head: Head) -> np.ndarray:
    """(L,) vertices of the open rim below the skin, by azimuth about its middle, -pi..pi."""
    triangles = head.skin_triangles
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(edges[count == 1])
    border = border[head.mean[border, 1] < head.mean[head.landmarks68[8], 1] - 0.03]  # not eyes and mouth
    rim = head.mean[border]
    middle = (rim[:, 2].min() + rim[:, 2].max()) / 2
    return border[np.argsort(np.arctan2(rim[:, 0], rim[:, 2] - middle))]


def make_bust(head: Head) -> Bust:
    """The table: the innermost skin seen from within the chest, and sections of a body below the rim."""
    rim = head.mean[rim_of(head)]
    middle = (rim[:, 2].min() + rim[:, 2].max()) / 2
    centre = np.array([0.0, rim[:, 1].min() + 0.02, middle])
    chin = head.mean[head.landmarks68[8]]
    below = head.mean[:, 1] < np.where(head.mean[:, 2] > middle, chin[1] - 0.010, chin[1] + 0.025)
    triangles = head.skin_triangles
    star = make_star(head, centre, triangles[below[triangles].all(axis=1)], outermost=False, smooth=0)
    turn = np.linspace(-np.pi, np.pi, COLUMNS)
    columns = []
    for azimuth, edge in zip(turn, rim_at(rim, centre, turn), strict=True):
        offset = edge - centre
        level = np.arctan2(offset[1], np.hypot(offset[0], offset[2]))
        columns.append(column_of(star, azimuth, level, edge, rim))
    places = np.stack(columns, axis=1)
    around = np.gradient(np.concatenate([places[:, -2:-1], places, places[:, 1:2]], axis=1), axis=1)[:, 1:-1]
    normal = np.cross(np.gradient(places, axis=0), around)
    for row in reversed(range(ROWS - 1)):  # above the end of a short column, where the surface stands still
        normal[row] = np.where(normal[row].any(axis=1, keepdims=True), normal[row], normal[row + 1])
    normal = cv2.GaussianBlur(np.concatenate([normal[:, -9:-1], normal, normal[:, 1:9]], axis=1), (0, 0), 2.0)[:, 8:-8]
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return Bust(np.concatenate([places, normal], axis=2).astype(np.float32))


def rim_at(rim: np.ndarray, centre: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(C, 3) places of the rim (L, 3) at azimuths (C,) about centre (3,)."""
    azimuth = np.arctan2(rim[:, 0] - centre[0], rim[:, 2] - centre[2])
    order = np.argsort(azimuth)
    return np.stack([np.interp(turn, azimuth[order], rim[order, k], period=2 * np.pi) for k in range(3)], axis=1)


def column_of(star: Star, azimuth: float, level: float, edge: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """(ROWS, 3) places down one column, evenly along the surface from TOP over the rim's place `edge` (3,), at the
    elevation `level`, to BOTTOM."""
    skin = star.place(np.float32(azimuth), np.linspace(np.radians(62.0), level, 40).astype(np.float32)).astype(float)
    skin[-1] = edge
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    side, ahead, behind = sine**2, max(cosine, 0.0) ** 2, max(-cosine, 0.0) ** 2
    knots = []
    for side_drop, front_drop, back_drop, width, front, back in _SECTIONS:
        low, high = rim[:, 2].min() - back, rim[:, 2].max() + front
        y = edge[1] - side * side_drop - ahead * front_drop - behind * back_drop
        x = width * np.sign(sine) * abs(sine) ** _BOXY
        z = (low + high) / 2 + (high - low) / 2 * np.sign(cosine) * abs(cosine) ** _BOXY
        knots.append((x, y, z))
    line = np.concatenate([skin[-9::4], knots])
    length = lengths(line)
    body = PchipInterpolator(length, line)(np.linspace(length[2], length[-1], 60))
    line = np.concatenate([skin, body[1:]])
    length = lengths(line)
    along = np.linspace(TOP, BOTTOM, ROWS)
    return np.stack([np.interp(length[39] - along, length, line[:, k]) for k in range(3)], axis=1)


def lengths(line: np.ndarray) -> np.ndarray:
    """(K,) metres along a line (K, 3)."""
    return np.concatenate([[0.0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
