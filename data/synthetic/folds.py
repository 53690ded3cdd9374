"""What happens at the openings of the skin: lids that slide over the eyeballs, lips, and the folds behind both."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from data.synthetic.body import grid_triangles
from data.synthetic.expression import LID_LOWER_SHARE
from data.synthetic.geometry import polygon_distance, smooth_step
from data.synthetic.head import FineHead
from data.synthetic.sculpture import EYE_CENTRE, EYE_RADIUS, LID_THICKNESS

_LID_REACH = 0.022  # metres around the margin in which skin moves with the lids
_SPHERE_REACH = (0.0015, 0.0080)  # metres from the margin: within the first skin keeps to the eyeball, beyond free
_UPPER_SPAN, _LOWER_SPAN = 0.0105, 0.0090  # metres above / below the margins over which the lids' skin gives
_LID_OVERLAP, _LID_LIFT = 0.05, 0.0003  # a shut upper lid goes past the lower one (share of its way), metres over it
_LID_ROWS = (0.0007, -0.0012)  # metres off the eyeball's surface of the rows behind the margin
# Rows behind the lips: metres back and away from their line, and how much wider than it
_MOUTH_ROWS = ((0.0018, 0.0001, 1.0), (0.0050, 0.0045, 1.08), (0.0115, 0.0105, 1.25))
_LOWER_FOLD = 0.75  # the rows behind the lower lip go less far from its line by this
_COVER_REACH, _COVER_STEPS = 0.015, 16  # metres from the inner lines up to which skin covers the rows; samples of it
_COVER_AHEAD, _COVER_THICKNESS = 0.0025, 0.0012  # metres that a row looks farther along the lip, and stays behind it
_LIP_REACH = 0.006  # metres about the inner lines in which lips that meet give way
_BAG_DEPTH = 0.035  # metres that the mouth goes back behind the last row
_BAG_ROWS = 4


def _strip(head: FineHead, loop: np.ndarray, rows: int, start: int) -> np.ndarray:
    """Triangles between a loop of the skin and `rows` new rows whose vertices start at index `start`."""
    size = len(loop)
    grid = grid_triangles(rows + 1, size, closed=True)
    index = np.concatenate([loop, start + np.arange(rows * size)])
    directed = (head.triangles[:, [0, 1, 2]] == loop[0]) & (head.triangles[:, [1, 2, 0]] == loop[1])
    grid = grid if directed.any() else grid[:, ::-1]
    return index[grid].astype(np.int32)


@dataclass(frozen=True)
class LidSystem:
    """The lids of one eye. Vertex indices are the skin's.

    index: 0 left, 1 right; loop: (L,) the margin, from the inner corner over the upper lid
    near: (K,) vertices that move with the lids; sphere: (K,) how far each keeps to the eyeball, 0..1
    height: (K,) its mean distance from the eyeball's centre over the eyeball's radius; upper: (K,) bool
    give: (K,) how far each goes along with the margin: 1 there .. 0 where the lid ends
    start: index of the first fold vertex
    """

    index: int
    loop: np.ndarray
    near: np.ndarray
    sphere: np.ndarray
    height: np.ndarray
    upper: np.ndarray
    give: np.ndarray
    start: int
    triangles: np.ndarray

    @classmethod
    def build(cls, head: FineHead, name: str, index: int, start: int) -> "LidSystem":
        """Collects the lids of "left_eye" or "right_eye"; `start`: where their fold's vertices will stand."""
        loop = head.loops[name]
        centre = EYE_CENTRE * [1 if index == 0 else -1, 1, 1]
        front = head.vertices[:, 2] > 0.005
        distance = np.abs(polygon_distance(head.vertices[:, :2], head.vertices[loop, :2]))
        distance[loop] = 0.0
        near = np.nonzero(front & (distance < _LID_REACH))[0]
        local = head.vertices[near] - centre
        half = len(loop) // 2
        outward = np.array([1.0 if index == 0 else -1.0, 1.0, 1.0])
        margin = (head.vertices[loop] - centre) * outward
        middle = _margins(margin, half, local[:, 0] * outward[0])
        upper = np.arctan2(local[:, 1], local[:, 2]) > (middle[0] + middle[1]) / 2
        place = np.full(len(head.vertices), -1)
        place[near] = np.arange(len(near))
        upper[place[loop[: half + 1]]] = True
        upper[place[loop[half + 1 :]]] = False
        return cls(
            index,
            loop,
            near,
            (1.0 - smooth_step(distance[near], *_SPHERE_REACH)).astype(np.float32),
            (np.linalg.norm(local, axis=1) / EYE_RADIUS).astype(np.float32),
            upper,
            (1.0 - smooth_step(distance[near] / np.where(upper, _UPPER_SPAN, _LOWER_SPAN), 0.0, 1.0)).astype(
                np.float32
            ),
            start,
            _strip(head, loop, len(_LID_ROWS), start),
        )

    @property
    def fold_count(self) -> int:
        return len(_LID_ROWS) * len(self.loop)

    @property
    def fold_sources(self) -> np.ndarray:
        """The margin's vertex behind which each fold vertex lies."""
        return np.tile(self.loop, len(_LID_ROWS))

    def fold_uv(self, uv: np.ndarray) -> np.ndarray:
        """uv (fold_count, 2): rows drawn in from the margin towards the middle of the opening."""
        margin = uv[self.loop]
        return np.concatenate([margin + t * (margin.mean(axis=0) - margin) for t in (0.08, 0.2)])

    def close(self, skin: np.ndarray, centre: np.ndarray, radius: float, closing: float) -> None:
        """Lays the lids on the eyeball (centre (3,), radius, metres) and closes them, in place; 0 neutral, 1 shut."""
        local = skin[self.near] - centre
        outward = 1.0 if self.index == 0 else -1.0
        half = len(self.loop) // 2
        size = np.linalg.norm(local, axis=1)
        wanted = size + self.sphere * (self.height * radius - size)
        wanted = np.maximum(wanted, radius + 0.9 * LID_THICKNESS)
        local *= (wanted / size)[:, None]
        margin = np.zeros((len(self.loop), 3), np.float32)
        place = np.searchsorted(self.near, self.loop)
        margin[:] = local[place] * [outward, 1, 1]
        top, bottom = _margins(margin, half, outward * local[:, 0])
        if closing:
            gap = np.maximum(top - bottom, 0.0)
            share = np.where(self.upper, -(1.0 - LID_LOWER_SHARE), LID_LOWER_SHARE)
            shut = smooth_step(np.float32(closing), 0.7, 1.0) * self.upper
            angle = closing * gap * share * self.give * (1.0 + _LID_OVERLAP * shut)
            # skin that comes down over the eyeball lies flat on it
            size = np.linalg.norm(local, axis=1)
            drawn = max(closing, 0.0) * np.minimum(gap / 0.5, 1.0) * smooth_step(self.give, 0.08, 0.6) * self.upper
            flat = np.minimum((radius + LID_THICKNESS) / size, 1.0) - 1.0
            local *= (1.0 + drawn * flat + shut * self.give * _LID_LIFT / size)[:, None]
            c, s = np.cos(angle), np.sin(angle)
            y, z = c * local[:, 1] + s * local[:, 2], c * local[:, 2] - s * local[:, 1]
            local = np.stack([local[:, 0], y, z], axis=1)
        skin[self.near] = centre + local

    def folds(self, skin: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
        """(fold_count, 3): rows from the margin in onto the eyeball."""
        local = skin[self.loop] - centre
        size = np.linalg.norm(local, axis=1, keepdims=True)
        return np.concatenate([centre + local * (radius + off) / size for off in _LID_ROWS])


def _margins(margin: np.ndarray, half: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elevations (N,), radians about the eyeball's centre, of upper and lower margin at x (N,) outward.

    margin: (L, 3) about the centre, x outward, from the inner corner over the upper lid to the outer corner at
    `half` and back.
    """
    turn = np.arctan2(margin[:, 1], margin[:, 2])
    upper = slice(0, half + 1)
    lower = np.r_[0, len(margin) - 1 : half - 1 : -1]
    return (
        np.interp(x, np.maximum.accumulate(margin[upper, 0]), turn[upper]),
        np.interp(x, np.maximum.accumulate(margin[lower, 0]), turn[lower]),
    )


@dataclass(frozen=True)
class MouthSystem:
    """The lips' inner lines, the fold behind them and the inside of the mouth.

    loop: (L,) inner line, from the right corner over the upper lip; start: index of the first fold vertex
    near (K,), follows (K,), share (K,): skin vertices that give way with the line when lips meet, the place in the
        loop that each follows, and how far, 0..1
    cover: (L, _COVER_STEPS) the skin vertices from each place of the line straight up or down over its lip
    """

    loop: np.ndarray
    near: np.ndarray
    follows: np.ndarray
    share: np.ndarray
    cover: np.ndarray
    start: int
    triangles: np.ndarray
    bag_triangles: np.ndarray
    bag_uv: np.ndarray

    @classmethod
    def build(cls, head: FineHead, start: int) -> "MouthSystem":
        loop = head.loops["mouth"]
        half = len(loop) // 2
        places = head.vertices[loop]
        away, nearest = np.full(len(head.vertices), np.inf), np.zeros(len(head.vertices), dtype=np.int64)
        cover = np.zeros((len(loop), _COVER_STEPS), dtype=np.int64)
        steps = np.linspace(0.0, _COVER_REACH, _COVER_STEPS)
        for side, part in ((1, np.arange(half + 1)), (-1, np.r_[half : len(loop), 0])):
            mine = np.nonzero((side * head.lip_side > 0) & (head.vertices[:, 2] > 0.02))[0]
            away[mine], found = cKDTree(places[part]).query(head.vertices[mine])
            nearest[mine] = part[found]
            column = places[part, None, :2] + np.stack([0.0 * steps, side * steps], axis=1)
            cover[part] = mine[cKDTree(head.vertices[mine, :2]).query(column)[1]]
        away[loop], nearest[loop] = 0.0, np.arange(len(loop))
        near = np.nonzero(away < 2.5 * _LIP_REACH)[0]
        rows = len(_MOUTH_ROWS)
        triangles = _strip(head, loop, rows, start)
        bag = grid_triangles(_BAG_ROWS + 1, len(loop), closed=True)
        directed = (head.triangles[:, [0, 1, 2]] == loop[0]) & (head.triangles[:, [1, 2, 0]] == loop[1])
        bag = bag if directed.any() else np.ascontiguousarray(bag[:, ::-1])
        turn = np.pi - np.arange(len(loop)) * (2 * np.pi / len(loop))
        size = np.linspace(0.5, 0.0, _BAG_ROWS + 1)[:, None]
        uv = np.stack([0.5 + size * np.cos(turn), 0.5 - size * np.sin(turn)], axis=-1)
        share = np.exp(-((away[near] / _LIP_REACH) ** 2)).astype(np.float32)
        bag_uv = uv.reshape(-1, 2).astype(np.float32)
        return cls(loop, near, nearest[near], share, cover, start, triangles, bag, bag_uv)

    @property
    def fold_sources(self) -> np.ndarray:
        return np.tile(self.loop, len(_MOUTH_ROWS))

    @property
    def depth_share(self) -> np.ndarray:
        """(fold vertices,) 0 at the lips .. 1 at the last row."""
        rows = len(_MOUTH_ROWS)
        return np.repeat((np.arange(rows, dtype=np.float32) + 0.5) / rows, len(self.loop))

    def fold_uv(self, uv: np.ndarray) -> np.ndarray:
        line = uv[self.loop]
        return np.concatenate([line + t * (line.mean(axis=0) - line) for t in (0.02, 0.05, 0.09)])

    def part_lips(self, skin: np.ndarray) -> None:
        """Where the lips have gone through each other puts both inner lines onto the middle, in place.

        The lips around the lines give way with them.
        """
        half = len(self.loop) // 2
        upper, lower = np.arange(1, half), np.arange(len(self.loop) - 1, half, -1)
        height = skin[self.loop, 1]
        move = np.zeros(len(self.loop), np.float32)
        move[upper] = np.maximum(height[lower] - height[upper], 0.0) / 2
        move[lower] = -move[upper]
        skin[self.near, 1] += self.share * move[self.follows]

    def folds(self, skin: np.ndarray, pitch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows behind the lips (R * L, 3) and the vertices of the inside ((_BAG_ROWS + 1) * L, 3).

        pitch: (L,) radians by which the jaw has turned each place of the inner line.
        """
        line = skin[self.loop]
        size = len(self.loop)
        away = np.sin(np.arange(size) * (2 * np.pi / size))[:, None].astype(np.float32)
        middle = line[:, :1].mean()
        c, s = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
        local = skin[self.cover] - line[:, None]
        height = (c * local[..., 1] + s * local[..., 2]) * np.sign(away)
        depth = c * local[..., 2] - s * local[..., 1]
        rows = []
        for back, off, wide in _MOUTH_ROWS:
            sideways = (wide - 1.0) * (line[:, :1] - middle)
            y = off * away * np.where(away < 0, _LOWER_FOLD, 1.0).astype(np.float32)
            # thin or rolled-in lips: no row comes through the skin that it lies behind
            covering = height < np.abs(y) + np.float32(_COVER_AHEAD)
            skin_depth = np.where(covering, depth, np.float32(np.inf)).min(axis=1, keepdims=True)
            z = np.minimum(np.float32(-back), skin_depth - np.float32(_COVER_THICKNESS))
            rows.append(line + np.concatenate([sideways, c * y - s * z, s * y + c * z], axis=1))
        last = rows[-1]
        end = last.mean(axis=0) - np.array([0.0, 0.0, _BAG_DEPTH], np.float32)
        bag = []
        for t in np.linspace(0.0, 1.0, _BAG_ROWS + 1):
            row = last + (end - last) * np.array([t**2, t**2, np.sin(t * np.pi / 2)], np.float32)
            bag.append(row)
        return np.concatenate(rows), np.concatenate(bag)
