"""How well a run predicts photos of other cameras, and what the second look at a face brings.

    python -m benchmarks.bench_photos --name demo --checkpoints_dir demo/checkpoints

Draws people whom no data root has (seeds of their own) at the training's distances through cameras of 40 to 90 degrees,
and starts from their true boxes, moved and scaled at random as much as the detector's are.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.synthetic import sweep
from data.synthetic.procedural_world import draw_identity
from data.synthetic.scene import draw_setting, render
from data.synthetic.shape import procedural_face
from data.synthetic.subject import make_subject
from util.camera import project, transform
from util.metrics import MILLIMETRES, landmark_nme, rotation_geodesic
from util.predictor import Predictor
from util.views import PhotoCamera, camera_from_fov

FIELDS_OF_VIEW = (40.0, 50.0, 64.84, 78.0, 90.0)
SIZE, SEED = 400, 10**6
# Deviations of the cascades' boxes from the 68 points' on synthetic faces: of the centre and of the scale, in sides.
CENTER_NOISE, SCALE_NOISE = 0.05, 0.09


class Drawn(NamedTuple):
    """A photo (SIZE, SIZE, 3) uint8 RGB, its camera, and the face's verts (N, 3) and R_t (4, 4) in it."""

    photo: np.ndarray
    camera: PhotoCamera
    verts: np.ndarray
    R_t: np.ndarray

    def points(self, keypoints: np.ndarray) -> np.ndarray:
        """(68, 2) pixels."""
        camera_verts = transform(self.verts[keypoints], self.R_t)
        return project(camera_verts, self.camera.projection, SIZE, SIZE)[0]


def draw_person(index: int, cameras: list[PhotoCamera]) -> list[Drawn]:
    """One person in one pose and expression before each of the cameras."""
    face = procedural_face()
    rng = np.random.default_rng([SEED, index])
    subject = make_subject(face, draw_identity(face, rng), rng)
    sequence = sweep.draw_sequence(sweep.actions_of_subject(index, 1, SEED)[0], rng)
    time = rng.random()
    expression = sweep.expression_at(sequence, time, face.expression_names, rng)
    gaze, setting = sweep.gaze_at(sequence, time, rng), draw_setting(rng, SIZE)
    verts = face.face_vertices(face.vertices(subject.identity, expression)["skin"]).astype(np.float32)
    R_t = sweep.keep_inside(sweep.pose_at(sequence, time), verts)
    return [
        Drawn(render(subject, R_t, expression, gaze, setting, rng, camera.projection), camera, verts, R_t)
        for camera in cameras
    ]


def errors(predictor: Predictor, drawn: Drawn, fov: float | None, steps: int, rng: np.random.Generator) -> np.ndarray:
    """(4,) NME in percent, rotation in degrees, distance and translation in mm, of one face. rng: of the box."""
    points = drawn.points(predictor.network.constants.topology.keypoints)
    low, high = points.min(axis=0), points.max(axis=0)
    side = (high - low).max()
    center = (low + high) / 2 + rng.normal(0, CENTER_NOISE * side, 2)
    half = (high - low) / 2 * np.exp(rng.normal(0, SCALE_NOISE))
    predictor.steps = steps
    (face,) = predictor(drawn.photo, fov=fov, boxes=np.concatenate([center - half, center + half])[None])
    moved = MILLIMETRES * (face.R_t[3, :3] - drawn.R_t[3, :3])
    nme, turned = (
        landmark_nme(face.landmarks2d[None], points[None])[0],
        rotation_geodesic(face.R_t[None], drawn.R_t[None]),
    )
    return np.array([nme, turned[0], abs(moved[2]), np.linalg.norm(moved)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--name", required=True, help="the run")
    parser.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"), help="where runs are kept")
    parser.add_argument("--people", type=int, default=60, help="how many are drawn (default: 60)")
    options = parser.parse_args()
    predictor = Predictor(options.name, options.checkpoints_dir)
    cameras = [camera_from_fov(fov, SIZE, SIZE) for fov in FIELDS_OF_VIEW]
    rows: dict[str, list[np.ndarray]] = {}
    for index in tqdm(range(options.people), desc="people", unit="person", leave=False):
        for drawn in draw_person(index, cameras):
            fov = drawn.camera.fov
            for title, told, steps in (
                (f"{fov:5.1f} degrees, told", fov, 2),
                (f"{fov:5.1f} degrees, not told", None, 2),
                (f"{fov:5.1f} degrees, told, one look", fov, 1),
            ):
                noise = np.random.default_rng([SEED, index])  # the same for all that is compared
                rows.setdefault(title, []).append(errors(predictor, drawn, told, steps, noise))
    print(f"{options.people} people, means of errors{'':11}{'NME %':>9}{'rot. deg':>9}{'tz mm':>9}{'place mm':>9}")
    for title, values in sorted(rows.items(), key=lambda row: row[0][5:]):
        print(f"{title:<36}" + "".join(f"{value:9.2f}" for value in np.mean(values, axis=0)))


if __name__ == "__main__":
    main()
