"""What the images of one face say of it together, where the model tells how sure it is, and of what.

A mean over single predictions keeps what they have in common, above all the mean face that each falls back to where its
image shows little. Here the images' evidence is added up before anything is filled in: a profile tells how far the nose
comes out, a frontal view how wide it is. The coefficients of an image are identity plus expression, Gaussian both, so
all is linear algebra.

Morphable models, which tell identity from expression, say less: of each coefficient of the identity what it is, and how
far that is to be trusted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from util.errors import InputError
from util.face_space import FaceSpace

# Directions in which the training expressions, or identities, hardly vary do so by at least this share.
LEAST_VARIANCE = 1e-3
# Of the mean squared length of a morphable model's bases: far below what the faces of a photo tell.
LEAST_PULL = 1e-6


class ShapeEvidence(NamedTuple):
    """Of M images about their coefficients in a util.face_space.FaceSpace: tensors of a batch, or arrays of a data set.

    information (M, K, K), vector (M, K): the points', see util.face_space.Evidence. correction (M, K): what else the
    model knows adds to what follows from them. The size is 1 + size + coefficients @ size_slope, size (M,), size_slope
    (M, K). All float32. of_landmarks: whether it comes from the 68 points alone.
    """

    information: np.ndarray | torch.Tensor
    vector: np.ndarray | torch.Tensor
    correction: np.ndarray | torch.Tensor
    size: np.ndarray | torch.Tensor
    size_slope: np.ndarray | torch.Tensor
    of_landmarks = True

    def joint_shapes(self, rows: Sequence[int], space: FaceSpace) -> np.ndarray:
        """(n, N, 3) float64 canonical metres: the shapes of n images of one face, whose places are rows, given all."""
        coefficients = joint_coefficients(self, rows, space.expression_covariance.numpy())
        # what the model adds, it adds for the same face: the mean has less noise
        coefficients = coefficients + self.correction[rows].mean(axis=0, dtype=np.float64)
        # Of faces unlike any in training, many images together are sure; what sizes go with them, nobody knows.
        lengths = np.linalg.norm(coefficients, axis=1, keepdims=True)
        usual = coefficients * np.minimum(1.0, np.sqrt(coefficients.shape[1]) / np.maximum(lengths, 1e-12))
        # what is told beside the coefficients is told of the same face
        size = 1 + self.size[rows].mean(dtype=np.float64) + (usual * self.size_slope[rows]).sum(axis=1)
        return size[:, None, None] * (space.mean.numpy() + np.tensordot(coefficients, space.basis.numpy(), 1))


class CoefficientSpace(NamedTuple):
    """The faces of a morphable model: mean (N, 3), identity (K, N, 3) and expression (E, N, 3), tensors of canonical
    metres, the last two a coefficient."""

    mean: torch.Tensor
    identity: torch.Tensor
    expression: torch.Tensor

    def coefficients(self, verts: torch.Tensor) -> torch.Tensor:
        """(B, K + E) float32 identity and expression of the faces that are nearest to shapes (B, N, 3), by least
        squares with a little pull to zero, for what the bases have in common."""
        basis = torch.cat([self.identity, self.expression]).flatten(1).double()
        products = basis @ basis.T
        pull = LEAST_PULL * products.diagonal().mean() * torch.eye(len(basis), device=basis.device)
        away = (verts - self.mean).flatten(1).double()
        return torch.linalg.solve(products + pull, basis @ away.T).T.float()


class CoefficientEvidence(NamedTuple):
    """Of M images about their coefficients in a CoefficientSpace: tensors of a batch, or arrays of a data set.

    identity (M, K); confidence (M, K) how far each of these is to be trusted, any positive scale; expression (M, E).
    All float32.
    """

    identity: np.ndarray | torch.Tensor
    confidence: np.ndarray | torch.Tensor
    expression: np.ndarray | torch.Tensor
    of_landmarks = False

    def joint_shapes(self, rows: Sequence[int], space: CoefficientSpace) -> np.ndarray:
        """(n, N, 3) float64 canonical metres: the shapes of n images of one face, whose places are rows: each one's own
        expression on their identity, the mean of each coefficient by its confidences. Raises InputError for confidences
        that are not finite and above 0."""
        weights = self.confidence[rows].astype(np.float64)
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise InputError(f"confidences: wanted finite numbers above 0, got {weights.min()}..{weights.max()}")
        identity = (weights * self.identity[rows]).sum(axis=0) / weights.sum(axis=0)
        expressions = np.tensordot(self.expression[rows].astype(np.float64), space.expression.numpy(), 1)
        return space.mean.numpy() + np.tensordot(identity, space.identity.numpy(), 1) + expressions


ImageEvidence = ShapeEvidence | CoefficientEvidence


def joint_coefficients(evidence: ShapeEvidence, rows: Sequence[int], expression_covariance: np.ndarray) -> np.ndarray:
    """(n, K) float64: the most probable coefficients of n images of one face, given the points of all of them.

    rows: (n,) their places; expression_covariance (K, K): that of one face's coefficients, which with that of
    identities makes one.
    """
    size = len(expression_covariance)
    expressions = at_least(expression_covariance.astype(np.float64))
    identities = at_least(np.eye(size) - expressions)
    information = evidence.information[rows].astype(np.float64)
    vector = evidence.vector[rows].astype(np.float64)
    # expressions may be anything: an image's evidence about the identity is the less for it
    softer = np.linalg.inv(np.eye(size) + information @ expressions)
    identity = np.linalg.solve(
        np.linalg.inv(identities) + (softer @ information).sum(axis=0), (softer @ vector[..., None]).sum(axis=0)[:, 0]
    )
    pull = (vector - information @ identity)[..., None]
    return identity + np.linalg.solve(np.linalg.inv(expressions) + information, pull)[..., 0]


def at_least(covariance: np.ndarray) -> np.ndarray:
    """The covariance with variances of LEAST_VARIANCE and more."""
    variances, directions = np.linalg.eigh(covariance)
    return (directions * np.maximum(variances, LEAST_VARIANCE)) @ directions.T
