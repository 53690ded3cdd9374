"""The world of scan-based heads on the real face model, where that is at hand: made once for all tests of a process."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.synthetic.recipe import Recipe
from data.synthetic.worlds import world_of

FACEKIT = Path(__file__).parents[2] / "shared" / "ict_facekit"
# What tests' data roots are made by, so that they are of the one world, too.
RECIPE = Recipe(96, 50.0, "wide", str((FACEKIT / "ict_facekit_compact.npz").resolve()))


def portrait_world(**changes):
    """The world of RECIPE with these changes, which may not be to the head; skips the test where there is no head."""
    if not FACEKIT.is_dir():
        pytest.skip(f"no {FACEKIT}")
    # Imported here: whoever has no head need not wait for it.
    from data.synthetic.portraits.world import PortraitWorld

    made = world_of(RECIPE)
    return PortraitWorld(made.studio, made.topology, made.face, replace(RECIPE, **changes))
