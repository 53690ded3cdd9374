"""Ways to wear the hair on the scalp."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """A way to wear the hair; lengths and radii in metres.

    length: (low, high) on top; sides, nape: length there, as a share of it
    fringe: length of the hair over the forehead as a share, 0 for hair that is combed from it like the rest
    comb: "whorl", "side", "back", "forward", "up" or "down"; lift: 0 flat .. 1 upright at the root
    volume: thickness of the layer; gravity: bend per step; cling: how much it bends back to the head
    drift: (low, high) bend forward per step below the chin: in front of or behind the shoulders
    opening: share of the face's half width that hair from the sides leaves free
    curl: radius of curls, turns: of each; clump: how far tips gather in locks 0..1, of `lock` strands
    count: strands; steps: points less one; width: half width, metres; tip: width at the end, as a share
    tie: "", "ponytail", "high ponytail", "bun", "top bun" or "braids"
    often: weights of being drawn for men and women; melanin: for (fair, dark) skin, times these
    """

    name: str
    length: tuple[float, float]
    lift: float
    volume: float
    comb: str
    gravity: float = 0.1
    sides: float = 1.0
    nape: float = 1.0
    fringe: float = 0.0
    cling: float = 0.35
    drift: tuple[float, float] = (0.0, 0.0)
    opening: float = 0.9
    curl: float = 0.0
    turns: tuple[float, float] = (1.5, 3.0)
    clump: float = 0.5
    lock: int = 24
    count: int = 5000
    steps: int = 5
    width: float = 0.0010
    tip: float = 0.3
    tie: str = ""
    often: tuple[float, float] = (1.0, 1.0)
    melanin: tuple[float, float] = (1.0, 1.0)


_SHORT, _LONG = (2.0, 0.25), (0.2, 2.0)
CUTS = (
    Cut("buzz", (0.003, 0.008), 0.45, 0.001, "whorl", 0, count=4500, steps=1, width=0.0008, clump=0, often=(2, 0.15)),
    Cut("crop", (0.014, 0.028), 0.35, 0.006, "whorl", 0.03, 0.35, 0.25, count=6000, steps=2, often=(3.0, 0.4)),
    Cut("forward", (0.020, 0.036), 0.30, 0.008, "forward", 0.05, 0.4, 0.3, steps=3, clump=0.6, often=_SHORT),
    Cut("spiky", (0.026, 0.046), 0.60, 0.012, "up", 0.02, 0.4, 0.35, steps=3, clump=0.8, cling=0.1, often=_SHORT),
    Cut("tousled", (0.030, 0.055), 0.60, 0.016, "whorl", 0.05, 0.5, 0.5, steps=4, clump=0.85, cling=0.2, often=_SHORT),
    Cut("side part", (0.050, 0.085), 0.35, 0.014, "across", 0.12, 0.35, 0.25, often=(3.0, 0.4)),
    Cut("swept back", (0.060, 0.100), 0.40, 0.014, "back", 0.06, 0.45, 0.45, often=(2.0, 0.5)),
    Cut("quiff", (0.045, 0.070), 0.75, 0.028, "back", 0.04, 0.25, 0.2, cling=0.45, often=(2.0, 0.2)),
    Cut("slicked", (0.070, 0.120), 0.08, 0.003, "back", 0.02, 0.7, 0.6, clump=0.8, often=(1.0, 0.7)),
    Cut("undercut", (0.060, 0.100), 0.45, 0.016, "across", 0.08, 0.08, 0.06, often=(1.5, 0.5)),
    Cut("faux hawk", (0.040, 0.070), 0.85, 0.022, "up", 0.0, 0.12, 0.12, steps=4, clump=0.8, cling=0, often=(0.6, 0.2)),
    Cut("mullet", (0.050, 0.080), 0.35, 0.012, "down", 0.15, 0.5, 2.0, 0.8, steps=9, often=(0.6, 0.4)),
    Cut("mop", (0.065, 0.100), 0.30, 0.016, "down", 0.12, 0.9, 0.7, 0.75, steps=6, opening=0.8, often=(1.5, 0.7)),
    Cut("side fringe", (0.065, 0.095), 0.25, 0.014, "across", 0.12, 0.8, 0.5, 0.9, steps=6, often=(2.0, 1.0)),
    Cut("curtains", (0.090, 0.130), 0.40, 0.014, "side", 0.14, 0.8, 0.6, steps=7, opening=0.7, often=(1.2, 0.6)),
    Cut("pixie", (0.035, 0.060), 0.25, 0.010, "across", 0.12, 0.6, 0.5, 1.1, steps=4, clump=0.7, often=(0.2, 1.0)),
    Cut("bob", (0.140, 0.190), 0.20, 0.013, "side", 0.20, steps=10, opening=0.85, often=_LONG),
    Cut("bob with fringe", (0.140, 0.190), 0.20, 0.013, "side", 0.20, fringe=0.5, steps=10, often=(0.1, 1.2)),
    Cut("shoulders", (0.19, 0.24), 0.2, 0.012, "side", 0.2, steps=11, drift=(-0.1, 0.1), opening=0.8, often=(0.5, 2.0)),
    Cut("long behind", (0.26, 0.34), 0.20, 0.012, "side", 0.20, steps=12, drift=(-0.15, -0.05), often=_LONG),
    Cut("long in front", (0.28, 0.36), 0.2, 0.014, "side", 0.2, steps=12, drift=(0.06, 0.14), opening=0.8, often=_LONG),
    Cut("long fringe", (0.26, 0.34), 0.20, 0.012, "side", 0.20, fringe=0.28, steps=12, drift=(-0.1, 0.12), often=_LONG),
    Cut("over the face", (0.22, 0.30), 0.2, 0.014, "across", 0.2, steps=11, drift=(0, 0.12), opening=0.45, often=_LONG),
    Cut("wavy", (0.24, 0.34), 0.30, 0.018, "side", 0.18, steps=13, drift=(-0.1, 0.12), curl=0.010, turns=(1.5, 2.5),
        clump=0.75, opening=0.8, count=4200, often=(0.2, 2.5), melanin=(1.0, 0.7)),
    Cut("big curls", (0.17, 0.26), 0.45, 0.024, "side", 0.16, steps=15, drift=(-0.08, 0.1), curl=0.011, turns=(3, 4.5),
        clump=0.85, count=3400, opening=0.85, often=(0.4, 1.5)),
    Cut("curly", (0.045, 0.080), 0.55, 0.020, "side", 0.08, 0.6, 0.6, steps=9, curl=0.005, clump=0.7, cling=0.2,
        count=4000, often=(1.5, 1.0), melanin=(0.8, 2.0)),
    Cut("afro", (0.030, 0.060), 0.95, 0.040, "whorl", 0.0, 0.9, 0.8, steps=7, curl=0.006, clump=0.0, cling=0.0,
        turns=(1.5, 3.0), tip=1.1, often=(1.5, 1.2), melanin=(0.05, 2.5)),
    Cut("big afro", (0.055, 0.085), 0.97, 0.070, "whorl", 0.0, 0.95, 0.8, steps=9, curl=0.010, clump=0.0, cling=0.0,
        turns=(2.5, 4.0), tip=1.1, often=(0.5, 0.8), melanin=(0.05, 1.5)),
    Cut("locs", (0.10, 0.28), 0.40, 0.018, "side", 0.16, steps=11, clump=0.97, lock=40, drift=(-0.1, 0.1),
        opening=0.9, often=(0.6, 0.6), melanin=(0.1, 2.0)),
    Cut("ponytail", (0.26, 0.30), 0.12, 0.005, "back", tie="ponytail", steps=12, clump=0.2, often=(0.15, 1.5)),
    Cut("high ponytail", (0.26, 0.30), 0.1, 0.004, "back", tie="high ponytail", steps=12, clump=0.2, often=(0.1, 1.2)),
    Cut("bun", (0.26, 0.30), 0.14, 0.006, "back", tie="bun", steps=12, clump=0.2, often=(0.1, 1.5)),
    Cut("top bun", (0.26, 0.30), 0.12, 0.005, "back", tie="top bun", steps=12, clump=0.2, often=(0.4, 1.0)),
    Cut("braids", (0.26, 0.30), 0.12, 0.004, "side", tie="braids", steps=12, clump=0.2, often=(0.1, 1.2)),
)  # fmt: skip
