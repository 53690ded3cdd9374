"""Makes a data root of synthetic people in the WCPA layout: pictures, labels, lists and resources."""

import csv
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.synthetic import sweep
from data.synthetic.recipe import Recipe
from data.synthetic.worlds import Drawn, world_of
from util.camera import project, transform
from util.distributed import ALONE, Team
from util.errors import InputError
from util.mesh import Topology, write_obj
from util.pose import pose_from_6dof, pose_to_6dof

# What generate_data_root takes: lowest and highest value
LIMITS = {
    "num_subjects": (1, 100_000),
    "num_test_subjects": (0, 100_000),
    "num_actions": (1, len(sweep.ACTIONS)),
    "frames": (1, sweep.SEQUENCE_LENGTH),
    "image_size": (64, 4096),
    "seed": (0, 2**63 - 1),
    "num_workers": (0, 1024),
}
# One thread a worker: faster with many workers, and sums come out the same wherever they are made.
THREAD_LIMITS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """One subject to generate. index counts from 0 over training, then test subjects; folder is the root to write."""

    folder: Path
    index: int
    subject_id: str
    labelled: bool
    num_actions: int
    frames: int
    seed: int
    recipe: Recipe


@dataclass(frozen=True)
class Made:
    """What a job made: rows of subject id, action and image id, and the 6DoF (R, 6) of each."""

    index: int
    rows: tuple[tuple[str, str, str], ...]
    poses: np.ndarray


def generate_data_root(
    data_root: Path,
    num_subjects: int,
    num_test_subjects: int,
    num_actions: int,
    frames: int,
    image_size: int,
    seed: int,
    num_workers: int,
    topology: Path | None = None,
    face_model: Path | None = None,
    backgrounds: Path | None = None,
    poses: str = "challenge",
    fov: float | None = None,
    team: Team = ALONE,
) -> None:
    """Writes a data root of `num_subjects` training and `num_test_subjects` test subjects.

    Each subject shows num_actions of the actions of data.synthetic.sweep, each action `frames` pictures of
    image_size x image_size pixels. Training labels go to info/, those of the test subjects to test_info/, which the
    real data does not have. The same seed gives the same bytes for every number of worker processes from 1 up; with 0
    all is done in this process, where the linear algebra's threads may change the last bit of a sum. All is written
    beside data_root and renamed at the end: an interrupted run leaves no data root.

    The ranks of a team share the subjects, each with its own worker processes, and write to the same folder, which all
    their machines must see; the bytes are the same again.

    topology: a folder with example.obj and kpt_ind.npy, or a data root, whose mesh the labels are of and in whose
    canonical frame; without one they are of the procedural face's own. face_model: of scan-based heads (see
    util.ict_files), in place of the procedural face; backgrounds: a folder of pictures to stand behind those; poses:
    theirs, "challenge", as the challenge's data has them, or "wide"; fov: degrees of view along either side, without it
    the challenge's.

    Raises FileNotFoundError or InputError for files that are named, InputError for an argument out of range, or where
    data_root exists and is not an empty folder.
    """
    _check(
        num_subjects=num_subjects,
        num_test_subjects=num_test_subjects,
        num_actions=num_actions,
        frames=frames,
        image_size=image_size,
        seed=seed,
        num_workers=num_workers,
    )
    told = {name: path and str(path) for name, path in (("face_model", face_model), ("backgrounds", backgrounds))}
    recipe = Recipe(image_size, fov, poses, topology=topology and str(topology), **told)
    world = world_of(recipe)
    data_root = Path(data_root)
    if team.is_first and data_root.exists() and (not data_root.is_dir() or any(data_root.iterdir())):
        raise InputError(f"{data_root}: wanted a new or empty folder for the data root, got one with contents")
    data_root.parent.mkdir(parents=True, exist_ok=True)
    own = tempfile.mkdtemp(prefix=f".{data_root.name}.partial-", dir=data_root.parent) if team.is_first else None
    partial = team.from_first(own and Path(own))
    try:
        ids = draw_subject_ids(num_subjects + num_test_subjects, seed)
        jobs = [
            Job(partial, index, subject_id, index < num_subjects, num_actions, frames, seed, recipe)
            for index, subject_id in enumerate(ids)
        ]
        made = sorted(_run(team.share(jobs), num_workers, team), key=lambda one: one.index)
        made = team.collect(made)
        if team.is_first:
            _write_lists(partial, made[:num_subjects], made[num_subjects:])
            _write_resources(partial, recipe, world.topology, made[:num_subjects], made[num_subjects:])
            partial.chmod(0o755)
            if data_root.exists():
                data_root.rmdir()
            os.replace(partial, data_root)
        team.barrier()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(**arguments: int) -> None:
    for name, value in arguments.items():
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise InputError(f"{name}: wanted {low}..{high}, got {value}")


def draw_subject_ids(count: int, seed: int) -> list[str]:
    """`count` different ids of six digits, in random order; about one in five begins with a zero, the first does."""
    rng = np.random.default_rng([seed, 0x1D5])
    low = -(-count // 5)
    numbers = np.concatenate(
        [
            rng.choice(np.arange(1, 100_000), size=low, replace=False),
            rng.choice(np.arange(100_000, 1_000_000), size=count - low, replace=False),
        ]
    )
    order = np.concatenate([[0], 1 + rng.permutation(count - 1)]).astype(int)
    return [f"{number:06d}" for number in numbers[order]]


def _run(jobs: list[Job], num_workers: int, team: Team) -> list[Made]:
    made = []
    if not jobs:
        return made
    total = sum(job.num_actions * job.frames for job in jobs)
    title = "synthesizing" if team.size == 1 else f"synthesizing, one of {team.size} shares"
    with tqdm(total=total, unit="image", desc=title, **team.bar) as progress:
        results = _run_here(jobs) if num_workers == 0 else _run_in_workers(jobs, num_workers)
        for one in results:
            progress.update(len(one.rows))
            made.append(one)
    return made


def _run_here(jobs: list[Job]) -> Iterator[Made]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for job in jobs:
            yield _draw(job)
    finally:
        cv2.setNumThreads(threads)


def _start_worker(recipe: Recipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker without a traceback; the parent tidies up
    cv2.setNumThreads(1)
    world_of(recipe)  # built once in each worker process


def _run_in_workers(jobs: list[Job], num_workers: int) -> Iterator[Made]:
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(
        min(num_workers, len(jobs)), mp_context=context, initializer=_start_worker, initargs=(jobs[0].recipe,)
    )
    try:
        with limited_threads():
            futures = [executor.submit(_draw, job) for job in jobs]  # starts the processes
        for future in as_completed(futures):
            yield future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def limited_threads() -> Iterator[None]:
    """One thread of linear algebra in each of the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(THREAD_LIMITS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _draw(job: Job) -> Made:
    """Draws one subject and writes its pictures and labels."""
    world = world_of(job.recipe)
    rows, poses = [], []
    for drawn in world.draw_subject(job.index, job.seed, job.num_actions, job.frames):
        rows.append((job.subject_id, drawn.action, drawn.image_id))
        _write_sample(job, drawn, world.topology.keypoints)
        poses.append(pose_to_6dof(drawn.R_t))
    return Made(job.index, tuple(rows), np.array(poses))


def _write_sample(job: Job, drawn: Drawn, keypoints: np.ndarray) -> None:
    subject_id, action, image_id = job.subject_id, drawn.action, drawn.image_id
    image = job.folder / "image" / subject_id / action / f"{image_id}_ar.jpg"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(drawn.jpeg)
    size = job.recipe.image_size
    points, _ = project(transform(drawn.verts[keypoints], drawn.R_t), job.recipe.projection, size, size)
    landmarks = job.folder / "68landmarks" / subject_id / action / f"{image_id}_68landmarks.txt"
    landmarks.parent.mkdir(parents=True, exist_ok=True)
    landmarks.write_text("".join(f"{x:.0f} {y:.0f}\n" for x, y in points), encoding="ascii", newline="\n")
    info = job.folder / ("info" if job.labelled else "test_info") / subject_id / action / f"{image_id}_info.npz"
    info.parent.mkdir(parents=True, exist_ok=True)
    np.savez(info, verts=drawn.verts, R_t=drawn.R_t)


def _write_lists(folder: Path, train: list[Made], test: list[Made]) -> None:
    (folder / "list").mkdir()
    for name, made in (("train", train), ("test", test)):
        rows = sorted((row for one in made for row in one.rows), key=lambda row: (row[0], row[1], int(row[2])))
        with open(folder / "list" / f"WCPA_track2_{name}.csv", "w", encoding="ascii", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["subject_id", "facial_action", "img_id"])
            writer.writerows(rows)
        ids = sorted({row[0] for row in rows})
        path = folder / "list" / f"WCPA_track2_{name}_subject_id_list.txt"
        path.write_text("".join(f"{subject_id}\n" for subject_id in ids), encoding="ascii", newline="\n")


def _write_resources(folder: Path, recipe: Recipe, topology: Topology, train: list[Made], test: list[Made]) -> None:
    resources = folder / "resources"
    resources.mkdir()
    write_obj(resources / "example.obj", topology.template, topology.triangles)
    np.save(resources / "kpt_ind.npy", topology.keypoints)
    matrix = "\n".join(" ".join(str(float(value)) for value in row) for row in recipe.projection)
    (resources / "projection_matrix.txt").write_text(matrix + "\n", encoding="ascii", newline="\n")
    pose = pose_from_6dof(np.concatenate([one.poses for one in train]).mean(axis=0))
    row = np.concatenate([topology.template.reshape(-1), pose[:3, :3].reshape(-1), pose[3, :3]]).astype(np.float32)
    count = sum(len(one.rows) for one in test)
    np.save(resources / "example_submission.npy", np.tile(row, (count, 1)))
    if recipe.face_model is not None:
        recipe.write(resources)
