"""Scores a run where labels exist, and draws what it predicts.

    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0               # draw test images
    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0 --split val   # score and draw validation images

Writes output/<name>/: mosaics of overlays; for val also metrics.json, metrics.csv, error_map.jpg and cases.jpg.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from data import get_dataset_class
from data.cache import read_cache
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models.base_model import BaseModel
from models.loading import TrainedRun, read_run
from models.mean_face import MeanFace
from options.eval_options import parse_eval_options
from util.device import choose_device
from util.distributed import Team, join_team
from util.errors import InputError, run_step
from util.evaluation import Evaluation, evaluation_of, predict, score_share
from util.launch import start_team
from util.loader import in_order
from util.metrics import MILLIMETRES, summarise
from util.pictures import error_map, label, mosaic, overlay_mesh, save_picture
from util.report import format_table, write_image_metrics, write_json

MOSAIC_SIDE = 5
# Errors from here on are red in the error map, mm.
REDDEST_ERROR = 8.0


def main() -> None:
    options = parse_eval_options()
    start_team(options.gpu_ids)
    with join_team() as team:
        evaluate_run(options, team)


def evaluate_run(options: argparse.Namespace, team: Team) -> None:
    """Draws, and scores where there are labels; the ranks of a team share the mosaics and the images to score."""
    device, device_line = choose_device(options.gpu_ids, team)
    team.say(device_line)
    root = WcpaRoot(options.data_root)
    run = read_run(options.checkpoints_dir / options.name / f"{options.epoch}.pt")
    run.check_fits(root.root, root.topology(), root.projection())
    cache = read_cache(options.cache_dir, root)
    labelled = options.split == "val"
    if labelled and run.split_digest != cache.split_digest():
        raise InputError(
            f"checkpoint {run.path} was trained on another split than that of {options.cache_dir}: its validation "
            "images may be among those it has seen; run step01_preparation.py as before that training"
        )
    model = run.model().to(device)
    samples = cache.val if labelled else cache.test
    dataset_class = get_dataset_class(run.options["dataset"])
    size, labels = run.options["img_size"], cache.labels[options.split]
    images = cache.packed_images(options.split, size) if options.data == "packed" else None
    dataset = dataset_class(root, samples, run.topology, model.windows, size, labelled, labels=labels, images=images)
    folder = options.output_dir / options.name
    folder.mkdir(parents=True, exist_ok=True)
    draw_mosaics(model, dataset, device, options, folder, team)
    if labelled:
        score(options, run, model, dataset, device, folder, team)


def draw_mosaics(
    model: BaseModel,
    dataset: WcpaDataset,
    device: torch.device,
    options: argparse.Namespace,
    folder: Path,
    team: Team,
) -> None:
    """Mosaics of 25 shuffled images with their predictions: 0.jpg, 1.jpg, ... (val_0.jpg, ... for validation)."""
    if options.num_mosaics == 0:
        return
    triangles, projection = dataset.topology.triangles, dataset.root.projection()
    tiles_each = MOSAIC_SIDE**2
    order = np.random.default_rng(options.seed).permutation(len(dataset))[: options.num_mosaics * tiles_each]
    batches = in_order(order.tolist(), tiles_each)
    names = [f"{number}.jpg" if options.split == "test" else f"val_{number}.jpg" for number in range(len(batches))]
    predictions = predict(model, dataset, batches, device, options.num_workers, "draw", team)
    for name, (batch, _, verts, R_t) in zip(team.share(names), predictions, strict=True):
        tiles = [
            overlay_mesh(dataset.picture(index).whole(), mesh, pose, triangles, projection)
            for index, mesh, pose in zip(batch["index"].tolist(), verts, R_t, strict=True)
        ]
        save_picture(folder / name, mosaic(tiles, MOSAIC_SIDE, tile=320))
    team.barrier()
    team.say(f"overlays: {folder / names[0]} .. {names[-1]}")


def score(
    options: argparse.Namespace,
    run: TrainedRun,
    model: BaseModel,
    dataset: WcpaDataset,
    device: torch.device,
    folder: Path,
    team: Team,
) -> None:
    """The first rank writes the figures and the pictures that need labels, and prints the table."""
    world, loading = (run.topology.keypoints, run.projection, run.image_size), (options.batch_size, options.num_workers)
    candidates = {f"{options.name} ({options.epoch})": model}
    if options.references:
        candidates["the same, untrained"] = run.untrained_model().to(device)
        candidates["mean face at mean pose"] = MeanFace(run.statistics).to(device)
    evaluations = {
        name: evaluation_of(score_share(candidate, dataset, device, *loading, *world, name, team), team)
        for name, candidate in candidates.items()
    }
    if not team.is_first:
        return
    evaluation = next(iter(evaluations.values()))
    rows = {name: summarise(result.metrics) for name, result in evaluations.items()}
    content = {
        "run": options.name,
        "checkpoint": f"{options.epoch}.pt, epoch {run.state['epoch']}",
        "split": options.split,
        "images": len(dataset),
        "metrics": next(iter(rows.values())),
        "references": dict(list(rows.items())[1:]),
    }
    write_json(folder / "metrics.json", content)
    write_image_metrics(folder / "metrics.csv", dataset.samples, evaluation.metrics)
    save_picture(folder / "error_map.jpg", error_map(evaluation.vertex_errors, run.topology, REDDEST_ERROR))
    save_picture(folder / "cases.jpg", draw_cases(model, dataset, device, evaluation, run))
    print(f"figures: {folder / 'metrics.json'}, {folder / 'metrics.csv'}")
    print(f"pictures: {folder / 'cases.jpg'}, {folder / 'error_map.jpg'}")
    print(f"{len(dataset)} validation images of {len({s.subject for s in dataset.samples})} subjects, lower is better:")
    print(format_table(rows))


def draw_cases(
    model: BaseModel, dataset: WcpaDataset, device: torch.device, evaluation: Evaluation, run: TrainedRun
) -> np.ndarray:
    """The best, the median and the worst image by score, a row each: photo, prediction, truth, the mesh's errors."""
    scores = evaluation.metrics["score"]
    order = np.argsort(scores)
    cases = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    tiles = []
    chosen = [int(index) for index in cases.values()]
    ((_, _, verts, R_t),) = predict(model, dataset, [chosen], device, 0, "draw")
    for (name, index), mesh, pose in zip(cases.items(), verts, R_t, strict=True):
        image, truth = dataset.picture(index).whole(), dataset.label(index)
        distances = MILLIMETRES * np.linalg.norm(mesh - truth["verts"], axis=1)
        tiles += [
            label(image, f"{name}: score {scores[index]:.1f}"),
            label(overlay_mesh(image, mesh, pose, run.topology.triangles, run.projection), "prediction"),
            label(overlay_mesh(image, truth["verts"], truth["R_t"], run.topology.triangles, run.projection), "truth"),
            error_map(distances, run.topology, REDDEST_ERROR, "error, mm"),
        ]
    return mosaic(tiles, columns=4, tile=400)


if __name__ == "__main__":
    run_step(main)
