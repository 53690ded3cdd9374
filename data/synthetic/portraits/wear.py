"""A whole outfit: clothes, and with sensible shares glasses, hats, masks, and hands or things before the face."""

from dataclasses import dataclass, replace

import numpy as np

from data.synthetic.geometry import smooth_step
from data.synthetic.hair import Strands
from data.synthetic.portraits.clothes import draw_clothes
from data.synthetic.portraits.face_masks import draw_mask
from data.synthetic.portraits.fitting import Fitting
from data.synthetic.portraits.glasses import draw_glasses
from data.synthetic.portraits.hands import draw_hand
from data.synthetic.portraits.hats import HATS, NOTHING, Cover
from data.synthetic.portraits.objects import draw_object
from data.synthetic.portraits.pieces import Piece

GLASSES, SUNGLASSES, HAT, MASK = 0.18, 0.03, 0.10, 0.02  # shares of people
HAND, OBJECT = 0.09, 0.03
OLD_GLASSES = 2.2  # so many times as many old people wear glasses
# Metres inside a hat's Cover: where hair begins to be pressed and is so wholly (hats reach below their Cover at the
# sides), and up to where it is drawn; and how far off the skin it lies there.
PRESSED, ROOM, UNDER = (-0.06, -0.025), 0.010, 0.003


@dataclass(frozen=True)
class Worn:
    """pieces: on the mean head; scalp: where hair on the head is not seen; beard: where hair on the face is not."""

    fit: Fitting
    pieces: tuple[Piece, ...]
    scalp: Cover = NOTHING
    beard: Cover = NOTHING

    def press(self, strands: Strands) -> Strands:
        """Hair on the mean head's scalp as the hat leaves it: flat at its edge and below, without width well inside."""
        depth = self.scalp.depth(strands.points)
        flat = smooth_step(depth, *PRESSED)[..., None] * (depth < ROOM)[..., None]
        offset = strands.points - self.fit.skull.centre
        size = np.linalg.norm(offset, axis=-1, keepdims=True)
        wanted = np.minimum(size, self.fit.skull.radius(offset / size)[..., None] + UNDER)
        points = self.fit.skull.centre + offset * (1.0 + flat * (wanted / size - 1.0))
        widths = np.where(depth < ROOM, strands.widths, np.float32(0.0))
        return replace(strands, points=points.astype(np.float32), widths=widths)

    def trim(self, strands: Strands) -> Strands:
        """Beard or moustache on the mean head without width under a mask."""
        widths = np.where(self.beard.depth(strands.points) < 0.0, strands.widths, np.float32(0.0))
        return replace(strands, widths=widths)


def draw_wear(
    rng: np.random.Generator,
    fit: Fitting,
    skin_albedo: np.ndarray,
    chest_albedo: np.ndarray,
    masculine: bool,
    old: float = 0.3,
) -> Worn:
    """What one person wears.

    skin_albedo, chest_albedo: (3,) linear, of their face and at the rim below it; old: 0..1, age-like
    """
    hat, scalp, beard = (), NOTHING, NOTHING
    if rng.random() < HAT:
        shares = np.array(list(HATS.values()))
        hat, scalp = list(HATS)[int(rng.choice(len(shares), p=shares / shares.sum()))](rng, fit)
    over_shoulders = any(piece.on_body for piece in hat)
    clothes, cloth = draw_clothes(rng, fit.bust, chest_albedo, masculine, flat=over_shoulders)
    pieces = [*clothes, *hat]
    before = rng.random()
    if before < MASK:
        mask, beard = draw_mask(rng, fit)
        pieces.append(mask)
    elif before < MASK + HAND:
        pieces += draw_hand(rng, fit, skin_albedo, cloth)
    elif before < MASK + HAND + OBJECT:
        pieces.append(draw_object(rng, fit))
    # dark glasses only where nothing else hides the face: a third of it is to be seen
    dark = SUNGLASSES / (1.0 - MASK - HAND - OBJECT) * (before >= MASK + HAND + OBJECT)
    # the mean over people whose age is even between 0 and 1 is GLASSES
    clear = GLASSES * (1.0 + (OLD_GLASSES - 1.0) * old) / (0.5 + 0.5 * OLD_GLASSES)
    kind = rng.random()
    if kind < dark + clear:
        pieces.append(draw_glasses(rng, fit, sunny=kind < dark))
    return Worn(fit, tuple(pieces), scalp, beard)
