"""What `benchmarks.compare_methods` makes of trained runs: predictions of labelled images, figures and tables."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from data import get_dataset_class
from data.check import usual_image_size
from data.wcpa import SampleId, WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models.base_model import BaseModel
from models.flip_test import FlipTest
from models.loading import TrainedRun
from util.aggregation import aggregate
from util.bootstrap import mean_intervals
from util.camera import project, transform
from util.errors import InputError
from util.landmark_metrics import fit_similarity
from util.mesh_quality import flipped_percent
from util.metrics import (
    MILLIMETRES,
    chamfer_f1,
    image_metrics,
    landmark_nme,
    mean_distance,
    rotation_geodesic,
    score_parts,
)
from util.predictions import Predictions, predict_all

BATCH_SIZE = 32
# So many batches are timed, and the median is told, as other processes may disturb one or the other.
TIMED_BATCHES = 8
# Ways to use a run: whether it looks at mirror images, too, and whose images have one identity.
BOTH = "flips, subject"
VARIANTS = {"": (False, "none"), "flips": (True, "none"), "subject": (False, "subject"), BOTH: (True, "subject")}
# The columns of the tables: title -> key of a figure, and its decimals.
COST_COLUMNS = {"M parameters": ("parameters_millions", 1), "ms/image": ("milliseconds", 1), "min": ("minutes", 0)}
MESH_COLUMNS = {
    "score": ("score", 2),
    "±": ("interval", 2),
    "all": ("score_all", 2),
    "pose = ADD, mm": ("score_pose", 2),
    "shape": ("score_shape", 2),
    "size told": ("score_size_told", 2),
    "vertices, mm": ("vertex_error_mm", 3),
    "rotation, °": ("rotation_error_deg", 2),
    "tz, mm": ("tz_error_mm", 2),
    "Chamfer, mm²": ("chamfer_mm2", 2),
    "F1 at 2 mm, %": ("f1_2mm_percent", 1),
    "flipped, %": ("flipped_percent", 2),
    **COST_COLUMNS,
}
POINT_COLUMNS = {
    "NME, %": ("nme68_percent", 2),
    "points, mm": ("points_mm", 2),
    "±": ("interval", 2),
    "rigid, mm": ("points_rigid_mm", 3),
    "similarity, mm": ("points_similarity_mm", 3),
    "angle, °": ("points_angle_deg", 2),
}

Row = dict[str, Any]


class ResizedRoot(WcpaRoot):
    """A data root whose pictures and 68 points are read as if taken at another image_size (width, height) by the same
    camera: its projection does not depend on the number of pixels. Raises InputError for images of several sizes."""

    def __init__(self, root: Path, image_size: tuple[int, int]):
        super().__init__(root)
        self.image_size = image_size
        self.own_size = usual_image_size(WcpaRoot(root), self.samples("train"))

    def read_image(self, sample: SampleId) -> np.ndarray:
        image = super().read_image(sample)
        if image.shape[1::-1] != self.own_size:
            raise InputError(f"{self.image_path(sample)}: wanted {self.own_size} pixels, got {image.shape[1::-1]}")
        # by averages of areas, which do not show as large pixels what small ones show; as it is where the size is
        return cv2.resize(image, self.image_size, interpolation=cv2.INTER_AREA)

    def read_landmarks(self, sample: SampleId) -> np.ndarray:
        scale = np.divide(self.image_size, self.own_size).astype(np.float32)
        return super().read_landmarks(sample) * scale


@dataclass(frozen=True)
class LabelledImages:
    """The labelled images of a data root, verts (M, N, 3) metres and R_t (M, 4, 4), and what predictions of them are
    judged by. keypoints: (68,) of its own topology."""

    root: ResizedRoot
    samples: list[SampleId]
    keypoints: np.ndarray
    verts: np.ndarray
    R_t: np.ndarray
    judge: Callable[[Predictions, "LabelledImages", TrainedRun], dict[str, float]]

    def figures(self, found: Predictions, run: TrainedRun) -> dict[str, float]:
        return self.judge(found, self, run)

    def dataset(self, run: TrainedRun, windows: Sequence[str]) -> WcpaDataset:
        """The images as a run looks at them."""
        look = run.topology, windows, run.options["img_size"]
        return get_dataset_class(run.options["dataset"])(self.root, self.samples, *look, labelled=False)


def read_labelled_images(root: ResizedRoot, judge: Callable[..., dict[str, float]]) -> LabelledImages:
    """All of the training list. Raises what reading raises."""
    topology, samples = root.topology(), root.samples("train")
    bar = tqdm(samples, desc=f"labels of {root.root.name}", unit="image", leave=False)
    verts, R_t = zip(*(root.read_label(sample, topology.num_vertices) for sample in bar), strict=True)
    return LabelledImages(root, samples, topology.keypoints, np.stack(verts), np.stack(R_t), judge)


def predict_images(
    run: TrainedRun, model: BaseModel | FlipTest, images: LabelledImages, device: torch.device, num_workers: int
) -> Predictions:
    title = f"{run.name}, {images.root.root.name}"
    loading = images.dataset(run, model.windows), device, BATCH_SIZE, num_workers
    return predict_all(model.to(device), *loading, title, with_evidence=True)


def predict_variants(
    run: TrainedRun, names: Iterable[str], images: LabelledImages, device: torch.device, num_workers: int
) -> dict[str, Predictions]:
    """What a run makes of images in some of the VARIANTS, by their names."""
    chosen = {name: VARIANTS[name] for name in names}
    model, looks = run.model(), {}
    for flips in {flips for flips, _ in chosen.values()}:
        looks[flips] = predict_images(run, run.flipped(model) if flips else model, images, device, num_workers)
    world = run.statistics, run.topology.keypoints, run.projection, run.image_size
    return {name: aggregate(looks[flips], images.samples, how, *world) for name, (flips, how) in chosen.items()}


def mesh_figures(found: Predictions, images: LabelledImages, run: TrainedRun) -> dict[str, float]:
    """The means of util.metrics.image_metrics, with the interval of the score, and of chamfer_f1 and flipped_percent of
    the meshes; score_size_told is the score of the predictions made as large as the true faces and moved as much
    farther away, where they look the same."""
    world = run.topology.keypoints, run.projection, run.image_size
    metrics = image_metrics(found.verts, found.R_t, images.verts, images.R_t, *world)
    told = score_parts(*with_size_of(found.verts, found.R_t, images.verts), images.verts, images.R_t)["score"]
    meshes = found.verts, images.verts
    metrics |= chamfer_f1(*meshes) | {"flipped_percent": flipped_percent(*meshes, run.topology.triangles)}
    return means(metrics | {"score_size_told": told}, images, "score")


def with_size_of(verts: np.ndarray, R_t: np.ndarray, true_verts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (B, N, 3) scaled to be nearest to the true ones, and the poses (B, 4, 4) under which they look as before:
    float64."""
    verts = verts.astype(np.float64)
    size = (verts * true_verts).sum(axis=(1, 2)) / (verts**2).sum(axis=(1, 2))
    R_t = R_t.astype(np.float64)
    R_t[:, 3, :3] *= size[:, None]
    return size[:, None, None] * verts, R_t


def point_figures(found: Predictions, images: LabelledImages, run: TrainedRun) -> dict[str, float]:
    """The means of `compare_points`, with the interval of points_mm: for meshes of another topology."""
    points = transform(found.verts[:, run.topology.keypoints].astype(np.float64), found.R_t)
    true_points = transform(images.verts[:, images.keypoints].astype(np.float64), images.R_t)
    return means(compare_points(points, true_points, run.projection, run.image_size), images, "points_mm")


def compare_points(
    points: np.ndarray, true_points: np.ndarray, projection: np.ndarray, image_size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Errors of the 68 points (B, 68, 3) in camera space, metres, name -> (B,).

    nme68_percent: of their projections; points_mm: mean distance; points_rigid_mm and points_similarity_mm: the same
    after the rigid motion and the similarity that bring them nearest to the true points; points_angle_deg: of that
    rigid motion, a rotation error that needs no common canonical frame.
    """
    seen, true_seen = (project(each, projection, *image_size)[0] for each in (points, true_points))
    rigid, similar = (fit_similarity(points, true_points, scaling) for scaling in ("none", "least_squares"))
    return {
        "nme68_percent": landmark_nme(seen, true_seen),
        "points_mm": MILLIMETRES * mean_distance(points, true_points),
        "points_rigid_mm": MILLIMETRES * mean_distance(rigid.apply(points), true_points),
        "points_similarity_mm": MILLIMETRES * mean_distance(similar.apply(points), true_points),
        "points_angle_deg": rotation_geodesic(rigid.rotation, np.eye(3)[None]),
    }


def means(metrics: dict[str, np.ndarray], images: LabelledImages, main: str) -> dict[str, float]:
    """Means over the images; "interval" is half the 95 % interval of the main one, by bootstrap over subjects."""
    (low, high) = mean_intervals({main: metrics[main]}, [sample.subject for sample in images.samples])[main]
    return {name: float(values.mean()) for name, values in metrics.items()} | {"interval": (high - low) / 2}


def milliseconds_per_image(run: TrainedRun, model: BaseModel, images: LabelledImages, device: torch.device) -> float:
    """The median time of forward and reconstruct in batches of BATCH_SIZE, with one thread; reading is not counted."""
    dataset, threads, seconds = images.dataset(run, model.windows), torch.get_num_threads(), []
    torch.set_num_threads(1)
    model.to(device).eval()
    try:
        with torch.inference_mode():
            chosen = dataset.in_order(BATCH_SIZE)[:TIMED_BATCHES]
            for indices in tqdm([chosen[0], *chosen], desc=f"time {run.name}", unit="batch", leave=False):
                batch = {name: tensor.to(device) for name, tensor in dataset.read_batch(indices).items()}
                start = time.perf_counter()
                _, R_t = model.reconstruct(model(batch), batch)
                R_t.cpu()  # waits for a GPU
                seconds.append((time.perf_counter() - start) / len(indices))
    finally:
        torch.set_num_threads(threads)
    return 1000 * statistics.median(seconds[1:])  # the first one fetches memory and chooses kernels


def parameters_millions(model: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def markdown_table(rows: Sequence[Row], columns: Mapping[str, tuple[str, int]], kind: str) -> str:
    """A line a row, the figures of one kind of images with those of the row itself; what is not known stays empty."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for row in rows:
        values = row | row[kind]
        cells = [f"{values[key]:.{digits}f}" if key in values else "" for key, digits in columns.values()]
        lines.append("| " + " | ".join([row["title"], *cells]) + " |")
    return "\n".join(lines)
