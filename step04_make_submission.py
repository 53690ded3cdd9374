"""Predicts the test list and writes output/my_submission.npy.

    python step04_make_submission.py --data_root DIR --name run01 --gpu_ids 0

One float32 row an image of the test list, in its order: 3N canonical vertices in metres, the nine numbers of
R_t[:3, :3] row by row, the three of the translation. The processes of a team share the images; the first one writes.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from data import get_dataset_class
from data.cache import read_cache
from data.packed_images import PackedImages
from data.packed_labels import PackedLabels
from data.wcpa import SampleId, WcpaRoot
from models.loading import read_run
from options.submission_options import parse_submission_options
from util.aggregation import aggregate
from util.checkpoint import write_whole
from util.device import choose_device
from util.distributed import Team, join_team
from util.errors import InputError, run_step
from util.launch import start_team
from util.predictions import Predictions, predict_all

# How far R R^T may be from the unit matrix: some hundred float32 roundings.
ROTATION_TOLERANCE = 1e-4


def main() -> None:
    options = parse_submission_options()
    start_team(options.gpu_ids)
    with join_team() as team:
        make_submission(options, team)


def make_submission(options: argparse.Namespace, team: Team) -> None:
    """Predicts this rank's share; the first rank checks and writes the whole."""
    device, device_line = choose_device(options.gpu_ids, team)
    team.say(device_line)
    root = WcpaRoot(options.data_root)
    run = read_run(options.checkpoints_dir / options.name / f"{options.epoch}.pt")
    run.check_fits(root.root, root.topology(), root.projection())
    samples = root.samples("test")
    submission = np.empty((len(samples), 3 * run.topology.num_vertices + 12), dtype=np.float32)
    check_form(submission, root.example_submission())

    model = run.flipped(run.model()) if options.flip_test else run.model()
    model = model.to(device)
    dataset_class = get_dataset_class(run.options["dataset"])
    size = run.options["img_size"]
    packed = packed_test_samples(options, root, samples, size, model.windows) if options.data == "packed" else {}
    look = run.topology, model.windows, size
    dataset = dataset_class(root, samples, *look, labelled=False, **packed)
    predictions = predict_all(model, dataset, device, options.batch_size, options.num_workers, "predict", team)
    if predictions is None:
        return
    camera = run.projection, run.image_size
    fill_rows(submission, aggregate(predictions, samples, options.aggregate, run.statistics, *camera))
    check_content(submission)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    target = options.output_dir / "my_submission.npy"
    write_whole(target, lambda file: np.save(file, submission))
    print(f"submission: {target}, {submission.shape[0]} rows of {submission.shape[1]} float32, from {run.path}")


def packed_test_samples(
    options: argparse.Namespace, root: WcpaRoot, samples: list[SampleId], size: int, windows: Sequence[str]
) -> dict[str, PackedLabels | PackedImages]:
    """Labels and images of the test list from the cache, for these windows of that size. Raises InputError where not
    all of the list is there."""
    cache = read_cache(options.cache_dir, root)
    if cache.test != samples:
        raise InputError(
            f"--data packed: wanted all {len(samples)} samples of {root.list_path('test')} packed, cache "
            f"{options.cache_dir} has {len(cache.test)}, see its rejected.csv; use --data files"
        )
    return {"labels": cache.labels["test"], "images": cache.packed_images("test", size, windows=windows)}


def fill_rows(submission: np.ndarray, predictions: Predictions) -> None:
    """Writes the predictions of the test list to the rows of a submission (M, 3N + 12)."""
    verts, R_t = predictions.verts, predictions.R_t
    parts = [verts.reshape(len(verts), -1), R_t[:, :3, :3].reshape(-1, 9), R_t[:, 3, :3]]
    np.concatenate(parts, axis=1, out=submission)


def check_form(submission: np.ndarray, example: np.ndarray) -> None:
    """Raises InputError where a submission (M, 3N + 12) has another shape or type than the example."""
    if submission.shape != example.shape or submission.dtype != example.dtype:
        raise InputError(
            f"submission: wanted {example.dtype} {example.shape} like resources/example_submission.npy, "
            f"got {submission.dtype} {submission.shape}"
        )


def check_content(submission: np.ndarray) -> None:
    """Raises InputError where a submission (M, 3N + 12) holds numbers that are not finite, or no rotations."""
    bad = np.flatnonzero(~np.isfinite(submission).all(axis=1))
    if len(bad):
        raise InputError(f"submission: wanted finite numbers, got others in {len(bad)} rows, first {bad[0]}")
    rotations = submission[:, -12:-3].reshape(-1, 3, 3).astype(np.float64)
    error = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max()
    if error > ROTATION_TOLERANCE or (np.linalg.det(rotations) < 0).any():
        raise InputError(f"submission: wanted rotations, got an orthonormality error of {error:.3g}")


if __name__ == "__main__":
    run_step(main)
