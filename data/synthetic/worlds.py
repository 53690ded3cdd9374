"""The worlds that data roots show: the procedural one, and that of scan-based heads. A recipe says which."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from data.synthetic.carried_face import face_with
from data.synthetic.recipe import Recipe
from util.mesh import Topology


class Drawn(NamedTuple):
    """A picture as a JPEG file's bytes, of an action, with its labels: verts (N, 3) and R_t (4, 4) float32, in the
    canonical frame of the topology."""

    action: str
    image_id: str
    jpeg: bytes
    verts: np.ndarray
    R_t: np.ndarray


class World(Protocol):
    """Draws subjects; kept for the process."""

    topology: Topology

    def draw_subject(self, index: int, seed: int, num_actions: int, frames: int) -> Iterator[Drawn]:
        """The pictures of one subject, which depend on the arguments alone: `frames` of each of num_actions."""
        ...


@cache
def world_of(recipe: Recipe, coarse: bool = False) -> World:
    """coarse: for small pictures, where the world has a way to draw those faster.

    Raises FileNotFoundError or InputError for files that the recipe names."""
    # Imported here: either takes seconds to be made ready, and no process wants both.
    if recipe.face_model is None:
        from data.synthetic.procedural_world import ProceduralWorld

        return ProceduralWorld(face_with(recipe.topology and Path(recipe.topology)), recipe)
    from data.synthetic.portraits.world import make_portrait_world

    return make_portrait_world(recipe, coarse)
