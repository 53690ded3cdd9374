"""Several runs' predictions of the same images as one."""

from collections.abc import Sequence

import numpy as np
import torch

from util.errors import InputError
from util.pose import nearest_rotation
from util.predictions import Predictions


class PredictionSum:
    """The weighted mean of predictions of the same images, which come one after the other and need not be kept.

    Meshes and translations are averaged, and of rotations the one is taken that is nearest to their mean.
    Confidences, which each model gives on a scale of its own, are averaged in units of their mean over the images.
    """

    def __init__(self) -> None:
        self.weight = 0.0
        self.verts, self.R_t, self.confidence = np.zeros(0), np.zeros(0), np.zeros(0)

    def add(self, predictions: Predictions, weight: float) -> None:
        """weight: positive, on any scale that is common to all."""
        if self.weight == 0:
            self.verts = np.zeros_like(predictions.verts)  # float32, as they are as large as a submission
            self.R_t = np.zeros(predictions.R_t.shape)
            self.confidence = np.zeros(predictions.confidence.shape)
        weight = float(weight)  # a NumPy scalar would make doubles of floats
        self.weight += weight
        self.verts += weight * predictions.verts
        self.R_t += weight * predictions.R_t
        self.confidence += weight * (predictions.confidence / predictions.confidence.mean())

    def mean(self) -> Predictions:
        """Of all that was added, which must be something."""
        assert self.weight > 0
        R_t = self.R_t / self.weight
        R_t[:, :3, :3] = nearest_rotation(torch.from_numpy(R_t[:, :3, :3])).numpy()
        confidence = self.confidence / self.weight
        return Predictions(self.verts / self.weight, R_t.astype(np.float32), confidence.astype(np.float32))


def validation_weights(scores: Sequence[float]) -> np.ndarray:
    """(n,) weights that sum up to 1, in proportion to the inverse squares of validation scores (n,): the best linear
    mean of unbiased predictions whose errors are independent and as large as the scores. Raises InputError where a
    score is not a positive number."""
    scores = np.asarray(scores, dtype=np.float64)
    if not (np.isfinite(scores) & (scores > 0)).all():
        raise InputError(
            f"--ensemble_weights validation: wanted positive validation scores of all runs, got {scores.tolist()}; "
            "train the others to the end of an epoch, or take --ensemble_weights equal"
        )
    weights = (scores.min() / scores) ** 2
    return weights / weights.sum()
