"""The world of scan-based heads: subjects for data roots, and single pictures for those who train as they are drawn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg

from data.synthetic import sweep
from data.synthetic.expression import EXPRESSIONS
from data.synthetic.portraits.backdrop import Backdrops
from data.synthetic.portraits.detail import coarse_head
from data.synthetic.portraits.expressions import Weights, draw_expression, follow_gaze, of_sweep
from data.synthetic.portraits.head import SURFACES, make_head, weighted_sum
from data.synthetic.portraits.light import draw_lights
from data.synthetic.portraits.optics import develop
from data.synthetic.portraits.people import Person, Studio
from data.synthetic.portraits.portrait import Frame, draw_portrait, whole_frame
from data.synthetic.portraits.poses import draw_gaze, draw_pose
from data.synthetic.recipe import Recipe
from data.synthetic.shape import procedural_face
from data.synthetic.worlds import Drawn
from util.carrying import carry, rigid_to
from util.errors import InputError
from util.ict_files import read_ict
from util.mesh import Topology, find_topology

QUALITY = (80, 98)  # of a data root's JPEG files
# With wide poses, how often a face does what people on photographs do rather than the action.
MOOD_SHARE = 0.6


class Shot(NamedTuple):
    """What one picture shows: the head's vertices (V, 3), the labelled ones among them (N, 3), and its pose (4, 4)."""

    vertices: np.ndarray
    verts: np.ndarray
    R_t: np.ndarray


@dataclass(frozen=True)
class LabelledFace:
    """The labelled vertices as they follow a head: mean (N, 3), identity (I, N, 3) and expression (E, N, 3) float32,
    carried there once from all of its vertices, few of which may be drawn."""

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]

    def express(self, identity: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
        """(N, 3) float32 canonical, of a person's weights (I,) and expressions."""
        amounts = np.array([weights.get(name, 0.0) for name in self.expression_names], np.float32)
        return weighted_sum(weighted_sum(self.mean, identity, self.identity), amounts, self.expression)


class PortraitWorld:
    """See data.synthetic.worlds.World."""

    def __init__(self, studio: Studio, topology: Topology, face: LabelledFace, recipe: Recipe):
        self.studio, self.topology, self.face, self.recipe = studio, topology, face, recipe
        self.backdrops = Backdrops(recipe.backgrounds)

    def draw_subject(self, index: int, seed: int, num_actions: int, frames: int) -> Iterator[Drawn]:
        """See World.draw_subject."""
        rng = np.random.default_rng([seed, index])
        person = self.studio.person(self.studio.draw_character(rng), self.studio.draw_identity(rng))
        frame = whole_frame(self.recipe.projection, self.recipe.image_size)
        for number, action in enumerate(sweep.actions_of_subject(index, num_actions, seed)):
            rng = np.random.default_rng([seed, index, 1 + number])
            sequence = sweep.draw_sequence(action, rng)
            for image_id in np.sort(rng.choice(sweep.SEQUENCE_LENGTH, size=frames, replace=False)):
                shot = self.draw_shot(rng, person, sequence, image_id / sweep.SEQUENCE_LENGTH)
                picture = self.draw_picture(rng, person, shot, frame)
                jpeg = simplejpeg.encode_jpeg(picture, int(rng.integers(*QUALITY)), "RGB")
                yield Drawn(action.name, str(image_id), jpeg, shot.verts, shot.R_t.astype(np.float32))

    def draw_shot(self, rng: np.random.Generator, person: Person, sequence: sweep.Sequence, time: float) -> Shot:
        """A person at a time in [0, 1) of a sequence of its action."""
        amounts = sweep.expression_at(sequence, time, tuple(EXPRESSIONS), rng)
        if self.recipe.poses == "wide":
            weights = draw_expression(rng) if rng.random() < MOOD_SHARE else of_sweep(amounts)
            return self.wide_shot(rng, person, weights)
        gaze, weights = sweep.gaze_at(sequence, time, rng), of_sweep(amounts)
        verts = self.face.express(person.identity, follow_gaze(weights, *gaze))
        R_t = sweep.keep_inside(sweep.pose_at(sequence, time), verts, self.recipe.projection)
        return self.make_shot(person, weights, gaze, R_t)

    def wide_shot(self, rng: np.random.Generator, person: Person, weights: Weights) -> Shot:
        """A person with an expression, in a pose of its own; the eyes are turned once it is known."""
        R_t = draw_pose(rng, self.face.express(person.identity, weights), self.recipe.projection)
        return self.make_shot(person, weights, draw_gaze(rng, R_t), R_t)

    def make_shot(self, person: Person, weights: Weights, gaze: tuple[float, float], R_t: np.ndarray) -> Shot:
        """A person with an expression and eyes turned by radians to the left and up; lids follow."""
        weights = follow_gaze(weights, *gaze)
        return Shot(person.express(weights, gaze), self.face.express(person.identity, weights), R_t)

    def draw_picture(self, rng: np.random.Generator, person: Person, shot: Shot, frame: Frame) -> np.ndarray:
        """(rows, columns, 3) uint8 RGB, in lights and surroundings of its own."""
        behind = self.backdrops.draw(rng, frame.rows, frame.columns)
        lights = draw_lights(rng, behind[::8, ::8].mean(axis=(0, 1)))
        return develop(rng, draw_portrait(rng, person, shot.vertices, shot.R_t, lights, frame, behind))


def make_portrait_world(recipe: Recipe, coarse: bool = False) -> PortraitWorld:
    """Reads the files that the recipe names, and makes everything ready. coarse: heads are drawn from fewer triangles,
    which small pictures do not show. Raises FileNotFoundError or InputError."""
    model = read_ict(Path(recipe.face_model))
    missing = [name for name in SURFACES if name not in model.regions]
    if missing or not len(model.uv):
        told = f"no {', '.join(missing)}" if missing else "none"
        raise InputError(f"face model {recipe.face_model}: wanted texture places and all regions of a head, got {told}")
    topology = procedural_face().topology if recipe.topology is None else find_topology(Path(recipe.topology))
    R, t = rigid_to(topology.template[topology.keypoints], model.neutral[model.landmarks68])
    head = make_head(model, R.T, -t @ R.T)
    try:
        carried = carry(topology, head.mean, head.face_triangles, head.landmarks68)
    except InputError as error:
        raise InputError(f"topology {recipe.topology}: {error}") from None
    mean, identity, expression = (
        np.stack([carried.places(vertices, head.face_triangles) for vertices in moves])
        for moves in (head.mean[None], head.identity, head.expression)
    )
    face = LabelledFace(mean[0], identity, expression, head.expression_names)
    return PortraitWorld(Studio(coarse_head(head) if coarse else head), topology, face, recipe)
