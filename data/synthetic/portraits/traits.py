"""What is drawn once per person on a scan-based head, as numbers."""

from dataclasses import dataclass

import numpy as np

from data.synthetic.appearance import HAIR_COLOURS, IRIS_COLOURS
from data.synthetic.noise import random_colour, to_linear

FAIR, DARK = 0.35, 0.9  # melanin below and above which hair and eyes are drawn otherwise
HAIR_SHARES = {  # in the order of HAIR_COLOURS: black, dark brown ... grey, white
    "fair": (0.06, 0.18, 0.22, 0.16, 0.13, 0.10, 0.05, 0.04, 0.03, 0.03),
    "middle": (0.48, 0.30, 0.10, 0.02, 0.01, 0.01, 0.01, 0.02, 0.03, 0.02),
    "dark": (0.80, 0.11, 0.02, 0.0, 0.0, 0.01, 0.0, 0.01, 0.03, 0.02),
}
IRIS_SHARES = {
    "fair": (0.08, 0.20, 0.16, 0.13, 0.32, 0.11),
    "middle": (0.58, 0.30, 0.07, 0.02, 0.02, 0.01),
    "dark": (0.85, 0.13, 0.01, 0.005, 0.005, 0.0),
}


@dataclass(frozen=True)
class MakeUp:
    """Linear colours (3,) and how strongly each is laid on, 0..1. Foundation makes the skin even."""

    lipstick: np.ndarray
    lips: float
    shadow: np.ndarray
    lids: float
    liner: float
    blush: np.ndarray
    cheeks: float
    foundation: float


NO_MAKE_UP = MakeUp(np.zeros(3, np.float32), 0.0, np.zeros(3, np.float32), 0.0, 0.0, np.zeros(3, np.float32), 0.0, 0.0)


@dataclass(frozen=True)
class Traits:
    """What is drawn once per person.

    age: 0 young .. 1 old; masculine: sways hair and beard
    melanin, haemoglobin, carotene: amounts of pigment (see data.synthetic.appearance)
    hair, roots: (3,) linear, the hair's colour and its natural one, which brows, lashes and beard have when it is dyed
    iris: a key of IRIS_COLOURS; iris_radius, pupil_radius: metres; sclera: 0..1, red and yellow
    blotches, flush, tan, rings, lips, freckles, moles, wrinkles, pores, oil, stubble: strengths, mostly 0..1
    brows: how dense hair is in the skin's texture, under the strands or without any
    vitiligo, birthmark: seldom not 0
    teeth: 0 white .. 1 yellow
    """

    age: float
    masculine: bool
    melanin: float
    haemoglobin: float
    carotene: float
    hair: np.ndarray
    roots: np.ndarray
    iris: str
    iris_radius: float
    pupil_radius: float
    sclera: float
    blotches: float
    flush: float
    tan: float
    rings: float
    lips: float
    freckles: float
    moles: int
    wrinkles: float
    pores: float
    oil: float
    stubble: float
    brows: float
    vitiligo: float
    birthmark: float
    teeth: float
    make_up: MakeUp


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draws a person; hair and eyes go with the skin's melanin, wrinkles and grey hair with age, as they mostly do."""
    melanin = float(rng.choice([rng.uniform(0.06, 0.35), rng.uniform(0.3, 0.9), rng.uniform(0.9, 2.4)]))
    kind = "fair" if melanin < FAIR else "dark" if melanin > DARK else "middle"
    masculine = bool(rng.random() < 0.5)
    age = float(rng.beta(1.1, 1.6))
    natural = draw_hair_colour(rng, kind, age)
    return Traits(
        age=age,
        masculine=masculine,
        melanin=melanin,
        haemoglobin=float(rng.uniform(0.18, 0.65)),
        carotene=float(rng.uniform(0.0, 0.75)),
        hair=random_colour(rng, (0.3, 0.9), (0.2, 0.9)) if rng.random() < 0.05 else natural,
        roots=natural,
        iris=str(rng.choice(list(IRIS_COLOURS), p=IRIS_SHARES[kind])),
        iris_radius=float(rng.uniform(0.0054, 0.0062)),
        pupil_radius=float(rng.uniform(0.0011, 0.0032)),
        sclera=float(rng.beta(1.2, 2.5)),
        blotches=float(rng.uniform(0.2, 1.0)),
        flush=float(rng.beta(1.2, 2.0)) * (1.4 if kind == "fair" else 1.0),
        tan=float(rng.beta(1.0, 2.5)),
        rings=float(np.clip(rng.beta(1.3, 2.2) + 0.3 * age, 0.0, 1.0)),
        lips=float(rng.uniform(0.35, 1.2) * (1.0 - 0.45 * age)),
        freckles=float(rng.uniform(0.25, 1.2)) if rng.random() < (0.35 if kind == "fair" else 0.08) else 0.0,
        moles=int(rng.poisson(6.0)),
        wrinkles=float(np.clip((age - 0.25) * rng.uniform(0.6, 1.7), 0.0, 1.0)),
        pores=float(rng.uniform(0.3, 1.0)),
        oil=float(rng.beta(1.6, 2.0)),
        stubble=float(rng.beta(1.2, 1.5)) if masculine and rng.random() < 0.7 else 0.0,
        brows=float(rng.uniform(0.1, 0.9)),
        vitiligo=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.02 else 0.0,
        birthmark=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.04 else 0.0,
        teeth=float(np.clip(rng.beta(1.5, 2.5) + 0.2 * age, 0.0, 1.0)),
        make_up=draw_make_up(rng) if rng.random() < (0.03 if masculine else 0.5) else NO_MAKE_UP,
    )


def draw_hair_colour(rng: np.random.Generator, kind: str, age: float) -> np.ndarray:
    """(3,) linear: natural, or grey with age. kind: a key of HAIR_SHARES."""
    name = str(rng.choice(list(HAIR_COLOURS), p=HAIR_SHARES[kind]))
    if rng.random() < 1.4 * age - 0.6:
        name = str(rng.choice(["grey", "white"]))
    spread = np.exp(rng.normal(0.0, 0.15) + rng.normal(0.0, 0.04, 3))
    return (to_linear(np.array(HAIR_COLOURS[name]) / 255.0) * spread).astype(np.float32)


def draw_make_up(rng: np.random.Generator) -> MakeUp:
    """Lipstick from nude to red, seldom any colour; eye shadow from brown to any; liner; blush."""
    lipstick = np.array([rng.uniform(0.40, 0.85), rng.uniform(0.05, 0.40), rng.uniform(0.10, 0.45)])
    loud = rng.random() < 0.12
    shadow = np.array([rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.55), rng.uniform(0.15, 0.5)])
    return MakeUp(
        lipstick=random_colour(rng, (0.3, 1.0), (0.1, 0.8)) if loud else to_linear(lipstick),
        lips=float(rng.uniform(0.3, 0.95) * (rng.random() < 0.8)),
        shadow=random_colour(rng, (0.2, 0.9), (0.1, 0.8)) if rng.random() < 0.15 else to_linear(shadow),
        lids=float(rng.uniform(0.15, 0.7) * (rng.random() < 0.6)),
        liner=float(rng.uniform(0.3, 1.0) * (rng.random() < 0.6)),
        blush=to_linear(np.array([rng.uniform(0.7, 0.85), rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.5)])),
        cheeks=float(rng.uniform(0.05, 0.35) * (rng.random() < 0.5)),
        foundation=float(rng.uniform(0.2, 0.9)),
    )
