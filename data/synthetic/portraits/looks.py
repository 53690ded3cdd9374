"""How a person on a scan-based head looks: the colours and textures made from traits."""

from dataclasses import dataclass

import numpy as np

from data.synthetic.portraits.eyes import EyePainter
from data.synthetic.portraits.hair_masks import hair_masks
from data.synthetic.portraits.head import EYES, FACE, GUMS, SCALP, TEETH, Head
from data.synthetic.portraits.masks import colour_masks
from data.synthetic.portraits.mouth import MouthPainter
from data.synthetic.portraits.skin import SkinPainter
from data.synthetic.portraits.skin_texture import SkinTexturePainter
from data.synthetic.portraits.traits import Traits, draw_traits


@dataclass(frozen=True)
class Look:
    """One person's colours.

    albedo: (M, 3) float32 linear for the head's drawn vertices. A surface's albedo is this times its decoded texel, and
        skin's texels scatter about texels.DETAIL_MEAN, so that skin's values go up to 1 / DETAIL_MEAN.
    gloss: (M,) float32, strength of the mirror reflection, 0..1
    textures: surface (FACE, SCALP, GUMS, TEETH, EYES) -> (T, T, 4) uint8, sRGB and 255
    """

    traits: Traits
    albedo: np.ndarray
    gloss: np.ndarray
    textures: dict[int, np.ndarray]


class Looks:
    """Draws looks on a head. What is the same for all of them is made here, once a process, in about a second."""

    def __init__(self, head: Head) -> None:
        self._source = head.source
        masks = hair_masks(head) | colour_masks(head)
        self._skin = SkinPainter(head, masks)
        self._texture = SkinTexturePainter(head, masks)
        self._eyes = EyePainter(head)
        self._mouth = MouthPainter(head)

    def draw(self, rng: np.random.Generator) -> Look:
        """A person's look. The same state of the generator gives the same look."""
        return self.paint(rng, draw_traits(rng))

    def paint(self, rng: np.random.Generator, traits: Traits) -> Look:
        """The look of a person with the given traits; rng places blotches, freckles, wrinkles ..."""
        albedo, gloss = self._skin.paint(rng, traits)
        self._eyes.shade(albedo, gloss)
        self._mouth.shade(rng, traits, albedo, gloss)
        textures = {
            FACE: self._texture.paint_face(rng, traits),
            SCALP: self._texture.paint_scalp(rng, traits),
            GUMS: self._mouth.paint_gums(rng),
            TEETH: self._mouth.paint_teeth(rng),
            EYES: self._eyes.paint(rng, traits),
        }
        return Look(traits, albedo[self._source], gloss[self._source], textures)
