"""One shape for the photos of one person: identity is fused, expressions stay.

The published stand-in for Deep3D's confidence network, which was never released, is the mean of the identity over the
images with expressions taken out (authors' answers to its users). Here identity and expression are what the training
meshes say of how one face moves about its mean.
"""

import numpy as np

from util.landmark_metrics import similarity_align

# How far predicted shapes may be off along an expression, in metres a vertex: an expression that moves vertices by as
# much is taken for half of what is seen of it.
SHAPE_NOISE = 0.001


def fuse_shapes(
    verts: np.ndarray, weights: np.ndarray, verts_mean: np.ndarray, expression_basis: np.ndarray
) -> np.ndarray:
    """The shapes (B, N, 3) of one person, canonical metres, with one identity: float64.

    weights: (B,) how far each is to be trusted, any positive scale; verts_mean: (N, 3) the mean face;
    expression_basis: (E, N, 3), see util.statistics.LabelStatistics. Each shape is moved rigidly onto their weighted
    mean. Its expression is its part along the expressions, each shrunk as far as noise explains it (a ridge estimate);
    the rest is identity, of which the weighted mean is taken.
    """
    verts, weights = np.asarray(verts, np.float64), np.asarray(weights, np.float64) / np.sum(weights)
    mean = np.tensordot(weights, verts, 1)
    aligned = similarity_align(verts, np.broadcast_to(mean, verts.shape), scaling="none")
    directions = expression_basis.reshape(len(expression_basis), mean.size).astype(np.float64)
    variances = (directions**2).sum(axis=1)
    # coefficients in units of the expressions' deviations
    found = (aligned - verts_mean).reshape(len(verts), -1) @ directions.T / (variances + SHAPE_NOISE**2 * len(mean))
    expressions = (found @ directions).reshape(verts.shape)
    identity = np.tensordot(weights, aligned - expressions, 1)
    return identity + expressions
