"""Scores a run where labels exist, and draws what it predicts.

    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0               # draw test images
    python step03_eval.py --data_root DIR --name run01 --gpu_ids 0 --split val   # score and draw validation images
    python step03_eval.py --data_root AFLW2000-3D --name run01 --split points    # score by that benchmark's points

Writes output/<name>/: mosaics of overlays; for val also metrics.json, metrics.csv, error_map.jpg, cases.jpg and
index.html, a page that shows all this and more. For points: points/ with metrics.json, metrics.csv and cases.jpg.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from data import get_dataset_class
from data.aflw import AflwRoot, PointLabel, read_point_labels
from data.cache import Cache, read_cache
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models.base_model import BaseModel
from models.flip_test import FlipTest
from models.known import KnownPredictions
from models.loading import TrainedRun, read_run
from models.mean_face import MeanFace
from options.base_options import plain
from options.eval_options import parse_eval_options
from util.aggregation import aggregate
from util.boxes import tight_box
from util.conditions import image_conditions
from util.device import choose_device
from util.distributed import Team, join_team
from util.errors import InputError, run_step
from util.evaluation import Evaluation, evaluation_of, predict_chosen, score_share
from util.gallery import Case, choose_cases, draw_case
from util.html_report import ModelFigures, Report, write_report
from util.launch import start_team
from util.loader import in_order
from util.metrics import MILLIMETRES, summarise
from util.pictures import error_map, label, mosaic, overlay_mesh, save_picture
from util.point_scores import draw_points, face_points, format_yaw_table, point_metrics, yaw_row
from util.prediction import FacePrediction
from util.predictions import predict_all
from util.predictor import Predictor
from util.report import SURFACE_TABLE, format_table, write_image_metrics, write_json
from util.run_log import read_metrics

MOSAIC_SIDE = 5
# Of the best, the median and the worst images by their points, so many are drawn.
POINT_CASES = 5
# Errors from here on are red in the error map, mm.
REDDEST_ERROR = 8.0


def main() -> None:
    options = parse_eval_options()
    start_team(options.gpu_ids)
    with join_team() as team:
        if options.split == "points":
            score_points(options, team)
        else:
            evaluate_run(options, team)


@dataclass(frozen=True)
class Candidate:
    """What is scored, and under which title: a model of a run, with a data set of the windows that it looks at."""

    title: str
    run: TrainedRun
    model: BaseModel | FlipTest | KnownPredictions
    dataset: WcpaDataset


def evaluate_run(options: argparse.Namespace, team: Team) -> None:
    """Draws, and scores where there are labels; the ranks of a team share the mosaics and the images to score."""
    device, device_line = choose_device(options.gpu_ids, team)
    team.say(device_line)
    names = (options.name, *options.compare)
    runs = [read_run(options.checkpoints_dir / name / f"{options.epoch}.pt") for name in names]
    root = get_dataset_class(runs[0].options["dataset"]).root_class(options.data_root)
    for run in runs:
        run.check_fits(root.root, root.topology(), root.projection())
    cache = read_cache(options.cache_dir, root)
    candidates = [open_candidate(run, options, root, cache, device) for run in runs]
    references = references_of(candidates[0], device) if options.references else []
    if options.aggregate != "none":
        candidates = [aggregated(candidate, options, device, team) for candidate in candidates]
    folder = options.output_dir / options.name
    folder.mkdir(parents=True, exist_ok=True)
    draw_mosaics(candidates[0].model, candidates[0].dataset, device, options, folder, team)
    if options.split == "val":
        score(options, candidates, references, device, folder, team)


def open_candidate(
    run: TrainedRun, options: argparse.Namespace, root: WcpaRoot, cache: Cache, device: torch.device
) -> Candidate:
    """The trained model of a run, with the images of the split."""
    labelled = options.split == "val"
    if labelled and run.split_digest != cache.split_digest():
        raise InputError(
            f"checkpoint {run.path} was trained on another split than that of {options.cache_dir}: its validation "
            "images may be among those it has seen; run step01_preparation.py as before that training"
        )
    model = run.flipped(run.model()) if options.flip_test else run.model()
    model = model.to(device)
    samples = cache.val if labelled else cache.test
    dataset_class = get_dataset_class(run.options["dataset"])
    size, labels = run.options["img_size"], cache.labels[options.split]
    images = None
    if options.data == "packed":
        images = cache.packed_images(options.split, size, windows=model.windows)
    dataset = dataset_class(root, samples, run.topology, model.windows, size, labelled, labels=labels, images=images)
    flips = ", flip test" if options.flip_test else ""
    sets = f", one identity for each {options.aggregate}" if options.aggregate != "none" else ""
    return Candidate(f"{run.path.parent.name} ({options.epoch}{flips}{sets})", run, model, dataset)


def aggregated(candidate: Candidate, options: argparse.Namespace, device: torch.device, team: Team) -> Candidate:
    """The candidate with predictions for sets of images in place of its model."""
    run, dataset, loading = candidate.run, candidate.dataset, (options.batch_size, options.num_workers)
    found = predict_all(candidate.model, dataset, device, *loading, candidate.title, team, with_evidence=True)
    if found is not None:
        world = run.statistics, run.topology.keypoints, run.projection, run.image_size
        found = aggregate(found, dataset.samples, options.aggregate, *world)
    model = KnownPredictions(team.from_first(found))
    return replace(candidate, model=model, dataset=dataset.without_windows())


def draw_mosaics(
    model: BaseModel | FlipTest | KnownPredictions,
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
    predictions = predict_chosen(model, dataset, batches, device, options.num_workers, "draw", team)
    for name, predicted in zip(team.share(names), predictions, strict=True):
        tiles = [
            overlay_mesh(dataset.picture(index).whole(), mesh, pose, triangles, projection)
            for index, mesh, pose in predicted
        ]
        save_picture(folder / name, mosaic(tiles, MOSAIC_SIDE, tile=320))
    team.barrier()
    team.say(f"overlays: {folder / names[0]} .. {names[-1]}")


def score(
    options: argparse.Namespace,
    candidates: Sequence[Candidate],
    references: Sequence[Candidate],
    device: torch.device,
    folder: Path,
    team: Team,
) -> None:
    """The first rank writes the figures, the pictures that need labels and the page, and prints the table."""
    first = candidates[0]
    evaluations = [evaluate(candidate, options, device, team) for candidate in (*candidates, *references)]
    if not team.is_first:
        return
    evaluation, run, dataset = evaluations[0], first.run, first.dataset
    titles = [candidate.title for candidate in (*candidates, *references)]
    actions = [sample.action for sample in dataset.samples]
    rows = {title: summarise(each.metrics, actions) for title, each in zip(titles, evaluations, strict=True)}
    content = {
        "run": options.name,
        "checkpoint": f"{options.epoch}.pt, epoch {run.state['epoch']}",
        "split": options.split,
        "images": len(dataset),
        "metrics": rows[first.title],
        "references": {reference.title: rows[reference.title] for reference in references},
        "compared": {other.title: rows[other.title] for other in candidates[1:]},
    }
    write_json(folder / "metrics.json", content)
    write_image_metrics(folder / "metrics.csv", dataset.samples, evaluation.metrics)
    save_picture(folder / "error_map.jpg", error_map(evaluation.vertex_errors, run.topology, REDDEST_ERROR))
    save_picture(folder / "cases.jpg", draw_cases(first.model, dataset, device, evaluation, run))
    print(f"figures: {folder / 'metrics.json'}, {folder / 'metrics.csv'}")
    print(f"pictures: {folder / 'cases.jpg'}, {folder / 'error_map.jpg'}")
    print(f"{len(dataset)} validation images of {num_subjects(dataset)} subjects, lower is better:")
    print(format_table(rows))
    print("without correspondence, in Pixel2Mesh's scale: CD x 1000, F1 in %; w.: weighted by the actions' images:")
    print(format_table(rows, SURFACE_TABLE, decimals=3))
    cases = gallery_cases(candidates, evaluation.metrics["score"], options, device)
    size = write_report(folder / "index.html", report_of(options, candidates, references, evaluations, cases))
    print(f"page: {folder / 'index.html'}, {size / 1e6:.1f} MB, to be opened in a browser")


def score_points(options: argparse.Namespace, team: Team) -> None:
    """Scores a run by the 68 labelled points of images of which it is told only where these points lie."""
    if team.size > 1:
        raise InputError(f"--split points: wanted one process, as images come one by one, got {team.size}")
    root = AflwRoot(options.data_root)
    labels = read_point_labels(root)
    predictor = Predictor(options.name, options.checkpoints_dir, options.epoch, options.gpu_ids, steps=options.steps)
    print(predictor.device_line)
    folder = options.output_dir / options.name / "points"
    folder.mkdir(parents=True, exist_ok=True)
    points = [
        face_points(find_labelled(predictor, root.read_image(known.sample), known))
        for known in tqdm(labels, desc="points", unit="image")
    ]
    metrics = point_metrics(np.stack(points), np.stack([known.points for known in labels]))
    yaw = np.array([known.yaw_deg for known in labels])
    row = yaw_row(metrics, yaw)
    content = {"run": options.name, "checkpoint": f"{options.epoch}.pt", "steps": options.steps}
    content |= {"data_root": str(options.data_root), "images": len(labels), "metrics": row}
    write_json(folder / "metrics.json", content)
    write_image_metrics(folder / "metrics.csv", [known.sample for known in labels], {**metrics, "yaw_deg": yaw})
    save_picture(folder / "cases.jpg", draw_point_cases(predictor, root, labels, metrics["nme68_percent"]))
    print(f"figures: {folder / 'metrics.json'}, {folder / 'metrics.csv'}; pictures: {folder / 'cases.jpg'}")
    print(f"{len(labels)} images, NME of the 68 points in percent by the labelled yaw, lower is better:")
    print(format_yaw_table(options.name, row))


def find_labelled(predictor: Predictor, image: np.ndarray, known: PointLabel) -> FacePrediction:
    """The face in the box of an image's labelled points. Raises InputError where that is too small to be seen."""
    box = tight_box(known.points[:, :2])
    faces = predictor(image, boxes=box[None])
    if not faces:
        raise InputError(f"image {known.sample}: wanted a face that is large enough to see, got the box {box.tolist()}")
    return faces[0]


def draw_point_cases(
    predictor: Predictor, root: AflwRoot, labels: Sequence[PointLabel], errors: np.ndarray
) -> np.ndarray:
    """The images with the least, the median and the largest errors (B,), a row each: labelled points green, predicted
    ones red."""
    order, count = np.argsort(errors), min(POINT_CASES, len(errors))
    middle = (len(order) - count) // 2
    cases = {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
    tiles = []
    for title, places in cases.items():
        for place in places:
            image = root.read_image(labels[place].sample)
            picture = draw_points(image, find_labelled(predictor, image, labels[place]), labels[place].points)
            tiles.append(label(picture, f"{title}: NME {errors[place]:.1f} %"))
    return mosaic(tiles, columns=count, tile=320)


def references_of(candidate: Candidate, device: torch.device) -> list[Candidate]:
    """What a run is to be better than."""
    run = candidate.run
    return [
        replace(candidate, title="the same, untrained", model=run.untrained_model().to(device)),
        replace(candidate, title="mean face at mean pose", model=MeanFace(run.statistics).to(device)),
    ]


def evaluate(candidate: Candidate, options: argparse.Namespace, device: torch.device, team: Team) -> Evaluation | None:
    """The evaluation on the first rank, None on the others."""
    run, loading = candidate.run, (options.batch_size, options.num_workers)
    world = (run.topology.keypoints, run.projection, run.image_size)
    triangles = run.topology.triangles
    share = score_share(candidate.model, candidate.dataset, device, *loading, *world, candidate.title, team, triangles)
    return evaluation_of(share, team)


def num_subjects(dataset: WcpaDataset) -> int:
    return len({sample.subject for sample in dataset.samples})


def report_of(
    options: argparse.Namespace,
    candidates: Sequence[Candidate],
    references: Sequence[Candidate],
    evaluations: Sequence[Evaluation],
    cases: Sequence[Case],
) -> Report:
    """What the page shows. evaluations: of the candidates, then of the references."""
    first, count = candidates[0], len(candidates)
    models = [
        ModelFigures(
            each.title, found.metrics, found.vertex_errors, read_metrics(each.run.path.parent), each.run.options
        )
        for each, found in zip(candidates, evaluations[:count], strict=True)
    ]
    others = [
        ModelFigures(each.title, found.metrics, found.vertex_errors)
        for each, found in zip(references, evaluations[count:], strict=True)
    ]
    facts = [
        f"{len(first.dataset):,} validation images of {num_subjects(first.dataset):,} subjects",
        f"{options.epoch}.pt after epoch {first.run.state['epoch']}",
        first.run.options["model"],
        first.run.options["memo"],
    ]
    return Report(
        title=options.name,
        subtitle=" · ".join(filter(None, facts)),
        models=models,
        references=others,
        samples=first.dataset.samples,
        conditions=conditions_of(first),
        topology=first.run.topology,
        mean_face=first.run.statistics.verts_mean,
        cases=cases,
        reddest_error=REDDEST_ERROR,
        # but where the page lies, which it shows by itself and which may change
        options={name: value for name, value in plain(options).items() if name != "output_dir"},
    )


def conditions_of(candidate: Candidate) -> dict[str, np.ndarray]:
    """The true conditions of each image of a labelled data set, name -> (B,)."""
    run, dataset = candidate.run, candidate.dataset
    parts = []
    for indices in in_order(range(len(dataset)), 256):
        labels = [dataset.label(index) for index in indices]
        verts, R_t = (np.stack([each[name] for each in labels]) for name in ("verts", "R_t"))
        parts.append(image_conditions(verts, R_t, run.topology.keypoints, run.projection, run.image_size))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def gallery_cases(
    candidates: Sequence[Candidate], scores: np.ndarray, options: argparse.Namespace, device: torch.device
) -> list[Case]:
    """The images for the page's gallery, picked by the first candidate's scores (B,), with all candidates'
    predictions."""
    run, dataset = candidates[0].run, candidates[0].dataset
    kinds = choose_cases(scores, [sample.action for sample in dataset.samples])
    predicted = [predict_again(candidate, list(kinds), options.batch_size, device) for candidate in candidates]
    cases = []
    for index, *meshes in zip(kinds, *predicted, strict=True):
        image, true = dataset.picture(index).whole(), dataset.label(index)
        truth, world = (true["verts"], true["R_t"]), (run.topology, run.projection, REDDEST_ERROR)
        cases.append(draw_case(index, kinds[index], image, truth, meshes, *world))
    return cases


def predict_again(
    candidate: Candidate, indices: Sequence[int], batch_size: int, device: torch.device
) -> list[tuple[np.ndarray, np.ndarray]]:
    """verts (N, 3) and R_t (4, 4) of each of these images, by this rank alone."""
    batches = in_order(indices, batch_size)
    # A list, as `predict_chosen` holds torch's inference mode while it waits, and two that wait by turns would leave it
    # on.
    predicted = predict_chosen(candidate.model, candidate.dataset, batches, device)
    return [(verts, R_t) for batch in predicted for _, verts, R_t in batch]


def draw_cases(
    model: BaseModel | FlipTest | KnownPredictions,
    dataset: WcpaDataset,
    device: torch.device,
    evaluation: Evaluation,
    run: TrainedRun,
) -> np.ndarray:
    """The best, the median and the worst image by score, a row each: photo, prediction, truth, the mesh's errors."""
    scores = evaluation.metrics["score"]
    order = np.argsort(scores)
    cases = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    tiles = []
    chosen = [int(index) for index in cases.values()]
    (predicted,) = predict_chosen(model, dataset, [chosen], device)
    for name, (index, mesh, pose) in zip(cases, predicted, strict=True):
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
