"""What a model makes of a whole data set."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from util.distributed import ALONE, Team
from util.evaluation import predict
from util.evidence import CoefficientSpace, ImageEvidence
from util.face_space import FaceSpace
from util.loader import Batch


@dataclass(frozen=True)
class Predictions:
    """Of M images, in the order of their data set: verts (M, N, 3) canonical metres, R_t (M, 4, 4), and confidence (M,)
    how far each is to be trusted, on any positive scale. All float32. evidence: what the shapes come from, where it
    was asked for and the model tells, and of which space."""

    verts: np.ndarray
    R_t: np.ndarray
    confidence: np.ndarray
    evidence: ImageEvidence | None = None
    space: FaceSpace | CoefficientSpace | None = None


def predict_all(
    model: torch.nn.Module,
    dataset: Dataset,
    device: torch.device,
    batch_size: int,
    num_workers: int,
    title: str = "predict",
    team: Team = ALONE,
    with_evidence: bool = False,
) -> Predictions | None:
    """The predictions of a model for a whole data set, in the data set's order whichever its batches come in. The ranks
    of a team share the batches; all but the first get None. with_evidence: ask the model what its shapes come from,
    which for some takes as much memory as the meshes.

    Raises what reading the data set raises.
    """
    batches = dataset.in_order(batch_size)
    parts = team.collect(
        [
            (batch["index"].cpu().numpy(), (verts, R_t), told(model, outputs, batch, with_evidence))
            for batch, outputs, verts, R_t in predict(model, dataset, batches, device, num_workers, title, team)
        ]
    )
    if not team.is_first:
        return None
    _, meshes, (trust, evidence) = parts[0]
    kind = type(evidence)
    whole = [np.empty((len(dataset), *part.shape[1:]), np.float32) for part in (*meshes, trust, *evidence)]
    while parts:  # what is in its place need not be held twice
        indices, meshes, (trust, evidence) = parts.pop()
        for array, part in zip(whole, (*meshes, trust, *evidence), strict=True):
            array[indices] = part
    verts, R_t, confidence, *arrays = whole
    if not arrays:
        return Predictions(verts, R_t, confidence)
    space = type(model.space)(*(array.cpu() for array in model.space))
    return Predictions(verts, R_t, confidence, kind(*arrays), space)


def told(
    model: torch.nn.Module, outputs: dict[str, torch.Tensor], batch: Batch, with_evidence: bool
) -> tuple[np.ndarray, ImageEvidence | tuple[()]]:
    """A model's confidence in its predictions, and its evidence where it has some and is asked for it."""
    evidence = model.shape_evidence(outputs, batch) if with_evidence else None
    arrays = [tensor.float().cpu().numpy() for tensor in (model.confidence(outputs, batch), *(evidence or ()))]
    return arrays[0], () if evidence is None else type(evidence)(*arrays[1:])
