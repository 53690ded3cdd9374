"""Facial actions over time: how the head moves, what the face does and where the eyes look.

A sequence is one subject doing one action for SEQUENCE_LENGTH frames. `draw_sequence` draws what is constant in
it (where the person sits, how far the head turns, how strong the expression is); `pose_at`, `expression_at` and
`gaze_at` then evaluate it at a time in [0, 1).
"""

from dataclasses import dataclass

import numpy as np

from data.synthetic.geometry import smooth_step
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pose import pose_from_6dof, pose_to_6dof

SEQUENCE_LENGTH = 240  # frames of one recorded action

# Where the head turns about, canonical metres: between the upper neck vertebrae.
NECK_PIVOT = np.array([0.0, -0.085, -0.045])

# Label means of the WCPA training set: pitch, yaw, roll (radians), tx, ty, tz (metres).
WCPA_MEAN = np.array([-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206])
WCPA_STD = np.array([0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444])

# Where sequences sit on average (turning about the neck moves the head by the rest), how far they sit from it, and
# how far the head drifts in one; metres, the last two standard deviations.
SEAT_MEAN = WCPA_MEAN[3:] + np.array([0.0025, 0.0035, 0.0045])
SEAT_SPREAD = np.array([0.0165, 0.0475, 0.0615])
SEAT_DRIFT = np.array([0.008, 0.008, 0.010])
# The face may come this near to the border of the picture, as a share of half the picture.
BORDER = 0.97
SEAT_LIMIT = 2.2  # standard deviations; keeps the face inside the picture and the camera out of the face


@dataclass(frozen=True)
class Motion:
    """How a head moves, in radians of pitch, yaw and roll.

    sweep: mean amplitude of the sine that the action asks for
    stray: standard deviation of what comes on top, half of it constant in a sequence, half slow drift
    """

    sweep: tuple[float, float, float]
    stray: tuple[float, float, float]


MOTIONS = {
    "turn": Motion((0.0, 0.56, 0.0), (0.120, 0.060, 0.055)),
    "nod": Motion((0.63, 0.0, 0.0), (0.060, 0.110, 0.062)),
    "tilt": Motion((0.0, 0.0, 0.265), (0.110, 0.140, 0.045)),
    "front": Motion((0.20, 0.16, 0.0), (0.210, 0.180, 0.085)),
    "free": Motion((0.12, 0.20, 0.06), (0.190, 0.260, 0.075)),
}


@dataclass(frozen=True)
class Action:
    """A facial action of the recording protocol.

    name: the folder name; motion: a key of MOTIONS
    expressions: alternatives, each {expression name: weight at full strength}; a sequence shows one of them
    course: "hold" (raised, held and released), "sway" (back and forth between the first two alternatives) or
    "talk" (a run of syllables, each one of the alternatives)
    """

    name: str
    motion: str
    expressions: tuple[dict[str, float], ...]
    course: str = "hold"


def _both(*names: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{name}_{side}": weight for name in names for side in ("left", "right")}


ACTIONS = (
    Action("01_LeftToRight_Neutral", "turn", ({},)),
    Action("02_UpToDown_Neutral", "nod", ({},)),
    Action(
        "03_Tilt_Smile",
        "tilt",
        (
            _both("smile", weight=0.9) | _both("cheek_squint", weight=0.5),
            _both("smile") | _both("cheek_squint", weight=0.7) | {"jaw_open": 0.22},
        ),
    ),
    Action("04_LeftToRight_OpenMouth", "turn", ({"jaw_open": 0.95}, {"jaw_open": 0.6, "funnel": 0.4})),
    Action("05_UpToDown_CloseEyes", "nod", (_both("blink"),)),
    Action("06_LeftToRight_Pucker", "turn", ({"pucker": 1.0}, {"pucker": 0.6, "funnel": 0.5})),
    Action(
        "07_UpToDown_Frown",
        "nod",
        (
            _both("frown", weight=0.6) | {"brow_down": 1.0},
            _both("frown") | {"brow_down": 0.5, "lips_press": 0.4},
        ),
    ),
    Action(
        "08_Front_RaiseBrows",
        "front",
        (
            _both("brow_outer_up") | {"brow_inner_up": 1.0, "wide_eyes": 0.6},
            _both("brow_outer_up", weight=0.2) | {"brow_inner_up": 0.9, "wide_eyes": 0.3},
        ),
    ),
    Action("09_UpToDown_PuffCheeks", "nod", ({"cheeks_puff": 1.0, "lips_press": 0.3},)),
    Action("10_LeftToRight_Jaw", "turn", ({"jaw_left": 1.0}, {"jaw_right": 1.0}), "sway"),
    Action(
        "11_UpToDown_Disgust",
        "nod",
        (
            _both("cheek_squint", weight=0.6) | {"nose_wrinkle": 1.0, "brow_down": 0.6, "upper_lip_raise": 0.5},
            _both("frown", weight=0.5) | {"nose_wrinkle": 0.8, "lips_stretch": 0.4, "jaw_open": 0.1},
        ),
    ),
    Action(
        "12_Free_Talk",
        "free",
        (
            {"jaw_open": 0.45},
            {"jaw_open": 0.2, "funnel": 0.6},
            {"pucker": 0.6},
            {"jaw_open": 0.25, "lips_stretch": 0.5},
            {"lips_press": 0.7, "lip_roll_in": 0.3},
            {"jaw_open": 0.2} | _both("smile", weight=0.5),
        ),
        "talk",
    ),
)


@dataclass(frozen=True)
class Sequence:
    """One subject doing one action; see `draw_sequence`.

    centre, amplitude, drift: (3,) radians of pitch, yaw, roll; seat, seat_drift: (3,) metres
    cycles, phase: of the sweep; drift_phase: (6,) of the slow drift
    strength: of the expression; choice: which alternative; syllables: (S, 2) alternative and weight of each
    gaze_hold: 1 where the eyes stay on the camera, 0 where they turn with the head
    """

    action: Action
    centre: np.ndarray
    amplitude: np.ndarray
    drift: np.ndarray
    seat: np.ndarray
    seat_drift: np.ndarray
    cycles: float
    phase: float
    drift_phase: np.ndarray
    strength: float
    choice: int
    syllables: np.ndarray
    gaze_hold: float


def actions_of_subject(subject_index: int, num_actions: int, seed: int) -> list[Action]:
    """The actions of one subject in protocol order: dealt in turn from one shuffled deck, so that all are used.

    Raises InputError where num_actions is not in 1..len(ACTIONS).
    """
    if not 1 <= num_actions <= len(ACTIONS):
        raise InputError(f"num_actions: wanted 1..{len(ACTIONS)}, got {num_actions}")
    deck = np.random.default_rng([seed, 0xDECC]).permutation(len(ACTIONS))
    dealt = deck[(subject_index * num_actions + np.arange(num_actions)) % len(ACTIONS)]
    return [ACTIONS[index] for index in sorted(dealt)]


def draw_sequence(action: Action, rng: np.random.Generator) -> Sequence:
    """Draws everything about a sequence that does not change with time."""
    motion = MOTIONS[action.motion]
    stray = np.array(motion.stray) / np.sqrt(2.0)
    direction = rng.choice([-1.0, 1.0])  # some start to the left, some to the right
    count = int(rng.integers(8, 14))
    return Sequence(
        action=action,
        centre=WCPA_MEAN[:3] + stray * rng.standard_normal(3),
        amplitude=direction * np.array(motion.sweep) * rng.uniform(0.75, 1.25),
        drift=stray * np.sqrt(2.0) * rng.uniform(0.6, 1.4, 3),
        seat=SEAT_SPREAD * np.clip(rng.standard_normal(3), -SEAT_LIMIT, SEAT_LIMIT),
        seat_drift=SEAT_DRIFT * np.sqrt(2.0),
        cycles=rng.uniform(0.8, 1.6),
        phase=rng.uniform(0.0, 2.0 * np.pi),
        drift_phase=rng.uniform(0.0, 2.0 * np.pi, 6),
        strength=rng.uniform(0.75, 1.1),
        choice=int(rng.integers(len(action.expressions))),
        syllables=np.column_stack([rng.integers(0, len(action.expressions), count), rng.uniform(0.4, 1.2, count)]),
        gaze_hold=rng.choice([0.0, 0.9, rng.uniform(0.2, 0.8)]),
    )


def pose_at(sequence: Sequence, time: float) -> np.ndarray:
    """(4, 4) float64 pose R_t at a time in [0, 1): the head turns about the neck, not about its own middle."""
    slow = np.sin(2.0 * np.pi * 1.3 * time + sequence.drift_phase)
    sweep = np.sin(2.0 * np.pi * sequence.cycles * time + sequence.phase)
    angles = sequence.centre + sequence.amplitude * sweep + sequence.drift * slow[:3]
    place = SEAT_MEAN + sequence.seat + sequence.seat_drift * slow[3:]
    R_t = pose_from_6dof(np.concatenate([angles, place]))
    R_t[3, :3] += NECK_PIVOT - NECK_PIVOT @ R_t[:3, :3]
    return R_t


def keep_inside(R_t: np.ndarray, verts: np.ndarray, projection: np.ndarray = WCPA_PROJECTION) -> np.ndarray:
    """Shifts a pose (4, 4) sideways so that the face verts (N, 3) stay in the picture, as the recordings' do; and away
    from a camera whose view is too narrow for the face."""
    image, distance = project(transform(verts, R_t), projection, 2, 2)  # 2 x 2 pixels: 1 pixel is half the picture
    while distance.min() <= 0 or np.ptp(image, axis=0).max() > 2 * BORDER:
        R_t = R_t.copy()
        R_t[3, :3] *= 1.1
        image, distance = project(transform(verts, R_t), projection, 2, 2)
    low, high = image.min(axis=0) - 1.0, image.max(axis=0) - 1.0
    shift = np.maximum(-BORDER - low, 0.0) - np.maximum(high - BORDER, 0.0)
    moved = R_t.copy()
    moved[3, :2] += shift * [1.0, -1.0] * distance.mean() / projection[[0, 1], [0, 1]]
    return moved


def body_pose(R_t: np.ndarray, follow: tuple[float, float, float] = (0.12, 0.30, 0.15)) -> np.ndarray:
    """(4, 4) pose of the shoulders under a head with pose R_t: a share of its turn about the same neck.

    follow: the shares of pitch, yaw and roll that the shoulders take part in
    """
    six = pose_to_6dof(R_t)
    six[:3] *= follow
    body = pose_from_6dof(six)
    body[3, :3] = R_t[3, :3] + NECK_PIVOT @ R_t[:3, :3] - NECK_PIVOT @ body[:3, :3]
    return body


def action_weights(sequence: Sequence, time: float) -> dict[str, float]:
    """Expression name -> weight that the action itself asks for at a time in [0, 1)."""
    alternatives = sequence.action.expressions
    if sequence.action.course == "talk":
        position = time * len(sequence.syllables)
        alternative, weight = sequence.syllables[int(position)]
        level = weight * np.sin(np.pi * (position % 1.0))
        return {name: level * full for name, full in alternatives[int(alternative)].items()}
    level = sequence.strength * smooth_step(time, 0.0, 0.15) * smooth_step(time, 1.0, 0.85)
    if sequence.action.course == "sway":
        swing = level * np.sin(2.0 * np.pi * 1.5 * time + sequence.drift_phase[0])
        return {
            name: max(0.0, side * swing) * full
            for side, alternative in zip((1.0, -1.0), alternatives, strict=True)
            for name, full in alternative.items()
        }
    return {name: level * full for name, full in alternatives[sequence.choice].items()}


def expression_at(
    sequence: Sequence, time: float, expression_names: tuple[str, ...], rng: np.random.Generator
) -> np.ndarray:
    """(E,) float32 expression weights, in the order of `expression_names`, at a time in [0, 1).

    What the action asks for, and on top of it the small asymmetric stir of a living face and now and then a blink.
    A name of the action that the face model does not know is left out.
    """
    wanted = action_weights(sequence, time)
    weights = np.array([wanted.get(name, 0.0) for name in expression_names])
    weights *= rng.uniform(0.85, 1.15, len(weights))
    weights += np.abs(rng.normal(0.0, 0.03, len(weights)))
    blink = rng.uniform(0.3, 1.0) if rng.random() < 0.06 else 0.0
    for index, name in enumerate(expression_names):
        if name.startswith("blink"):
            weights[index] = max(weights[index], blink)
    return np.clip(weights, 0.0, 1.0).astype(np.float32)


def gaze_at(sequence: Sequence, time: float, rng: np.random.Generator) -> tuple[float, float]:
    """Radians that the eyes look to the face's left and up: partly held on the camera, partly straying."""
    motion = MOTIONS[sequence.action.motion]
    sweep = np.sin(2.0 * np.pi * sequence.cycles * time + sequence.phase)
    down, left, _ = sequence.amplitude * sweep
    stray = 0.05 + 0.10 * (motion is MOTIONS["free"])
    left = -sequence.gaze_hold * left + rng.normal(0.0, stray)
    up = sequence.gaze_hold * down + rng.normal(0.0, stray)
    return float(np.clip(left, -0.5, 0.5)), float(np.clip(up, -0.35, 0.35))
