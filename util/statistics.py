"""The statistics of the training labels that models are whitened and started with."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelStatistics:
    """six_mean, six_std: (6,) of the 6DoF; verts_mean, verts_std: (N, 3) metres, the mean face and how far each
    coordinate strays from it. All float32."""

    six_mean: np.ndarray
    six_std: np.ndarray
    verts_mean: np.ndarray
    verts_std: np.ndarray
