"""What a model makes of a whole data set."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from util.distributed import ALONE, Team
from util.evaluation import predict


@dataclass(frozen=True)
class Predictions:
    """Of M images, in the order of their data set: verts (M, N, 3) canonical metres, R_t (M, 4, 4), and confidence (M,)
    how far each is to be trusted, on any positive scale. All float32."""

    verts: np.ndarray
    R_t: np.ndarray
    confidence: np.ndarray


def predict_all(
    model: torch.nn.Module,
    dataset: Dataset,
    device: torch.device,
    batch_size: int,
    num_workers: int,
    title: str = "predict",
    team: Team = ALONE,
) -> Predictions | None:
    """The predictions of a model for a whole data set, in the data set's order whichever its batches come in. The ranks
    of a team share the batches; all but the first get None.

    Raises what reading the data set raises.
    """
    batches = dataset.in_order(batch_size)
    parts = team.collect(
        [
            (batch["index"].cpu().numpy(), verts, R_t, model.confidence(outputs, batch).cpu().numpy())
            for batch, outputs, verts, R_t in predict(model, dataset, batches, device, num_workers, title, team)
        ]
    )
    if not team.is_first:
        return None
    whole = [np.empty((len(dataset), *part.shape[1:]), np.float32) for part in parts[0][1:]]
    while parts:  # what is in its place need not be held twice
        indices, *own = parts.pop()
        for array, part in zip(whole, own, strict=True):
            array[indices] = part
    return Predictions(*whole)
