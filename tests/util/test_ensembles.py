"""Weighted means of predictions, against hands and SciPy."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from util.ensembles import PredictionSum, validation_weights
from util.predictions import Predictions


def predictions_of(verts, rotations, translations, confidence=None):
    R_t = np.tile(np.eye(4), (len(verts), 1, 1))
    R_t[:, :3, :3], R_t[:, 3, :3] = rotations, translations
    confidence = np.ones(len(verts)) if confidence is None else confidence
    return Predictions(*(np.asarray(array, np.float32) for array in (verts, R_t, confidence)))


def mean_of(members, weights):
    combined = PredictionSum()
    for member, weight in zip(members, weights, strict=True):
        combined.add(member, weight)
    return combined.mean()


def test_meshes_and_translations_are_averaged_by_weight():
    one = predictions_of([[[1, 2, 3], [4, 5, 6]]], np.eye(3)[None], [[0, 0, -1]])
    other = predictions_of([[[5, 2, -1], [0, 1, 2]]], np.eye(3)[None], [[0.4, 0, -2]])
    mean = mean_of([one, other], [3, 1])  # three quarters and one
    np.testing.assert_allclose(mean.verts, [[[2, 2, 2], [3, 4, 5]]], rtol=1e-6)  # float32
    np.testing.assert_allclose(mean.R_t[0, 3], [0.1, 0, -1.25, 1], rtol=1e-6)
    np.testing.assert_allclose(mean.R_t[0, :3, :3], np.eye(3), atol=1e-7)
    assert mean.verts.dtype == mean.R_t.dtype == mean.confidence.dtype == np.float32
    assert mean.evidence is None  # runs have spaces of their own


def test_rotations_get_their_chordal_mean():
    """SciPy's is of quaternions, and the same."""
    random, weights = np.random.default_rng(0), [0.2, 0.5, 0.3]
    rotations = [Rotation.random(40, rng=random) for _ in weights]
    members = [predictions_of(np.zeros((40, 1, 3)), each.as_matrix(), np.zeros((40, 3))) for each in rotations]
    got = mean_of(members, weights).R_t[:, :3, :3]
    quaternions = np.stack([each.as_quat() for each in rotations], axis=1)
    wanted = [Rotation.from_quat(each).mean(weights).as_matrix() for each in quaternions]
    np.testing.assert_allclose(got, wanted, atol=1e-5)  # float32 rotations, some of them nearly opposite
    np.testing.assert_allclose(np.linalg.det(got), 1, atol=1e-6)


def test_the_scale_of_a_weight_or_a_confidence_does_not_count():
    random = np.random.default_rng(0)
    members = [
        predictions_of(random.normal(size=(3, 4, 3)), Rotation.random(3, rng=random).as_matrix(), np.zeros((3, 3)), c)
        for c in ([1, 2, 3], [500, 100, 300])
    ]
    mean, again = mean_of(members, [0.25, 0.75]), mean_of(members, [1, 3])
    for name in ("verts", "R_t", "confidence"):
        np.testing.assert_allclose(getattr(again, name), getattr(mean, name), rtol=1e-5, atol=1e-6)  # float32
    # in units of their means, 2 and 300
    wanted = 0.25 * np.array([0.5, 1, 1.5]) + 0.75 * np.array([500, 100, 300]) / 300
    np.testing.assert_allclose(mean.confidence, wanted, rtol=1e-6)


def test_weights_are_inverse_squares_of_validation_scores():
    np.testing.assert_allclose(validation_weights([10, 20]), [0.8, 0.2])  # 1/100 and 1/400
    np.testing.assert_allclose(validation_weights([7, 7, 7]), np.full(3, 1 / 3))
    np.testing.assert_allclose(validation_weights([1e-200, 1e200]), [1, 0])  # whose squares are not numbers


@pytest.mark.parametrize("score", [np.inf, np.nan, 0.0, -1.0])
def test_scores_that_tell_nothing_are_refused(score):
    with pytest.raises(ValueError, match="wanted positive validation scores of all runs"):
        validation_weights([50.0, score])
