"""Predicts the test list and writes output/my_submission.npy.

    python step04_make_submission.py --data_root DIR --name run01 --gpu_ids 0
    python step04_make_submission.py --data_root DIR --name run01,run02,run03 --gpu_ids 0   # their weighted mean
    python step04_make_submission.py --data_root DIR --name f0,f1,f2,f3,f4 --combine stack --cache_dir cache --gpu_ids 0

One float32 row an image of the test list, in its order: 3N canonical vertices in metres, the nine numbers of
R_t[:3, :3] row by row, the three of the translation. The processes of a team share the images; the first one writes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from data import get_dataset_class
from data.cache import Cache, Chosen, read_cache, split_digest
from data.wcpa import SampleId, WcpaRoot
from models.base_model import BaseModel
from models.flip_test import FlipTest
from models.folds import NUM_FOLDS, group_folds
from models.loading import TrainedRun, read_run
from options.submission_options import parse_submission_options
from options.train_options import FREE_OPTIONS
from util.aggregation import aggregate
from util.checkpoint import write_whole
from util.device import choose_device
from util.distributed import Team, join_team
from util.ensembles import PredictionSum, validation_weights
from util.errors import InputError, run_step
from util.launch import start_team
from util.metrics import summarise
from util.predictions import Predictions, predict_all
from util.report import format_table
from util.stacking import Coordinates, HeldOut, fit_second_level, fit_without_each, join_figures

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
    runs = [open_run(options, name, root) for name in options.name]
    samples = root.samples("test")
    submission = np.empty((len(samples), 3 * runs[0].topology.num_vertices + 12), dtype=np.float32)
    check_form(submission, root.example_submission())

    cache = read_cache(options.cache_dir, root) if options.data == "packed" or options.combine == "stack" else None
    predictor = ListPredictor(options, root, cache, device, team)
    test_images = images_to_submit(options, root, cache, samples)
    weights = weights_of(options, runs, team)
    if options.combine == "stack":
        predictions = stack(predictor, runs, weights, test_images)
    else:
        predictions = combine(predictor, runs, weights, test_images)
    if predictions is None:
        return
    fill_rows(submission, predictions)
    check_content(submission)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    target = options.output_dir / "my_submission.npy"
    write_whole(target, lambda file: np.save(file, submission))
    paths = ", ".join(str(run.path) for run in runs)
    print(f"submission: {target}, {submission.shape[0]} rows of {submission.shape[1]} float32, from {paths}")


def open_run(options: argparse.Namespace, name: str, root: WcpaRoot) -> TrainedRun:
    """A run without its weights, which are read when it is its turn: there may be many. Raises InputError where it does
    not fit the data root."""
    run = read_run(options.checkpoints_dir / name / f"{options.epoch}.pt")
    run.check_fits(root.root, root.topology(), root.projection())
    return run.without_weights()


@dataclass(frozen=True)
class ImageList:
    """Images to predict, and their places in a split of the cache, which has their labels and, with --data packed, the
    images; without a split all is read from the data root's files."""

    samples: list[SampleId]
    split: str = ""
    places: Sequence[int] = ()


@dataclass(frozen=True)
class ListPredictor:
    """Predicts lists of a data root's images with one run after the other, as the options say."""

    options: argparse.Namespace
    root: WcpaRoot
    cache: Cache | None
    device: torch.device
    team: Team

    def model(self, run: TrainedRun) -> BaseModel | FlipTest:
        """The run's model, whose weights are read now."""
        whole = read_run(run.path)
        model = whole.flipped(whole.model()) if self.options.flip_test else whole.model()
        return model.to(self.device)

    def predict(
        self, run: TrainedRun, model: BaseModel | FlipTest, images: ImageList, title: str
    ) -> Predictions | None:
        """The predictions on the first rank, None on the others; those of one run for sets of images are made one
        before runs are combined."""
        options, size, packed = self.options, run.options["img_size"], {}
        if images.split:
            packed["labels"] = self.labels(images)
        if options.data == "packed":
            packed_images = self.cache.packed_images(images.split, size, windows=model.windows)
            packed["images"] = Chosen(packed_images, images.places)
        look = run.topology, model.windows, size
        labelled = images.split in ("train", "val")
        dataset = get_dataset_class(run.options["dataset"])(self.root, images.samples, *look, labelled, **packed)
        loading = self.device, options.batch_size, options.num_workers
        found = predict_all(model, dataset, *loading, title, self.team, with_evidence=options.aggregate != "none")
        world = run.statistics, run.topology.keypoints, run.projection, run.image_size
        return found and aggregate(found, images.samples, options.aggregate, *world)

    def labels(self, images: ImageList) -> Chosen:
        """The labels of images that have places in the cache."""
        return Chosen(self.cache.labels[images.split], images.places)


def images_to_submit(
    options: argparse.Namespace, root: WcpaRoot, cache: Cache | None, samples: list[SampleId]
) -> ImageList:
    """The test list. Raises InputError where it shall be packed and the cache does not have all of it."""
    if options.data == "files":
        return ImageList(samples)
    if cache.test != samples:
        raise InputError(
            f"--data packed: wanted all {len(samples)} samples of {root.list_path('test')} packed, cache "
            f"{options.cache_dir} has {len(cache.test)}, see its rejected.csv; use --data files"
        )
    return ImageList(samples, "test", range(len(samples)))


def weights_of(options: argparse.Namespace, runs: Sequence[TrainedRun], team: Team) -> list[float]:
    """The weight of each run, which sum up to 1; said where there are several."""
    if len(runs) == 1:
        return [1.0]
    scores = [run.state["best_score"] for run in runs]
    equal = options.ensemble_weights == "equal"
    weights = [1 / len(runs)] * len(runs) if equal else validation_weights(scores).tolist()
    for run, weight, score in zip(runs, weights, scores, strict=True):
        team.say(f"{run.name}: weight {weight:.3f}, best validation score {score:.2f}")
    return weights


def combine(
    predictor: ListPredictor, runs: Sequence[TrainedRun], weights: Sequence[float], images: ImageList
) -> Predictions | None:
    """The weighted mean of the runs' predictions on the first rank, None on the others. One run's are as they are."""
    if len(runs) == 1:
        return predictor.predict(runs[0], predictor.model(runs[0]), images, "predict")
    combined = PredictionSum()
    for run, weight in zip(runs, weights, strict=True):
        predictions = predictor.predict(run, predictor.model(run), images, f"predict {run.name}")
        if predictions is not None:
            combined.add(predictions, weight)
    return combined.mean() if predictor.team.is_first else None


def images_of_folds(root: WcpaRoot, cache: Cache, methods: Sequence[Sequence[TrainedRun]]) -> list[ImageList]:
    """The validation images of each fold. Raises InputError where a run was trained on another split than that of its
    fold in this data root, so that it may have seen them."""
    images = []
    for fold in range(NUM_FOLDS):
        train, val = cache.lists_of_fold(root, fold)
        for run in (members[fold] for members in methods):
            if run.split_digest != split_digest(train, val):
                raise InputError(
                    f"checkpoint {run.path}: wanted the images of fold {fold} of data root {root.root} kept from its "
                    f"training, got another split than by the good samples of cache {cache.directory}: it may have "
                    "seen the images that it is to be tried on"
                )
        split = "val" if fold == cache.fold else "train"  # folds do not overlap
        place_of = {sample: place for place, sample in enumerate(getattr(cache, split))}
        images.append(ImageList(val, split, [place_of[sample] for sample in val]))
    return images


def stack(
    predictor: ListPredictor, runs: Sequence[TrainedRun], weights: Sequence[float], test_images: ImageList
) -> Predictions | None:
    """The weighted mean of the runs' predictions, corrected by a second level (util/stacking.py), on the first rank;
    None on the others. Prints how good each method, the mean and its correction are on images kept from the runs."""
    root, cache, team = predictor.root, predictor.cache, predictor.team
    methods, weight_of = group_folds(runs, FREE_OPTIONS), {run.name: w for run, w in zip(runs, weights, strict=True)}
    fold_images = images_of_folds(root, cache, methods)
    coordinates = Coordinates(cache.statistics, cache.image_size)
    world = cache.topology, cache.projection, cache.image_size
    held_out = [HeldOut(predictor.labels(images)) for images in fold_images]
    figures, bases, combined = {}, [], PredictionSum()
    for members in methods:
        title, weight = f"{members[0].name} .. {members[-1].name}", sum(weight_of[run.name] for run in members)
        base, figures[title] = PredictionSum(), []
        for run, images, fold in zip(members, fold_images, held_out, strict=True):
            model = predictor.model(run)
            kept = predictor.predict(run, model, images, f"fold {run.fold} by {run.name}")
            tested = predictor.predict(run, model, test_images, f"predict {run.name}")
            if kept is not None and tested is not None:
                fold.add(kept, weight, coordinates)
                figures[title].append(fold.figures(kept, *world))
                for each in (base, combined):
                    each.add(tested, weight_of[run.name])
        if team.is_first:
            bases.append(coordinates.read(base.mean()))
    if not team.is_first:
        return None

    moments, count = [fold.moments(coordinates) for fold in held_out], coordinates.num_components
    figures["mean"] = [fold.figures(fold.sum.mean(), *world) for fold in held_out]
    honest = zip(held_out, fit_without_each(moments, count), strict=True)
    figures["stack"] = [fold.figures(fold.corrected(level, coordinates), *world) for fold, level in honest]
    second_level = fit_second_level(moments, count)
    print(f"{sum(len(images.samples) for images in fold_images)} images kept from the runs, lower is better:")
    print(format_table({title: summarise(join_figures(parts)) for title, parts in figures.items()}))
    print("regularisation: shape {:g}, pose {:g} (inf: left as the mean has it)".format(*second_level.strengths))
    samples = tqdm(test_images.samples, desc="landmarks", unit="image", leave=False)
    landmarks = np.stack([root.read_landmarks(sample) for sample in samples])
    return coordinates.corrected(combined.mean(), coordinates.features(bases, landmarks) @ second_level.weights)


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
