"""The statistics of the training labels that models are whitened and started with."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg


@dataclass(frozen=True)
class LabelStatistics:
    """six_mean, six_std: (6,) of the 6DoF; verts_mean: (N, 3) metres, the mean face; verts_basis: (K, N, 3) metres,
    the principal components of the meshes about it, each as long as its standard deviation, the longest first;
    expression_basis: (E, N, 3), the same of the meshes about their subjects' mean faces: what one face does;
    landmark_mean (139,), landmark_whitening (139, 139): of util.landmarks.landmark_numbers. All float32.
    """

    six_mean: np.ndarray
    six_std: np.ndarray
    verts_mean: np.ndarray
    verts_basis: np.ndarray
    expression_basis: np.ndarray
    landmark_mean: np.ndarray
    landmark_whitening: np.ndarray


def principal_components(samples: np.ndarray, mean: np.ndarray, most: int) -> np.ndarray:
    """The first components of samples (n, N, 3) about mean (N, 3): at most `most` and n - 1 of them, (K, N, 3)
    float32, orthogonal, each as long as the standard deviation along it (n in the denominator)."""
    centred = (samples.astype(np.float64) - mean).reshape(len(samples), -1)
    _, singular, rows = scipy.linalg.svd(centred, full_matrices=False)
    count = min(most, len(samples) - 1, int((singular > 1e-6 * singular[0]).sum()))
    scaled = rows[:count] * (singular[:count, None] / np.sqrt(len(samples)))
    return scaled.reshape(count, *mean.shape).astype(np.float32)
