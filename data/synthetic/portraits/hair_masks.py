"""Where hair grows on a scan-based head: soft masks on its vertices, found from landmarks and the shape of the mean."""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from data.synthetic.geometry import polygon_distance, smooth_step
from data.synthetic.portraits.head import Head

EAR_BALL = 0.010  # metres about a place within which skin that turns a lot is taken for an ear's
BROW_DROP = 0.0035  # metres: the landmarks of a brow lie on its upper edge


def hair_masks(head: Head) -> dict[str, np.ndarray]:
    """Masks (V,) float32, 0..1, on the head's vertices; 0 on eyes, teeth and in the mouth.

    scalp: behind an ordinary hairline, sideburns included, ears not; ears; sideburns; brows; upper_lash and lower_lash:
    the lids' rims, and lash_line, both; moustache; beard: jaw, chin, lower cheeks, upper neck
    """
    skin = head.mean[head.skin].astype(np.float64)
    points = head.mean[head.landmarks68].astype(np.float64)
    x, y, z = np.abs(skin[:, 0]), skin[:, 1], skin[:, 2]
    ears = _ears(skin, head.normals[head.skin], points)
    scalp = smooth_step(behind_hairline(skin, points), -0.004, 0.004) * (1 - ears)
    moustache = _moustache(x, y, z, points)
    upper, lower = _lash_lines(skin, points)
    masks = {
        "scalp": scalp,
        "ears": ears,
        "sideburns": scalp * _sideburns(y, z, points),
        "brows": brow_mask(skin, points),
        "upper_lash": upper,
        "lower_lash": lower,
        "lash_line": np.maximum(upper, lower),
        "moustache": moustache,
        "beard": _beard(x, y, z, points) * (1 - ears) * (1 - moustache),
    }
    whole = {name: np.zeros(len(head.mean), np.float32) for name in masks}
    for name, mask in masks.items():
        whole[name][head.skin] = np.clip(mask, 0.0, 1.0)
    return whole


def _ears(skin: np.ndarray, normals: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Beside the face, where the skin's normals point everywhere within a little ball."""
    front, eye, nose = points[0, 2], points[36, 1], points[33, 1]
    y, z = skin[:, 1], skin[:, 2]
    beside = (np.abs(skin[:, 0]) > 0.75 * abs(points[0, 0])) & (z < front + 0.004) & (z > front - 0.07)
    near = np.flatnonzero(beside & (y > nose - 0.025) & (y < eye + 0.020))
    pairs = cKDTree(skin[near]).sparse_distance_matrix(cKDTree(skin[near]), EAR_BALL, output_type="coo_matrix")
    pairs.data = np.ones_like(pairs.data)
    ball = pairs.tocsr()
    mean = (ball @ normals[near]) / np.asarray(ball.sum(axis=1))
    turning = 1.0 - np.linalg.norm(mean, axis=1)
    mask = np.zeros(len(skin))
    mask[near] = smooth_step(turning, 0.10, 0.22)
    return mask


def behind_hairline(skin: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) metres that places (N, 3) lie behind an ordinary hairline: over the forehead, back at the temples, down
    before the ears and to the nape; points: (68, 3) landmarks.

    The line is that seen from the side: how far in front it lies at a height, in shares of the height from the nose's
    base to the brows, which is about that from the brows to the hairline.
    """
    brow, nose, front = points[17:27, 1].mean(), points[33, 1], points[0, 2]
    third = brow - nose
    heights = brow + third * np.array([-1.90, -1.50, -1.15, -0.95, -0.72, -0.35, 0.05, 0.32, 0.50, 0.62, 0.72])
    line = front + third * np.array([-1.45, -1.20, -0.95, -0.70, -0.08, -0.04, 0.05, 0.22, 0.45, 0.66, 0.86])
    behind = np.interp(skin[:, 1], heights, line) - skin[:, 2]
    return np.minimum(behind, skin[:, 1] - heights[0] - 0.006)


def _sideburns(y: np.ndarray, z: np.ndarray, points: np.ndarray) -> np.ndarray:
    front, eye, nose = points[0, 2], points[36, 1], points[33, 1]
    return (1 - smooth_step(y, eye - 0.004, eye + 0.006)) * smooth_step(y, nose - 0.01, nose) * smooth_step(
        z, front - 0.030, front - 0.020
    )  # fmt: skip


def brow_mask(skin: np.ndarray, points: np.ndarray, thickness: float = 1.0, arch: float = 1.0) -> np.ndarray:
    """(N,) 0..1, where brows grow at places (N, 3).

    points: (68, 3) landmarks; thickness: of 1, an ordinary brow's; arch: 0 straight .. 1 as the landmarks lie
    """
    line = 1000 * (points[22:27, :2] - [0.0, BROW_DROP])
    straight = np.interp(line[:, 0], line[[0, -1], 0], line[[0, -1], 1] + [0.0, 2.0])
    line[:, 1] = straight + arch * (line[:, 1] - straight)
    across = 1000 * np.abs(skin[:, 0])
    away = polygon_distance(np.stack([across, 1000 * skin[:, 1]], axis=1), line, closed=False)
    half = thickness * np.interp(across, np.linspace(line[0, 0], line[-1, 0], 4), [3.6, 4.6, 3.4, 1.8])
    front = smooth_step(skin[:, 2], points[36, 2] - 0.03, points[36, 2] - 0.015)
    return (1 - smooth_step(away / half, 0.55, 1.2)) * front


def _lash_lines(skin: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower rim of the lids: near smooth curves through the six landmarks of each eye."""
    upper, lower = np.zeros(len(skin)), np.zeros(len(skin))
    # where along its six landmarks the lashes of each eye's lids begin and end; the one goes round from its outer
    # corner, the other from its inner one
    lids = ((36, (0.25, 2.9), (3.3, 5.8)), (42, (0.1, 2.75), (3.2, 5.7)))
    for start, above, below in lids:
        corners = points[[*range(start, start + 6), start]]
        curve = CubicSpline(np.arange(7), corners, bc_type="periodic")
        for mask, ends in ((upper, above), (lower, below)):
            away, _ = cKDTree(curve(np.linspace(*ends, 60))).query(skin)
            np.maximum(mask, 1 - smooth_step(away, 0.0006, 0.0016), out=mask)
    return upper, lower


def _moustache(x: np.ndarray, y: np.ndarray, z: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Between nose and upper lip, and a little down beside the corners of the mouth."""
    lip, corner, nose = points[[51, 52, 53, 54]], points[54], points[33, 1]
    low = np.interp(x, [*lip[:, 0], corner[0] + 0.006], [*lip[:, 1], corner[1] - 0.010])
    high = np.interp(x, [0.0, points[35, 0], corner[0], corner[0] + 0.008], [nose, nose, corner[1] + 0.011, corner[1]])
    between = smooth_step(y - low, -0.0005, 0.002) * (1 - smooth_step(y - high, -0.003, 0.001))
    aside = 1 - smooth_step(x, corner[0] + 0.001, corner[0] + 0.008)
    return between * aside * smooth_step(z, corner[2] - 0.03, corner[2] - 0.02)


def _beard(x: np.ndarray, y: np.ndarray, z: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Below a line from the sideburns over the cheeks to the lower lip, above one along the upper neck."""
    corner, lip, chin, cheek, jaw = points[54], points[57, 1], points[8], points[13], points[14:17]
    across = [0.0, 0.6 * corner[0], corner[0], (corner[0] + cheek[0]) / 2, *(0.985 * jaw[:, 0])]
    by_lip, by_corner = [lip - 0.007, lip - 0.006], [corner[1] - 0.004, corner[1] + 0.002]
    top = [*by_lip, *by_corner, jaw[0, 1] - 0.008, jaw[1, 1], jaw[1, 1] + 0.014]
    below = smooth_step(np.interp(x, across, top) - y, -0.003, 0.005)
    bottom = np.interp(z, [jaw[1, 2] - 0.02, chin[2]], [points[12, 1] - 0.004, chin[1] - 0.035])
    return below * smooth_step(z, jaw[2, 2] - 0.026, jaw[2, 2] - 0.014) * smooth_step(y - bottom, -0.006, 0.010)
