"""The chart of the head: unit directions, each of which is one point of the skin.

A direction of the chart is a ray from the middle of the head to the skin; below the jaw the rays' origin goes down
the axis of the neck, so that the chart covers the neck as well. Half of the head (x >= 0) is drawn as a disc: the
stereographic projection about +x, which keeps angles; the midline is its rim. Ears are a patch of the chart with
polar coordinates of its own. Frame and metres as in `sculpture`.
"""

import numpy as np

from data.synthetic.sculpture import HEAD_CENTRE

NECK_ANGLE = np.radians(30.0)  # chart directions nearer to straight down than this lie on neck and throat
NECK_END = np.radians(5.5)  # the chart ends here, at the base of the neck
_NECK_LENGTH = 0.13  # metres that the ray's origin goes down while tan(angle / 2) falls by e
_NECK_TURN = np.radians(50.0)  # the rays turn up by this much on the way down
_NECK_BACK = 0.022  # metres that the axis of the neck lies behind the middle of the head

# The patch of the left ear in the disc: centre and half axes along (z, y)
EAR_CENTRE = np.array([-0.055, 0.020])
EAR_AXES = np.array([0.155, 0.250])


def rays(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rays of chart directions (N, 3): their origins (N, 3), metres, and unit directions (N, 3)."""
    azimuth = np.arctan2(directions[:, 0], directions[:, 2])
    angle = np.arccos(np.clip(-directions[:, 1], -1.0, 1.0))
    down = np.clip(angle, NECK_END / 4, NECK_ANGLE)
    progress = (NECK_ANGLE - down) / (NECK_ANGLE - NECK_END)
    angle = np.where(angle < NECK_ANGLE, NECK_ANGLE + _NECK_TURN * progress**2, angle)
    sine = np.sin(angle)
    cast = np.stack([sine * np.sin(azimuth), -np.cos(angle), sine * np.cos(azimuth)], axis=1)
    cast[directions[:, 0] == 0, 0] = 0.0
    origins = np.repeat(HEAD_CENTRE[None], len(directions), axis=0)
    origins[:, 1] -= _NECK_LENGTH * np.log(np.tan(NECK_ANGLE / 2) / np.tan(down / 2))
    origins[:, 2] -= _NECK_BACK * progress**2
    return origins, cast


def directions_of(points: np.ndarray) -> np.ndarray:
    """Chart directions (N, 3) of points (N, 3) above the throat, metres."""
    away = np.asarray(points, dtype=float) - HEAD_CENTRE
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def to_disc(directions: np.ndarray) -> np.ndarray:
    """Directions (N, 3) with x >= 0 to the unit disc (N, 2): axes along z and y."""
    return directions[:, [2, 1]] / (1.0 + directions[:, :1])


def from_disc(disc: np.ndarray) -> np.ndarray:
    """Points of the unit disc (N, 2) to directions (N, 3) with x >= 0."""
    square = np.sum(disc**2, axis=1, keepdims=True)
    return np.concatenate([1.0 - square, 2 * disc[:, 1:], 2 * disc[:, :1]], axis=1) / (1.0 + square)


def ear_coordinates(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polar coordinates of chart directions (N, 3), x >= 0, in the ear's patch.

    Returns the radius (N,), 1 on the patch's rim, and the angle (N,) in radians: 0 to the front, pi / 2 up.
    """
    local = (to_disc(directions) - EAR_CENTRE) / EAR_AXES
    return np.linalg.norm(local, axis=1), np.arctan2(local[:, 1], local[:, 0])


def ear_directions(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Chart directions (N, 3) of polar coordinates in the left ear's patch."""
    return from_disc(EAR_CENTRE + EAR_AXES * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
