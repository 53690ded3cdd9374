import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from util.identity import fuse_shapes

RANDOM = np.random.default_rng(0)
MEAN = RANDOM.uniform(-0.1, 0.1, (200, 3))
# two expressions, some 3 and 2 mm a vertex, and identities across them
DIRECTIONS = np.linalg.qr(RANDOM.normal(0, 1, (600, 6)))[0].T.reshape(6, 200, 3)
EXPRESSIONS = DIRECTIONS[:2] * (np.array([0.003, 0.002]) * np.sqrt(200))[:, None, None]
IDENTITIES = DIRECTIONS[2:] * 0.004 * np.sqrt(200)


def test_identity_is_shared_and_expressions_stay():
    identity = MEAN + np.tensordot([0.5, -1.0, 0.3, 0.8], IDENTITIES, 1)
    weights = np.array([[1.0, 0.0], [-0.5, 1.5], [0.2, -1.0], [0.0, 0.7]])
    moves = np.tensordot(weights, EXPRESSIONS, 1)
    errors = np.tensordot(RANDOM.normal(0, 0.5, (4, 4)), IDENTITIES, 1)
    errors -= errors.mean(axis=0)  # single predictions are wrong, their mean is right
    fused = fuse_shapes(identity + moves + errors, np.ones(4), MEAN, EXPRESSIONS)
    share = np.array([9 / 10, 4 / 5])  # of deviations of 3 and 2 mm against noise of 1
    kept = np.tensordot(weights * share, EXPRESSIONS, 1)
    rest = np.tensordot(weights * (1 - share), EXPRESSIONS, 1).mean(axis=0)
    np.testing.assert_allclose(fused, identity + kept + rest, atol=1e-3)  # the alignment moves shapes that differ
    before = np.linalg.norm(errors, axis=2).mean()
    after = np.linalg.norm(fused - (identity + moves), axis=2).mean()
    assert after < 0.2 * before
    # and one person it is: what differs between two photos is expression alone
    difference = (fused[0] - fused[1]).ravel()
    inside = EXPRESSIONS.reshape(2, -1) / np.linalg.norm(EXPRESSIONS.reshape(2, -1), axis=1, keepdims=True)
    assert np.linalg.norm(difference - inside.T @ (inside @ difference)) < 1e-9


def test_shrinking_by_hand():
    """One expression of deviation s: a shape at d along it has s^2 / (s^2 + n^2) d for its expression."""
    direction = EXPRESSIONS[:1]
    verts = np.stack([MEAN + direction[0], MEAN - direction[0]])
    fused = fuse_shapes(verts, np.ones(2), MEAN, direction)
    variance, noise = 0.003**2 * 200, 0.001**2 * 200
    share = variance / (variance + noise)
    np.testing.assert_allclose(
        fused[0] - fused[1], 2 * share * direction[0], atol=1e-4
    )  # the alignment: the turn that fits best


def test_weights_count():
    identity = np.stack([MEAN, MEAN + IDENTITIES[0]])
    fused = fuse_shapes(identity, np.array([1.0, 3.0]), MEAN, EXPRESSIONS[:0])
    np.testing.assert_allclose(fused[0], MEAN + 0.75 * IDENTITIES[0], atol=2e-4)  # the alignment
    np.testing.assert_array_equal(fused[0], fused[1])


def test_rigid_motion_is_taken_out():
    turn = Rotation.from_euler("y", 3, degrees=True).as_matrix()
    fused = fuse_shapes(np.stack([MEAN, MEAN @ turn + 0.01]), np.ones(2), MEAN, EXPRESSIONS[:0])
    distances = np.linalg.norm(fused[0][:, None] - fused[0], axis=2)
    assert distances == pytest.approx(np.linalg.norm(MEAN[:, None] - MEAN, axis=2), abs=2e-4)  # chord of 1.5 degrees
