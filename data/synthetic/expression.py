"""Expressions: the pushes of each, at a coefficient of one, and the amounts of the movements that turn.

Jaw and eyelids turn (about the jaw's hinge, about the eyeball's axis); `shape` does that. The rest are pushes of
the mean head's skin along the pull of the muscles.
"""

import numpy as np

from data.synthetic.fields import Push

JAW_HINGE = np.array([0.0, 0.004, -0.020])  # metres: the axis through both joints, in front of the ears
JAW_OPEN = np.radians(21.0)  # turn of the jaw at coefficient one
JAW_FORWARD_SLIDE = 0.004  # metres that the joint slides forward as the jaw opens
JAW_SIDEWAYS = np.radians(6.0)  # turn about the vertical axis through the hinge, to one side
LID_WIDE = 0.28  # of the lid's way that wide eyes open the lids beyond neutral
LID_LOWER_SHARE = 0.14  # of the closing that the lower lid does
LID_FOLLOWS_GAZE = 0.75  # of the angle that the eye looks down, the upper lid goes with it
# closing of the lids by expressions other than blinking
LID_CLOSING = {"cheek_squint": 0.28, "nose_wrinkle": 0.18, "brow_down": 0.06, "smile": 0.10}


def _pair(name: str, *pushes: Push) -> dict[str, tuple[Push, ...]]:
    return {f"{name}_{side}": tuple(p._replace(side=side) for p in pushes) for side in ("left", "right")}


EXPRESSIONS: dict[str, tuple[Push, ...]] = {
    "blink_left": (),
    "blink_right": (),
    "wide_eyes": (Push((31, 36, 44), (18, 8, 14), (0, 1.0, 0)),),
    "brow_inner_up": (Push((9, 42, 54), (13, 10, 18), (0, 6.5, 0.4)), Push((10, 62, 54), (22, 14, 20), (0, 2.0, 0))),
    **_pair(
        "brow_outer_up",
        Push((42, 43, 36), (17, 10, 18), (0, 6.0, -0.4)),
        Push((42, 60, 32), (20, 16, 20), (0, 2.0, 0)),
    ),
    "brow_down": (
        Push((16, 41, 52), (15, 8, 16), (-2.2, -4.5, 0.8)),
        Push((40, 42, 38), (16, 8, 16), (-0.5, -2.6, 0)),
        Push((5, 38, 57), (3.5, 8, 8), (0, 0, 0.8)),
    ),
    **_pair(
        "smile",
        Push((25, -45, 48), (11, 9, 16), (7.0, 6.5, -4.5)),
        Push((14, -45, 55), (10, 9, 14), (1.6, 1.4, -1.2)),
        Push((38, -20, 34), (14, 13, 16), (2.2, 4.5, 3.2)),
        Push((34, 2, 40), (13, 7, 12), (0, 1.6, 1.2)),
        Push((30, -30, 46), (5, 9, 10), (1.0, 1.0, -1.2)),
    ),
    **_pair(
        "frown",
        Push((25, -46, 48), (9, 9, 14), (-0.5, -6.0, -0.5)),
        Push((14, -56, 52), (10, 8, 12), (0, -1.4, 0.8)),
        Push((0, -68, 54), (14, 8, 12), (0, 1.2, 0.8)),
    ),
    "jaw_open": (),
    "jaw_left": (),
    "jaw_right": (),
    "jaw_forward": (Push((0, -75, 40), (60, 26, 60), (0, 0, 4.5), part="lower"),),
    "pucker": (
        Push((24, -45, 48), (10, 11, 14), (-8.5, 0, 5.0)),
        Push((0, -45, 60), (13, 12, 16), (0, 0, 6.5), (-0.22, -0.06, 0)),
        Push((36, -42, 34), (13, 16, 16), (-2.5, 0, 0.5)),
    ),
    "funnel": (
        Push((22, -45, 48), (11, 12, 14), (-5.5, 0, 3.0)),
        Push((0, -39, 60), (15, 8, 16), (0, 4.2, 5.0), part="upper"),
        Push((0, -51, 58), (15, 8, 16), (0, -5.0, 4.5), part="lower"),
    ),
    "lips_press": (
        Push((0, -40, 62), (20, 6, 10), (0, -1.6, -1.8), part="upper"),
        Push((0, -50, 60), (20, 6, 10), (0, 2.0, -1.8), part="lower"),
        Push((26, -45, 46), (8, 7, 10), (0.8, 0.2, -1.4)),
    ),
    "lip_roll_in": (
        Push((0, -38, 62), (19, 5, 10), (0, -2.3, -2.6), part="upper"),
        Push((0, -52, 60), (19, 5, 10), (0, 2.6, -2.6), part="lower"),
    ),
    "lips_stretch": (
        Push((25, -46, 48), (11, 10, 15), (6.0, -1.5, -3.6)),
        Push((14, -46, 54), (10, 8, 14), (1.6, 0, -1.0)),
        Push((44, -50, 20), (16, 18, 20), (2.0, -0.5, 0)),
    ),
    "upper_lip_raise": (
        Push((0, -38, 62), (18, 8, 14), (0, 4.6, 0.6), part="upper"),
        Push((20, -28, 50), (9, 12, 14), (0.5, 3.0, 0.8)),
        Push((12, -15, 56), (6, 7, 10), (0.6, 1.4, 0)),
    ),
    "lower_lip_down": (
        Push((0, -50, 60), (17, 8, 14), (0, -5.0, 0.4), part="lower"),
        Push((14, -60, 50), (10, 8, 12), (0, -2.0, 0), part="lower"),
    ),
    "cheeks_puff": (
        Push((42, -42, 24), (17, 17, 20), (7.5, 0, 5.5)),
        Push((26, -46, 48), (9, 9, 12), (-0.5, 0, 2.4)),
        Push((0, -32, 62), (16, 6, 10), (0, 0, 1.6)),
        Push((0, -58, 58), (16, 6, 10), (0, 0, 1.6)),
    ),
    **_pair(
        "cheek_squint", Push((36, 2, 40), (15, 9, 14), (0, 3.8, 1.6)), Push((31, 11, 42), (14, 5, 10), (0, 1.2, 0.5))
    ),
    "nose_wrinkle": (
        Push((10, -8, 55), (9, 13, 14), (0.3, 3.4, 0.3)),
        Push((8, 14, 50), (7, 9, 10), (0, 1.5, 0.6)),
        Push((0, -38, 62), (18, 9, 14), (0, 2.4, 0.4), part="upper"),
        Push((14, 40, 52), (12, 7, 12), (-0.8, -2.2, 0.6)),
    ),
    "mouth_left": (
        Push((0, -47, 56), (26, 15, 20), (5.0, 0, 0), side="left"),
        Push((26, -46, 46), (9, 9, 12), (1.4, 0.6, -1.8), side="left"),
        Push((26, -46, 46), (9, 9, 12), (-1.0, 0, 1.2), side="right"),
    ),
    "mouth_right": (
        Push((0, -47, 56), (26, 15, 20), (5.0, 0, 0), side="right"),
        Push((26, -46, 46), (9, 9, 12), (1.4, 0.6, -1.8), side="right"),
        Push((26, -46, 46), (9, 9, 12), (-1.0, 0, 1.2), side="left"),
    ),
}
