"""The world of scan-based heads: subjects for data roots, and single pictures for those who train as they are drawn."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg

from data.synthetic import sweep
from data.synthetic.expression import EXPRESSIONS
from data.synthetic.portraits.backdrop import Backdrops
from data.synthetic.portraits.expressions import draw_expression, follow_gaze, of_sweep
from data.synthetic.portraits.head import make_head
from data.synthetic.portraits.light import draw_lights
from data.synthetic.portraits.optics import develop
from data.synthetic.portraits.people import Person, Studio
from data.synthetic.portraits.portrait import Frame, draw_portrait, whole_frame
from data.synthetic.portraits.poses import draw_gaze, draw_pose
from data.synthetic.recipe import Recipe
from data.synthetic.shape import procedural_face
from data.synthetic.worlds import Drawn
from util.carrying import Carried, carry, rigid_to
from util.errors import InputError
from util.ict_files import read_ict
from util.mesh import Topology, read_topology

QUALITY = (80, 98)  # of a data root's JPEG files
# With wide poses, how often a face does what people on photographs do rather than the action.
MOOD_SHARE = 0.6


class Shot(NamedTuple):
    """What one picture shows: the head's vertices (V, 3), the labelled ones among them (N, 3), and its pose (4, 4)."""

    vertices: np.ndarray
    verts: np.ndarray
    R_t: np.ndarray


class PortraitWorld:
    """See data.synthetic.worlds.World."""

    def __init__(self, studio: Studio, topology: Topology, carried: Carried, recipe: Recipe):
        self.studio, self.topology, self.carried, self.recipe = studio, topology, carried, recipe
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
        gaze = sweep.gaze_at(sequence, time, rng)
        vertices, verts = self.pose_face(person, of_sweep(amounts), gaze)
        return Shot(vertices, verts, sweep.keep_inside(sweep.pose_at(sequence, time), verts, self.recipe.projection))

    def wide_shot(self, rng: np.random.Generator, person: Person, weights: Mapping[str, float]) -> Shot:
        """A person with an expression, in a pose of its own; the eyes are turned once it is known."""
        _, verts = self.pose_face(person, weights, (0.0, 0.0))
        R_t = draw_pose(rng, verts, self.recipe.projection)
        return Shot(*self.pose_face(person, weights, draw_gaze(rng, R_t)), R_t)

    def pose_face(
        self, person: Person, weights: Mapping[str, float], gaze: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The head's vertices (V, 3), and the labelled ones (N, 3), float32."""
        vertices = person.express(follow_gaze(dict(weights), *gaze), gaze)
        return vertices, self.carried.places(vertices, self.studio.head.face_triangles)

    def draw_picture(self, rng: np.random.Generator, person: Person, shot: Shot, frame: Frame) -> np.ndarray:
        """(rows, columns, 3) uint8 RGB, in lights and surroundings of its own."""
        behind = self.backdrops.draw(rng, frame.rows, frame.columns)
        lights = draw_lights(rng, behind[::8, ::8].mean(axis=(0, 1)))
        return develop(rng, draw_portrait(rng, person, shot.vertices, shot.R_t, lights, frame, behind))


def make_portrait_world(recipe: Recipe) -> PortraitWorld:
    """Reads the files that the recipe names, and makes everything ready. Raises FileNotFoundError or InputError."""
    model = read_ict(Path(recipe.face_model))
    if recipe.topology is None:
        topology = procedural_face().topology
    else:
        folder = Path(recipe.topology)
        topology = read_topology(folder / "resources" if (folder / "resources").is_dir() else folder)
    landmarks = model.neutral[model.landmarks68]
    R, t = rigid_to(topology.template[topology.keypoints], landmarks)
    head = make_head(model, R.T, -t @ R.T)
    try:
        carried = carry(topology, head.mean, head.face_triangles, head.landmarks68)
    except InputError as error:
        raise InputError(f"topology {recipe.topology}: {error}") from None
    return PortraitWorld(Studio(head), topology, carried, recipe)
