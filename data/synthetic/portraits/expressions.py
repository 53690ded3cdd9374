"""What scan-based heads do with their faces: weights of ICT-FaceKit's expressions, by name."""

import numpy as np

from data.synthetic.expression import EXPRESSIONS

Weights = dict[str, float]

SIDES = (("left", "L"), ("right", "R"))
# What the actions of data.synthetic.sweep are made of, as the head's own expressions.
_FROM_SWEEP: dict[str, Weights] = {
    "jaw_open": {"jawOpen": 0.8},
    "jaw_forward": {"jawForward": 1.0},
    "jaw_left": {"jawLeft": 1.0},
    "jaw_right": {"jawRight": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "funnel": {"mouthFunnel": 1.0},
    "lips_press": {"mouthPress_L": 1.0, "mouthPress_R": 1.0},
    "lips_stretch": {"mouthStretch_L": 1.0, "mouthStretch_R": 1.0},
    "lip_roll_in": {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    "lower_lip_down": {"mouthLowerDown_L": 1.0, "mouthLowerDown_R": 1.0},
    "upper_lip_raise": {"mouthUpperUp_L": 1.0, "mouthUpperUp_R": 1.0},
    "cheeks_puff": {"cheekPuff_L": 1.0, "cheekPuff_R": 1.0},
    "nose_wrinkle": {"noseSneer_L": 1.0, "noseSneer_R": 1.0},
    "brow_down": {"browDown_L": 1.0, "browDown_R": 1.0},
    "brow_inner_up": {"browInnerUp_L": 1.0, "browInnerUp_R": 1.0},
    "wide_eyes": {"eyeWide_L": 1.0, "eyeWide_R": 1.0},
    "mouth_left": {"mouthLeft": 1.0},
    "mouth_right": {"mouthRight": 1.0},
}
for _side, _letter in SIDES:
    _FROM_SWEEP |= {
        f"smile_{_side}": {f"mouthSmile_{_letter}": 0.9},
        f"frown_{_side}": {f"mouthFrown_{_letter}": 1.0},
        f"blink_{_side}": {f"eyeBlink_{_letter}": 1.0},
        f"cheek_squint_{_side}": {f"cheekSquint_{_letter}": 1.0, f"eyeSquint_{_letter}": 0.4},
        f"brow_outer_up_{_side}": {f"browOuterUp_{_letter}": 1.0},
    }

# Radians that the eyes have turned where the lids go along with a weight of one.
LOOK_ANGLE = 0.55

# Moods of people on photographs, and how often: alternatives of ranges of weights. "*" stands for L and R.
Ranges = dict[str, tuple[float, float]]
MOODS: tuple[tuple[float, Ranges], ...] = (
    (0.22, {}),
    (0.20, {"mouthSmile_*": (0.2, 0.7), "cheekSquint_*": (0.0, 0.4)}),
    (
        0.18,
        {
            "mouthSmile_*": (0.5, 1.0),
            "cheekSquint_*": (0.2, 0.8),
            "jawOpen": (0.05, 0.3),
            "mouthUpperUp_*": (0.1, 0.5),
            "eyeSquint_*": (0.0, 0.5),
        },
    ),
    (0.10, {"jawOpen": (0.1, 0.5), "mouthFunnel": (0.0, 0.5), "mouthStretch_*": (0.0, 0.3)}),
    (0.05, {"jawOpen": (0.5, 1.0), "eyeWide_*": (0.0, 0.8), "browInnerUp_*": (0.0, 1.0)}),
    (0.05, {"browDown_*": (0.3, 1.0), "mouthFrown_*": (0.1, 0.8), "eyeSquint_*": (0.0, 0.6)}),
    (0.04, {"mouthPucker": (0.3, 1.0)}),
    (0.04, {"browInnerUp_*": (0.3, 1.0), "browOuterUp_*": (0.2, 1.0), "eyeWide_*": (0.0, 0.7)}),
    (0.03, {"noseSneer_*": (0.3, 1.0), "mouthUpperUp_*": (0.0, 0.6), "browDown_*": (0.2, 0.8)}),
    (0.03, {"mouthPress_*": (0.3, 1.0), "mouthRollLower": (0.0, 0.6), "mouthRollUpper": (0.0, 0.6)}),
    (0.03, {"cheekPuff_*": (0.3, 1.0), "mouthPress_*": (0.2, 0.6)}),
    (0.03, {"eyeSquint_*": (0.3, 1.0), "mouthDimple_*": (0.0, 1.0)}),
)
# Beside the mood: how often a face does a little of something else, or closes its eyes.
STRAY_SHARE, CLOSED_SHARE, WINK_SHARE = 0.6, 0.05, 0.03
STRAYS = (
    "mouthLeft",
    "mouthRight",
    "jawLeft",
    "jawRight",
    "jawForward",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthRollLower",
    "browInnerUp_*",
    "browOuterUp_*",
    "browDown_*",
    "eyeSquint_*",
    "mouthDimple_*",
    "mouthLowerDown_*",
    "mouthFrown_*",
    "noseSneer_*",
)


def of_sweep(amounts: np.ndarray) -> Weights:
    """The head's expressions for weights (E,) of data.synthetic.expression.EXPRESSIONS, which actions are told in."""
    weights: Weights = {}
    for name, amount in zip(EXPRESSIONS, amounts.tolist(), strict=True):
        for own, share in _FROM_SWEEP.get(name, {}).items():
            weights[own] = min(1.0, weights.get(own, 0.0) + amount * share)
    return weights


def draw_expression(rng: np.random.Generator) -> Weights:
    """A face as photographs show it: a mood, some asymmetry, perhaps a little of something else, or shut eyes."""
    shares = np.array([share for share, _ in MOODS])
    _, mood = MOODS[int(rng.choice(len(MOODS), p=shares / shares.sum()))]
    weights: Weights = {}
    for name, (low, high) in mood.items():
        _add(rng, weights, name, rng.uniform(low, high))
    while rng.random() < STRAY_SHARE:
        _add(rng, weights, str(rng.choice(STRAYS)), rng.uniform(0.05, 0.45))
    chance, winking = rng.random(), rng.choice(["L", "R"])
    for _, letter in SIDES:
        shut = chance < CLOSED_SHARE or (chance < CLOSED_SHARE + WINK_SHARE and letter == winking)
        lowered = abs(rng.normal(0.0, 0.08))
        weights[f"eyeBlink_{letter}"] = rng.uniform(0.7, 1.0) if shut else lowered
    return weights


def _add(rng: np.random.Generator, weights: Weights, name: str, amount: float) -> None:
    """More of an expression; of one with two sides each gets a little more or less."""
    names = [name.replace("*", letter) for _, letter in SIDES] if "*" in name else [name]
    for own in names:
        scatter = rng.uniform(0.8, 1.2) if len(names) == 2 else 1.0
        weights[own] = float(np.clip(weights.get(own, 0.0) + amount * scatter, 0.0, 1.0))


def follow_gaze(weights: Weights, left: float, up: float) -> Weights:
    """The weights with lids that go along with eyes turned to the face's left and up by so many radians."""
    towards = {"In_R": left, "Out_L": left, "Out_R": -left, "In_L": -left}
    towards |= {f"Up_{letter}": up for _, letter in SIDES} | {f"Down_{letter}": -up for _, letter in SIDES}
    looks = {f"eyeLook{name}": min(1.0, angle / LOOK_ANGLE) for name, angle in towards.items() if angle > 0}
    return weights | looks
