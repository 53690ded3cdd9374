"""From a model and a data set to predictions and figures, by one process or a team of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from util.distributed import ALONE, Team
from util.landmark_metrics import landmark_figures
from util.loader import Batch, Indices, load_batches
from util.mesh_quality import flipped_percent
from util.metrics import MILLIMETRES, chamfer_f1, image_metrics


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
    batches: Sequence[Indices],
    device: torch.device,
    num_workers: int,
    title: str,
    team: Team = ALONE,
) -> Iterator[tuple[Batch, dict[str, torch.Tensor], np.ndarray, np.ndarray]]:
    """Runs a model over this rank's share of the batches of a data set, given as lists of indices, in evaluation mode
    and with a progress bar on the first rank.

    Yields the batch and the model's outputs, on the device, then verts (B, N, 3) and R_t (B, 4, 4) as float32 arrays.
    """
    batches = team.share(batches)
    model.eval()
    with torch.inference_mode():
        loaded = load_batches(dataset, batches, num_workers, device)
        bar = {"total": len(batches), "desc": title, "unit": "batch", "leave": False, **team.bar}
        for batch in tqdm(loaded, **bar):
            outputs = model(batch)
            verts, R_t = model.reconstruct(outputs, batch)
            yield batch, outputs, verts.cpu().numpy(), R_t.cpu().numpy()


def predict_chosen(
    model: torch.nn.Module,
    dataset: Dataset,
    batches: Sequence[Indices],
    device: torch.device,
    num_workers: int = 0,
    title: str = "draw",
    team: Team = ALONE,
) -> Iterator[list[tuple[int, np.ndarray, np.ndarray]]]:
    """As `predict`, for images picked from a data set: each is predicted with those that it is evaluated with.

    Yields of each of the batch's images its index, verts (N, 3) and R_t (4, 4), in the order that was asked for.
    """
    whole = [dataset.with_companions(batch) for batch in batches]
    predictions = predict(model, dataset, whole, device, num_workers, title, team)
    for chosen, (batch, _, verts, R_t) in zip(team.share(batches), predictions, strict=True):
        places = {index: place for place, index in enumerate(batch["index"].tolist())}
        yield [(index, verts[places[index]], R_t[places[index]]) for index in chosen]


@dataclass(frozen=True)
class Scored:
    """One rank's share of an evaluation: places in the data set, losses and metrics as in Evaluation, one a batch;
    vertex_errors as there, the share's part of the sum."""

    indices: list[np.ndarray]
    losses: list[dict[str, float]]
    metrics: list[dict[str, np.ndarray]]
    vertex_errors: np.ndarray


def score_share(
    model: torch.nn.Module,
    dataset: Dataset,
    device: torch.device,
    batch_size: int,
    num_workers: int,
    keypoints: np.ndarray,
    projection: np.ndarray,
    image_size: tuple[int, int],
    title: str = "evaluate",
    team: Team = ALONE,
    triangles: np.ndarray | None = None,
) -> Scored:
    """The losses and figures of a model on this rank's share of a labelled data set, which `evaluation_of` puts
    together: those of util.metrics.image_metrics and util.landmark_metrics.landmark_figures, and with the meshes'
    triangles (F, 3) those of the surface: util.metrics.chamfer_f1, which cost several times as much as all others, and
    the flipped triangles of util.mesh_quality."""
    batches = dataset.in_order(batch_size)
    indices, losses, metrics, vertex_errors = [], [], [], np.zeros(())
    for batch, outputs, verts, R_t in predict(model, dataset, batches, device, num_workers, title, team):
        indices.append(batch["index"].cpu().numpy())
        share = len(verts) / len(dataset)
        losses.append({name: float(loss) * share for name, loss in model.losses(outputs, batch).items()})
        true_verts, true_R_t = batch["verts"].cpu().numpy(), batch["R_t"].cpu().numpy()
        figures = image_metrics(verts, R_t, true_verts, true_R_t, keypoints, projection, image_size)
        figures |= landmark_figures(verts, true_verts, keypoints)
        if triangles is not None:
            figures |= chamfer_f1(verts, true_verts)
            figures["flipped_percent"] = flipped_percent(verts, true_verts, triangles)
        metrics.append(figures)
        distances = MILLIMETRES * np.linalg.norm(verts.astype(np.float64) - true_verts, axis=2)
        vertex_errors = vertex_errors + distances.sum(axis=0) / len(dataset)
    return Scored(indices, losses, metrics, vertex_errors)


def evaluation_of(own: Scored, team: Team = ALONE) -> Evaluation | None:
    """The evaluation that the ranks have made their shares of, equal to that of one process with the same batches;
    None on all but the first rank."""
    indices, losses, metrics = team.collect(own.indices), team.collect(own.losses), team.collect(own.metrics)
    vertex_errors = team.collect([own.vertex_errors])
    if not team.is_first:
        return None
    places = np.argsort(np.concatenate(indices))
    return Evaluation(
        {name: sum(batch[name] for batch in losses) for name in losses[0]},
        {name: np.concatenate([batch[name] for batch in metrics])[places] for name in metrics[0]},
        sum(vertex_errors),
    )
