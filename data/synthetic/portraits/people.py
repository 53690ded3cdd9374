"""People: characters, which are looks, hair and clothes on the mean head, and persons, who have heads of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from data.synthetic.geometry import smooth_step
from data.synthetic.portraits.bust import rim_of
from data.synthetic.portraits.fitting import make_fitting
from data.synthetic.portraits.hair_colours import DyedStrands
from data.synthetic.portraits.hair_laying import make_bed
from data.synthetic.portraits.hairdos import Hairdo, grow, thin
from data.synthetic.portraits.head import EYES, FACE, TEETH, Head
from data.synthetic.portraits.light import LUMINANCE
from data.synthetic.portraits.looks import Look, Looks
from data.synthetic.portraits.outfit import Outfit, make_outfit, pyramid
from data.synthetic.portraits.shadows import coarse_triangles, head_transfer
from data.synthetic.portraits.texels import DETAIL_MEAN
from data.synthetic.portraits.wear import draw_wear

# Traits.age from 0 to 1 is from this to that many years.
YEARS = (18.0, 80.0)
# Metres below the chin, along a neck that leans forward, at which skin begins to follow the shoulders, and does so
# altogether.
NECK, NECK_LEAN = (0.0, 0.085), 0.30
FEW_STRANDS = 400  # a group of hair keeps so many: brows and lashes have few and need them
FEWER_STEPS = -3  # shares of hair of 2 to half this power have shorter polylines, too
IDENTITY_LIMIT = 2.5  # standard deviations


@dataclass(frozen=True)
class Character:
    """Everything about a person but the shape of the head, on the mean head.

    levels: for each surface of the head the levels of its texture; face_albedo: the mean luminance of its skin
    thinned: what `strands` has made already
    """

    look: Look
    levels: list[list[np.ndarray]]
    hairdo: Hairdo
    outfit: Outfit
    face_albedo: float
    thinned: dict[int, tuple[DyedStrands, ...]] = field(default_factory=dict)

    def strands(self, share: float) -> tuple[DyedStrands, ...]:
        """The scalp's hair, if any, first, then brows, lashes and beard, as few groups as may be: about that share of
        the strands, which are wider for it; one of few shares, so that it is seldom made anew."""
        step = round(2.0 * np.log2(share))
        if step not in self.thinned:
            groups = [group for group in (self.hairdo.scalp, *self.hairdo.others) if group is not None]
            if step < 0:
                groups = [
                    thin(group, max(2.0 ** (step / 2), min(1.0, FEW_STRANDS / max(len(group.points), 1))))
                    for group in groups
                ]
            if step <= FEWER_STEPS:
                groups = [with_fewer_steps(group) for group in groups]
            self.thinned[step] = tuple(joined(groups))
        return self.thinned[step]


@dataclass(frozen=True)
class Person:
    """identity: (I,) float32 weights of the head; neutral: (V, 3) float32 the head without expression; worn: (P, 3) the
    outfit fitted to it"""

    studio: "Studio"
    character: Character
    identity: np.ndarray
    neutral: np.ndarray
    worn: np.ndarray

    def express(self, weights: Mapping[str, float], gaze: tuple[float, float]) -> np.ndarray:
        """(V, 3) float32: see Head.express."""
        return self.studio.head.express(self.neutral, weights, gaze)


def joined(groups: Sequence[DyedStrands]) -> list[DyedStrands]:
    """As few groups as there are kinds of strands: those that turn with the skin or not, of so many points."""
    kinds: dict[tuple[bool, int], list[DyedStrands]] = {}
    for group in groups:
        kinds.setdefault((group.turns, group.points.shape[1]), []).append(group)
    names = [name.name for name in fields(DyedStrands) if name.name != "turns"]
    return [
        replace(same[0], **{name: np.concatenate([getattr(group, name) for group in same]) for name in names})
        for same in kinds.values()
    ]


def with_fewer_steps(strands: DyedStrands) -> DyedStrands:
    """Strands with about half as many points."""
    count = strands.points.shape[1]
    kept = np.unique(np.round(np.linspace(0, count - 1, count // 2 + 1)).astype(int))
    return replace(strands, points=strands.points[:, kept], widths=strands.widths[:, kept])


class Studio:
    """A head, and what is the same for everybody who has one: made once a process, in a few seconds.

    neck_weight: (V, 1) 0 on the head .. 1 where skin moves with the shoulders; casters: see coarse_triangles
    rim: drawn vertices of the skin's lower rim
    wet: (M,) whether a drawn vertex is of eyes and teeth, whose reflections are sharp
    """

    def __init__(self, head: Head):
        self.head = head
        self.looks = Looks(head)
        self.bed = make_bed(head)
        self.fit = make_fitting(head)
        self.transfer = head_transfer(head)
        self.casters = coarse_triangles(head)
        self.neck_weight = neck_weight(head)
        self.rim = np.flatnonzero(np.isin(head.source, rim_of(head)))
        self.wet = np.zeros(len(head.source), bool)
        self.wet[head.drawn_triangles[np.isin(head.surface, (EYES, TEETH))]] = True

    @cached_property
    def face_vertices(self) -> np.ndarray:
        """Drawn vertices of the face without its border, for its mean colour."""
        drawn = np.zeros(len(self.head.source), bool)
        drawn[self.head.drawn_triangles[self.head.surface == FACE]] = True
        points = self.head.mean[self.head.source]
        front = points[:, 2] > self.head.mean[self.head.landmarks68[[0, 16]], 2].mean()
        chin = self.head.mean[self.head.landmarks68[8], 1]
        return np.flatnonzero(drawn & front & (points[:, 1] > chin))

    def draw_character(self, rng: np.random.Generator) -> Character:
        """Somebody's looks, hair and clothes."""
        look = self.looks.draw(rng)
        traits = look.traits
        years = YEARS[0] + (YEARS[1] - YEARS[0]) * traits.age
        hairdo = grow(rng, self.bed, traits.roots, traits.melanin, traits.masculine, years)
        skin = look.albedo[self.face_vertices].mean(axis=0) * DETAIL_MEAN
        chest = look.albedo[self.rim].mean(axis=0) * DETAIL_MEAN
        worn = draw_wear(rng, self.fit, skin, chest, traits.masculine, traits.age)
        scalp = None if hairdo.scalp is None else worn.press(hairdo.scalp)
        hairdo = replace(hairdo, scalp=scalp, others=tuple(worn.trim(strands) for strands in hairdo.others))
        look = self.paint_below(look, hairdo)
        levels = [pyramid(look.textures[surface]) for surface in sorted(look.textures)]
        return Character(look, levels, hairdo, make_outfit(worn.pieces, self.head), float(skin @ LUMINANCE))

    def paint_below(self, look: Look, hairdo: Hairdo) -> Look:
        """The look with the skin below hair in its colour, so that strands may be few."""
        on_skin = np.flatnonzero(self.head.source < self.head.skin.stop)
        colour, share = np.split(hairdo.paint[self.head.source[on_skin]], [3], axis=1)
        albedo, gloss = look.albedo.copy(), look.gloss.copy()
        albedo[on_skin] += share * (colour / DETAIL_MEAN - albedo[on_skin])
        gloss[on_skin] *= 1.0 - np.float32(0.7) * share[:, 0]
        return replace(look, albedo=albedo, gloss=gloss)

    def draw_identity(self, rng: np.random.Generator) -> np.ndarray:
        """(I,) float32 weights of a random head: the model's whole spread, and asymmetries."""
        return np.clip(rng.standard_normal(len(self.head.identity)), -IDENTITY_LIMIT, IDENTITY_LIMIT).astype(np.float32)

    def person(self, character: Character, identity: np.ndarray) -> Person:
        """A character with a head of weights (I,)."""
        neutral = self.head.neutral(identity)
        return Person(self, character, identity, neutral, character.outfit.fitted(neutral - self.head.mean))


def neck_weight(head: Head) -> np.ndarray:
    """(V, 1) float32: 0 on the head .. 1 on the shoulders."""
    chin = head.mean[head.landmarks68[8]]
    ears = head.mean[head.landmarks68[[0, 16]], 2].mean()
    below = chin[1] - (head.mean[:, 1] + NECK_LEAN * (head.mean[:, 2] - ears))
    weight = smooth_step(below, *NECK)
    weight[head.skin.stop :] = 0.0  # teeth and eyes
    return weight.astype(np.float32)[:, None]
