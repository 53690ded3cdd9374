"""Scores a run where labels exist, and draws what it predicts.

    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0               # draw test images
    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0 --split val   # score and draw validation images

Writes output/<name>/: mosaics of overlays; for val also metrics.json, metrics.csv, error_map.jpg and cases.jpg.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset

from data import get_dataset_class
from data.cache import Cache, read_cache
from data.wcpa import SampleId, WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models.base_model import BaseModel
from models.loading import load_model, untrained_model
from models.mean_face import MeanFace
from options.eval_options import parse_eval_options
from util.checkpoint import load_checkpoint, unpack_arrays
from util.device import choose_device
from util.errors import run_step
from util.evaluation import Evaluation, evaluate, predict
from util.mesh import Topology, check_same_topology
from util.metrics import MILLIMETRES, summarise
from util.pictures import error_map, label, mosaic, overlay_mesh, save_picture
from util.report import format_table, write_image_metrics, write_json

MOSAIC_SIDE = 5
# Errors from here on are red in the error map, mm.
REDDEST_ERROR = 8.0


def main() -> None:
    options = parse_eval_options()
    device, device_line = choose_device(options.gpu_ids)
    print(device_line)
    root = WcpaRoot(options.data_root)
    path = options.checkpoints_dir / options.name / f"{options.epoch}.pt"
    checkpoint = load_checkpoint(path)
    topology = unpack_arrays(Topology, checkpoint["topology"])
    check_same_topology(topology, root.topology(), (f"checkpoint {path}", f"data root {root.root}"))
    model = load_model(checkpoint).to(device)
    folder = options.output_dir / options.name
    folder.mkdir(parents=True, exist_ok=True)

    if options.split == "test":
        dataset = make_dataset(checkpoint, root, root.samples("test"), topology, model, labelled=False)
        draw_mosaics(model, dataset, device, options, folder)
    else:
        cache = read_cache(options.cache_dir, root)
        dataset = make_dataset(checkpoint, root, cache.val, topology, model, labelled=True)
        draw_mosaics(model, dataset, device, options, folder)
        score(options, checkpoint, model, dataset, device, cache, folder)


def make_dataset(
    checkpoint: dict[str, Any],
    root: WcpaRoot,
    samples: list[SampleId],
    topology: Topology,
    model: BaseModel,
    labelled: bool,
) -> WcpaDataset:
    """The samples as the model saw its training images, without augmentation."""
    options = checkpoint["options"]
    dataset_class = get_dataset_class(options["dataset"])
    return dataset_class(root, samples, topology, model.windows, options["img_size"], labelled)


def draw_mosaics(
    model: BaseModel, dataset: WcpaDataset, device: torch.device, options: argparse.Namespace, folder: Path
) -> None:
    """Mosaics of 25 shuffled images with their predictions: 0.jpg, 1.jpg, ... (val_0.jpg, ... for validation)."""
    if options.num_mosaics == 0:
        return
    triangles, projection = dataset.topology.triangles, dataset.root.projection()
    tiles_each = MOSAIC_SIDE**2
    order = np.random.default_rng(options.seed).permutation(len(dataset))[: options.num_mosaics * tiles_each]
    batches = predict(model, Subset(dataset, order.tolist()), device, tiles_each, options.num_workers, "draw")
    names = []
    for number, (batch, _, verts, R_t) in enumerate(batches):
        tiles = [
            overlay_mesh(dataset.root.read_image(dataset.samples[index]), mesh, pose, triangles, projection)
            for index, mesh, pose in zip(batch["index"].tolist(), verts, R_t, strict=True)
        ]
        names.append(f"{number}.jpg" if options.split == "test" else f"val_{number}.jpg")
        save_picture(folder / names[-1], mosaic(tiles, MOSAIC_SIDE, tile=320))
    print(f"overlays: {folder / names[0]} .. {names[-1]}")


def score(
    options: argparse.Namespace,
    checkpoint: dict[str, Any],
    model: BaseModel,
    dataset: WcpaDataset,
    device: torch.device,
    cache: Cache,
    folder: Path,
) -> None:
    """Writes the figures and the pictures that need labels, and prints the table."""
    world = cache.topology.keypoints, cache.projection, cache.image_size
    candidates = {f"{options.name} ({options.epoch})": model}
    if options.references:
        candidates["the same, untrained"] = untrained_model(checkpoint).to(device)
        candidates["mean face at mean pose"] = MeanFace(cache.statistics).to(device)
    evaluations = {
        name: evaluate(candidate, dataset, device, options.batch_size, options.num_workers, *world, name)
        for name, candidate in candidates.items()
    }
    evaluation = next(iter(evaluations.values()))
    rows = {name: summarise(result.metrics) for name, result in evaluations.items()}
    content = {
        "run": options.name,
        "checkpoint": f"{options.epoch}.pt, epoch {checkpoint['epoch']}",
        "split": options.split,
        "images": len(dataset),
        "metrics": next(iter(rows.values())),
        "references": dict(list(rows.items())[1:]),
    }
    write_json(folder / "metrics.json", content)
    write_image_metrics(folder / "metrics.csv", dataset.samples, evaluation.metrics)
    save_picture(folder / "error_map.jpg", error_map(evaluation.vertex_errors, cache.topology, REDDEST_ERROR))
    save_picture(folder / "cases.jpg", draw_cases(model, dataset, device, evaluation, cache))
    print(f"figures: {folder / 'metrics.json'}, {folder / 'metrics.csv'}")
    print(f"pictures: {folder / 'cases.jpg'}, {folder / 'error_map.jpg'}")
    print(f"{len(dataset)} validation images of {len({s.subject for s in dataset.samples})} subjects, lower is better:")
    print(format_table(rows))


def draw_cases(
    model: BaseModel, dataset: WcpaDataset, device: torch.device, evaluation: Evaluation, cache: Cache
) -> np.ndarray:
    """The best, the median and the worst image by score, a row each: photo, prediction, truth, the mesh's errors."""
    scores = evaluation.metrics["score"]
    order = np.argsort(scores)
    cases = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    tiles = []
    chosen = Subset(dataset, [int(index) for index in cases.values()])
    _, _, verts, R_t = next(predict(model, chosen, device, len(cases), 0, "draw"))
    for (name, index), mesh, pose in zip(cases.items(), verts, R_t, strict=True):
        record = dataset.root.read(dataset.samples[index], cache.topology.num_vertices, labelled=True)
        distances = MILLIMETRES * np.linalg.norm(mesh - record.verts, axis=1)
        tiles += [
            label(record.image, f"{name}: score {scores[index]:.1f}"),
            label(overlay_mesh(record.image, mesh, pose, cache.topology.triangles, cache.projection), "prediction"),
            label(
                overlay_mesh(record.image, record.verts, record.R_t, cache.topology.triangles, cache.projection),
                "truth",
            ),
            error_map(distances, cache.topology, REDDEST_ERROR, "error, mm"),
        ]
    return mosaic(tiles, columns=4, tile=400)


if __name__ == "__main__":
    run_step(main)
