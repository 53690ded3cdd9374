"""Soft masks of the places on a scan-based head that have colours of their own.

They are found from the 68 landmarks, the regions and the shape of the mean head, and lie on its vertices.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from data.synthetic.geometry import polygon_distance, smooth_step
from data.synthetic.portraits.head import Head

MILLIMETRES = 1000.0
LEFT_EYE, RIGHT_EYE = slice(42, 48), slice(36, 42)  # landmarks; the first and the fourth of each are the corners


def colour_masks(head: Head) -> dict[str, np.ndarray]:
    """Masks by name, each (V,) float32 in 0..1 on head.mean, 0 off the skin but for `inner_mouth`.

    lips; mouth_line: where the lips meet; inner_mouth: the mouth's socket and the lips' inner sides; nose; nose_tip;
    nostrils; cheeks; eyelids: upper lid up to its crease and what is as near below; rings: below the eyes; lid_rim: wet
    inner rims of the lids; lid_line: where an eyeliner goes; forehead; chin; neck; front: the face without its
    sides, 1 in the middle.
    """
    points = MILLIMETRES * head.mean.astype(np.float64)
    marks = points[head.landmarks68]
    face, skin = np.zeros(len(points)), np.zeros(len(points))
    face[head.regions["face"]], skin[head.skin] = 1.0, 1.0
    masks = _mouth_masks(head, points, marks) | _eye_masks(head, points, marks) | _nose_masks(points, marks)
    width = np.linalg.norm(marks[16] - marks[0])
    masks["cheeks"] = sum(
        _ball(points, 0.5 * marks[lid] + 0.3 * marks[wing] + 0.2 * marks[jaw], 0.07 * width, 0.24 * width)
        for lid, wing, jaw in ((46, 35, 13), (41, 31, 3))
    )
    brow = marks[17:27, 1].max()
    height = brow - marks[33, 1]  # from the brows to below the nose, as much as from there to the chin
    masks["forehead"] = smooth_step(points[:, 1], brow, brow + 0.25 * height) * smooth_step(points[:, 2], 0.0, 25.0)
    chin = marks[8] + [0.0, 0.18 * height, 0.0]
    masks["chin"] = _ball(points, chin, 0.12 * height, 0.4 * height)
    masks["neck"] = 1.0 - smooth_step(points[:, 1] - 0.6 * points[:, 2], marks[8, 1] - 85.0, marks[8, 1] - 55.0)
    masks["front"] = smooth_step(points[:, 2], marks[16, 2], marks[16, 2] + 35.0)
    masks["front"] *= smooth_step(points[:, 1], marks[8, 1] - 12.0, marks[8, 1] + 3.0)
    for name in masks:
        masks[name] *= face if name not in ("inner_mouth", "neck") else 1.0
    masks["neck"] *= skin
    return {name: mask.astype(np.float32) for name, mask in masks.items()}


def outline(marks: np.ndarray, count: int = 8) -> np.ndarray:
    """(count * P, D) closed line, `count` steps from each of the points (P, D) to the next, smooth but for the first
    point and the middle one, which are the corners of an eye or a mouth."""
    half = len(marks) // 2
    halves = []
    for part in (marks[: half + 1], np.concatenate([marks[half:], marks[:1]])):
        places = np.arange(0, half, 1 / count)
        halves.append(PchipInterpolator(np.arange(half + 1), part)(places))
    return np.concatenate(halves)


def border(head: Head, inside: str) -> np.ndarray:
    """Vertices of the face that triangles of the region `inside` share: the rim of an eye's or the mouth's opening."""
    region = head.regions[inside]
    own = ((head.triangles >= region.start) & (head.triangles < region.stop)).any(axis=1)
    vertices = np.unique(head.triangles[own])
    return vertices[vertices < head.regions["face"].stop]


def _ball(points: np.ndarray, centre: np.ndarray, inner: float, outer: float) -> np.ndarray:
    return 1.0 - smooth_step(np.linalg.norm(points - centre, axis=1), inner, outer)


def _mouth_masks(head: Head, points: np.ndarray, marks: np.ndarray) -> dict[str, np.ndarray]:
    before = points[:, 2] > marks[48:60, 2].min() - 12.0  # not the nape
    outer = polygon_distance(points[:, :2], outline(marks[48:60, :2]))
    rim = cKDTree(points[border(head, "mouth_socket")]).query(points)[0]
    inner_mouth = 1.0 - smooth_step(rim, 1.0, 3.5)
    inner_mouth[head.regions["mouth_socket"]] = 1.0
    inner_mouth[head.regions["mouth_socket"].stop :] = 0.0
    meeting = outline(marks[[48, 60, 61, 62, 63, 64, 54, 64, 65, 66, 67, 60]])
    line = cKDTree(meeting).query(points)[0]
    return {
        "lips": (1.0 - smooth_step(outer, -1.2, 0.8)) * before,
        "mouth_line": 1.0 - smooth_step(line, 0.8, 3.0),
        "inner_mouth": inner_mouth,
    }


def _eye_masks(head: Head, points: np.ndarray, marks: np.ndarray) -> dict[str, np.ndarray]:
    masks = dict.fromkeys(("eyelids", "rings", "lid_rim", "lid_line"), np.zeros(len(points)))
    for eye, socket, brow in ((LEFT_EYE, "eye_socket_l", slice(22, 27)), (RIGHT_EYE, "eye_socket_r", slice(17, 22))):
        corners = marks[eye]
        line = outline(corners)
        middle = corners.mean(axis=0)
        width = np.linalg.norm(corners[3] - corners[0])
        flat = polygon_distance(points[:, :2], line[:, :2])
        near = smooth_step(points[:, 2], corners[:, 2].min() - 14.0, corners[:, 2].min() - 8.0)
        above = smooth_step(points[:, 1], middle[1] - 2.0, middle[1] + 2.0)
        reach = 0.55 * (marks[brow, 1].mean() - corners[1:3, 1].mean())
        lids = (1.0 - smooth_step(flat, 0.45 * reach, reach)) * (0.35 + 0.65 * above) * near
        inner = 0.7 * middle + 0.3 * corners[np.argmin(np.abs(corners[:, 0]))] - [0.0, 0.28 * width, 0.0]
        below = np.linalg.norm((points - inner) / [0.7, 0.35, 0.8], axis=1)
        rings = (1.0 - smooth_step(below, 0.25 * width, 1.05 * width)) * (1.0 - above) * near
        rim = cKDTree(points[border(head, socket)]).query(points)[0]
        skin_line = cKDTree(line).query(points)[0]
        own = {
            "eyelids": lids,
            "rings": rings,
            "lid_rim": 1.0 - smooth_step(rim, 1.5, 3.5),
            "lid_line": 1.0 - smooth_step(skin_line, 0.4, 2.0),
        }
        masks = {name: np.maximum(masks[name], own[name]) for name in masks}
    return masks


def _nose_masks(points: np.ndarray, marks: np.ndarray) -> dict[str, np.ndarray]:
    wings = 0.5 * np.linalg.norm(marks[35] - marks[31])  # half the nose's width
    below = marks[33]
    side = np.abs(points[:, 0])
    up = (points[:, 1] - below[1]) / (marks[27, 1] - below[1])  # 0 below the nose .. 1 between the eyes
    half = wings * (1.45 - 0.75 * np.clip(up, 0.0, 1.0))
    bridge = (1.0 - smooth_step(side, 0.7 * half, 1.15 * half)) * smooth_step(up, -0.06, 0.08)
    bridge *= (1.0 - smooth_step(up, 0.7, 1.05)) * smooth_step(points[:, 2], below[2] - 22.0, below[2] - 12.0)
    hole = below + wings * np.array([-0.56, 0.96, -0.62])  # the middle of the cavity behind a nostril
    mirrored = np.stack([-side, points[:, 1], points[:, 2]], axis=1)
    cavity = np.linalg.norm((mirrored - hole) / (wings * np.array([0.45, 0.72, 0.85])), axis=1)
    return {
        "nose": bridge,
        "nose_tip": _ball(points, marks[30], 0.3 * wings, 1.7 * wings),
        "nostrils": 1.0 - smooth_step(cavity, 0.85, 1.2),
    }
