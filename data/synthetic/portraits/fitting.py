"""What clothes, hats and hands need to know of the mean head, measured once."""

from dataclasses import dataclass

import numpy as np

from data.synthetic.portraits.bust import Bust, make_bust
from data.synthetic.portraits.head import Head
from data.synthetic.portraits.star import Star, make_star

SKULL_SMOOTH = 9  # pixels of a Star's map: cloth lies over ears and nose, not in their hollows


@dataclass(frozen=True)
class Fitting:
    """Canonical metres.

    marks: (68, 3) landmarks; skull: the skin seen from between the ears, without its hollows; bust: the body
    eye: (3,) middle of the left eyeball, z of its front; ear: (3,) where the left ear meets the head above
    front: (K, 3) some of the skin about eyes and nose, 2 mm apart or so
    """

    marks: np.ndarray
    skull: Star
    bust: Bust
    eye: np.ndarray
    ear: np.ndarray
    front: np.ndarray


def make_fitting(head: Head) -> Fitting:
    """Measures the mean head; a tenth of a second."""
    marks, skin = head.mean[head.landmarks68], head.mean[head.skin]
    cheek = marks[16]
    eyeball = head.mean[head.regions["sclera_l"]]
    eye = np.array([eyeball[:, 0].mean(), eyeball[:, 1].mean(), eyeball[:, 2].max()])
    level = np.abs(skin[:, 1] - eye[1] - 0.01) < 0.012
    behind = (skin[:, 2] < cheek[2] - 0.012) & (skin[:, 2] > cheek[2] - 0.045)
    ear = np.array([skin[level & behind, 0].max(), eye[1] + 0.012, cheek[2] - 0.022])
    front = skin[(skin[:, 2] > cheek[2] + 0.02) & (np.abs(skin[:, 1] - eye[1]) < 0.035)][::4]
    top = skin[skin[:, 1] > eye[1], 2]
    centre = np.array([0.0, cheek[1] + 0.01, (top.min() + top.max()) / 2])
    skull = make_star(head, centre, head.skin_triangles, outermost=True, smooth=SKULL_SMOOTH)
    return Fitting(marks, skull, make_bust(head), eye, ear, front)
