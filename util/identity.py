"""One shape for the photos of one person: identity is fused, expressions stay.

The published stand-in for Deep3D's confidence network, which was never released, is the mean of the identity over the
images with expressions taken out (authors' answers to its users). Here identity and expression are what the training
meshes say of how one face moves about its mean, and the mean is one that outliers move little (Huber's, 1964).
"""

import numpy as np

from util.landmark_metrics import similarity_align

# How far predicted shapes may be off along an expression, in metres a vertex: an expression that moves vertices by as
# much is taken for half of what is seen of it.
SHAPE_NOISE = 0.001
# Identities farther from their mean than so many median distances are outliers: errors of some ten independent numbers,
# normally distributed, are so in 1 of 100.
OUTLIER = 1.5
# Steps towards the robust mean: one outlier in three, the worst case, has a share of 2 % after so many.
ROBUST_STEPS = 10


def split_shapes(
    verts: np.ndarray, weights: np.ndarray, verts_mean: np.ndarray, expression_basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Identities and expressions, (B, N, 3) float64 each, of the shapes (B, N, 3) of one person, canonical metres.

    weights: (B,) how far each is to be trusted, any positive scale; verts_mean: (N, 3) the mean face;
    expression_basis: (E, N, 3), see util.statistics.LabelStatistics. Each shape is moved rigidly onto their weighted
    mean. Its expression is its part along the expressions, each shrunk as far as noise explains it (a ridge estimate);
    the rest is identity.
    """
    verts = np.asarray(verts, np.float64)
    mean = np.average(verts, axis=0, weights=weights)
    aligned = similarity_align(verts, np.broadcast_to(mean, verts.shape), scaling="none")
    directions = expression_basis.reshape(len(expression_basis), mean.size).astype(np.float64)
    variances = (directions**2).sum(axis=1)
    # coefficients in units of the expressions' deviations
    found = (aligned - verts_mean).reshape(len(verts), -1) @ directions.T / (variances + SHAPE_NOISE**2 * len(mean))
    expressions = (found @ directions).reshape(verts.shape)
    return aligned - expressions, expressions


def mean_identity(identities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 3) float64 weighted mean of identities (B, N, 3), metres, in which those beyond OUTLIER median distances from
    it count the less the farther away they are. weights: (B,), any positive scale."""
    mean = np.average(identities, axis=0, weights=weights)
    for _ in range(ROBUST_STEPS):
        distances = np.linalg.norm((identities - mean).reshape(len(identities), -1), axis=1)
        limit = max(OUTLIER * np.median(distances), 1e-12)  # metres; above 0, as all may be in one place
        mean = np.average(identities, axis=0, weights=weights * limit / np.maximum(distances, limit))
    return mean


def fuse_shapes(
    verts: np.ndarray, weights: np.ndarray, verts_mean: np.ndarray, expression_basis: np.ndarray
) -> np.ndarray:
    """The shapes (B, N, 3) of one person, canonical metres, with one identity and their own expressions: float64.
    Arguments as in `split_shapes`."""
    identities, expressions = split_shapes(verts, weights, verts_mean, expression_basis)
    return mean_identity(identities, weights) + expressions
