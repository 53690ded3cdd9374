"""The procedural world: people made of formulas alone, each picture lit pixel by pixel."""

from collections.abc import Iterator

import numpy as np

from data.synthetic import sweep
from data.synthetic.camera import encode_jpeg
from data.synthetic.recipe import Recipe
from data.synthetic.scene import draw_setting, render
from data.synthetic.shape import FaceModel
from data.synthetic.subject import make_subject
from data.synthetic.worlds import Drawn
from util.camera import transform


class ProceduralWorld:
    """See data.synthetic.worlds.World."""

    def __init__(self, face: FaceModel, recipe: Recipe):
        self.face, self.recipe = face, recipe
        self.topology = face.topology

    def draw_subject(self, index: int, seed: int, num_actions: int, frames: int) -> Iterator[Drawn]:
        """See World.draw_subject."""
        face, projection = self.face, self.recipe.projection
        rng = np.random.default_rng([seed, index])
        identity = draw_identity(face, rng)
        subject = make_subject(face, identity, rng)
        for number, action in enumerate(sweep.actions_of_subject(index, num_actions, seed)):
            rng = np.random.default_rng([seed, index, 1 + number])
            sequence = sweep.draw_sequence(action, rng)
            for image_id in np.sort(rng.choice(sweep.SEQUENCE_LENGTH, size=frames, replace=False)):
                time = image_id / sweep.SEQUENCE_LENGTH
                expression = sweep.expression_at(sequence, time, face.expression_names, rng)
                gaze = sweep.gaze_at(sequence, time, rng)
                verts = face.face_vertices(face.vertices(identity, expression)["skin"]).astype(np.float32)
                R_t = sweep.keep_inside(sweep.pose_at(sequence, time), verts, projection).astype(np.float32)
                setting = draw_setting(rng, self.recipe.image_size)
                picture = render(subject, R_t.astype(np.float64), expression, gaze, setting, rng, projection)
                labels = in_topology_frame(face, verts, R_t)
                yield Drawn(action.name, str(image_id), encode_jpeg(setting.camera, picture), *labels)


def draw_identity(face: FaceModel, rng: np.random.Generator) -> np.ndarray:
    """(I,) float32 weights of a random person; the model's components have unit variance."""
    return np.clip(rng.standard_normal(len(face.identity_names)), -2.5, 2.5).astype(np.float32)


def in_topology_frame(face: FaceModel, verts: np.ndarray, R_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and pose (4, 4) in the face model's frame as float32 ones in its topology's: before the camera
    they are the same."""
    if face.frame is None:
        return verts, R_t
    return transform(verts, np.linalg.inv(face.frame)).astype(np.float32), (face.frame @ R_t).astype(np.float32)
