"""From a model and a data set to predictions and figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from util.loader import Batch, in_order, load_batches
from util.metrics import MILLIMETRES, image_metrics


@dataclass(frozen=True)
class Evaluation:
    """losses: name -> mean weighted loss; metrics: name -> one value an image, in the order of the data set;
    vertex_errors: (N,) mean over the images of each vertex's distance in the canonical frame, mm.
    """

    losses: dict[str, float]
    metrics: dict[str, np.ndarray]
    vertex_errors: np.ndarray


def predict(
    model: torch.nn.Module,
    dataset: Dataset,
    indices: Sequence[int],
    device: torch.device,
    batch_size: int,
    num_workers: int,
    title: str,
) -> Iterator[tuple[Batch, dict[str, torch.Tensor], np.ndarray, np.ndarray]]:
    """Runs a model over the items of a data set with these indices, in evaluation mode and with a progress bar.

    Yields the batch and the model's outputs, on the device, then verts (B, N, 3) and R_t (B, 4, 4) as float32 arrays.
    """
    batches = in_order(indices, batch_size)
    model.eval()
    with torch.inference_mode():
        loaded = load_batches(dataset, batches, num_workers, device)
        for batch in tqdm(loaded, total=len(batches), desc=title, unit="batch", leave=False):
            outputs = model(batch)
            verts, R_t = model.reconstruct(outputs, batch)
            yield batch, outputs, verts.cpu().numpy(), R_t.cpu().numpy()


def evaluate(
    model: torch.nn.Module,
    dataset: Dataset,
    device: torch.device,
    batch_size: int,
    num_workers: int,
    keypoints: np.ndarray,
    projection: np.ndarray,
    image_size: tuple[int, int],
    title: str = "evaluate",
) -> Evaluation:
    """The losses and figures of a model on a labelled data set; see util.metrics.image_metrics for the figures."""
    losses: dict[str, float] = {}
    metrics: dict[str, list[np.ndarray]] = {}
    vertex_errors = np.zeros(())
    for batch, outputs, verts, R_t in predict(
        model, dataset, range(len(dataset)), device, batch_size, num_workers, title
    ):
        for name, loss in model.losses(outputs, batch).items():
            losses[name] = losses.get(name, 0.0) + float(loss) * len(verts) / len(dataset)
        true_verts, true_R_t = batch["verts"].cpu().numpy(), batch["R_t"].cpu().numpy()
        figures = image_metrics(verts, R_t, true_verts, true_R_t, keypoints, projection, image_size)
        for name, values in figures.items():
            metrics.setdefault(name, []).append(values)
        distances = MILLIMETRES * np.linalg.norm(verts.astype(np.float64) - true_verts, axis=2)
        vertex_errors = vertex_errors + distances.sum(axis=0) / len(dataset)
    return Evaluation(losses, {name: np.concatenate(values) for name, values in metrics.items()}, vertex_errors)
