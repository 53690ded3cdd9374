"""Image sets against closed cases: faces that are a mean, an identity, an expression and noise."""

from dataclasses import replace

import numpy as np
import pytest

from util.aggregation import FRAME_WIDTH, aggregate, aggregate_shapes, frame_numbers, smooth_frames
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.evidence import ShapeEvidence
from util.face_space import face_space
from util.pose import pose_from_6dof
from util.predictions import Predictions
from util.statistics import LabelStatistics

RANDOM = np.random.default_rng(0)
MEAN = RANDOM.uniform(-0.1, 0.1, (200, 3))
# what rigid motions do to the mean, to first order, so that alignment takes nothing off what is orthogonal to it
RIGID = [*np.tile(np.eye(3), (200, 1)).T, *(np.cross(MEAN, axis).ravel() for axis in np.eye(3))]
# orthogonal directions: one expression of 4 mm a vertex, and identities of 5 mm across it
DIRECTIONS = np.linalg.qr(np.column_stack([*RIGID, RANDOM.normal(0, 1, (600, 5))]))[0].T[6:].reshape(5, 200, 3)
DIRECTIONS *= np.sqrt(200)
EXPRESSION, IDENTITIES = 0.004 * DIRECTIONS[:1], 0.005 * DIRECTIONS[1:]
# of an expression of 4 mm against noise of 1 mm, see util.identity
SHARE = 16 / 17
IMAGE_SIZE = (800, 800)


def shapes_of(verts, samples, how, confidence=None, basis=EXPRESSION):
    confidence = np.ones(len(verts)) if confidence is None else np.asarray(confidence)
    return aggregate_shapes(verts, confidence, samples, how, MEAN, basis)


def keys(count, subject="1", action="a", every=100):
    """Samples of one action, too far apart in time to be smoothed."""
    return [(subject, action, str(every * number)) for number in range(count)]


def errors(shapes, truth):
    """Root mean square over all images, after the mean over vertices, of what is left along no rigid motion."""
    return np.sqrt(((shapes - truth) ** 2).sum(axis=2).mean())


def test_the_error_of_an_identity_falls_with_the_root_of_the_number_of_images():
    truth = MEAN + IDENTITIES[0] - 0.7 * IDENTITIES[1]
    noise = np.random.default_rng(1).normal(0, 0.002, (24, 200, 3))
    shapes = shapes_of(truth + noise, keys(24), "action", basis=EXPRESSION[:0])
    # of 600 independent numbers: 3 % of deviation
    assert errors(shapes, truth) == pytest.approx(errors(truth + noise, truth) / np.sqrt(24), rel=0.1)
    np.testing.assert_array_equal(shapes, shapes[:1].repeat(24, 0))


def test_actions_share_the_identity_or_not_and_keep_their_expressions():
    """Two actions of one subject, of which one is predicted with a wrong identity."""
    samples = keys(3, action="neutral") + keys(3, action="smile")
    smiles = np.array([0, 0, 0, 1.5, 1.5, 1.5])[:, None, None] * EXPRESSION
    wrong = np.array([0, 0, 0, 1, 1, 1])[:, None, None] * IDENTITIES[0]
    apart, together = (shapes_of(MEAN + smiles + wrong, samples, how) for how in ("action", "subject"))
    np.testing.assert_allclose(apart, MEAN + smiles + wrong, atol=1e-7)  # float32 of 0.1 m
    # the mean of both identities, and the part of the smile that is taken for noise is shared, too
    kept = SHARE * smiles + (1 - SHARE) * smiles.mean(axis=0)
    np.testing.assert_allclose(together, MEAN + 0.5 * IDENTITIES[0] + kept, atol=5e-4)  # the alignment
    assert np.abs(together - apart).max() > 0.003


def test_weights_count():
    verts = np.stack([MEAN, MEAN + IDENTITIES[0]])
    shapes = shapes_of(verts, keys(2), "subject", [1.0, 3.0])
    np.testing.assert_allclose(shapes[1], MEAN + 0.75 * IDENTITIES[0], atol=2e-4)  # the alignment
    np.testing.assert_array_equal(shapes_of(verts, keys(2), "subject", [0.25, 0.75]), shapes)


def test_an_outlier_hardly_counts():
    noise = 0.1 * np.random.default_rng(2).normal(0, 1, (8, 4))
    noise[7] += [10, 0, 0, 0]
    verts = MEAN + np.tensordot(noise, IDENTITIES, 1)
    moved = shapes_of(verts, keys(8), "subject")[0] - shapes_of(verts[:7], keys(7), "subject")[0]
    # the plain mean moves by 10 / 8 of the identity; noise of 0.1 has a share of some 1.5 medians in 100 of them
    assert 0 < np.linalg.norm(moved) / np.linalg.norm(IDENTITIES[0]) < 0.1


def test_the_order_of_the_samples_changes_nothing():
    random = np.random.default_rng(3)
    samples = [
        (subject, action, image) for subject in ("07", "7") for action in ("a", "b") for image in ("9", "010", "8")
    ]
    verts = MEAN + random.normal(0, 0.002, (12, 200, 3))
    confidence, order = random.uniform(0.1, 1, 12), random.permutation(12)
    for how in ("action", "subject"):
        shapes = shapes_of(verts, samples, how, confidence)
        again = shapes_of(verts[order], [samples[place] for place in order], how, confidence[order])
        np.testing.assert_array_equal(again, shapes[order])
        # and subjects are text: 07 is not 7
        np.testing.assert_array_equal(shapes_of(verts[:6], samples[:6], how, confidence[:6]), shapes[:6])


def test_smoothing_by_hand():
    frames, weights = np.array([10.0, 10 + FRAME_WIDTH, 10 + 20 * FRAME_WIDTH]), np.array([1.0, 2.0, 5.0])
    near = np.exp(-0.5)
    wanted = [(0 + 2 * near * 1) / (1 + 2 * near), 2 * 1 / (2 + near), 7.0]
    np.testing.assert_allclose(smooth_frames(np.array([0.0, 1.0, 7.0]), frames, weights), wanted, rtol=1e-12)


def test_expressions_are_smoothed_in_the_order_of_time_and_not_over_gaps():
    """A smile that comes slowly, with noise, in frames whose names sort as text in another order; and later none."""
    random = np.random.default_rng(4)
    frames = [*range(60), *range(300, 302)]
    smile = np.where(np.array(frames) < 60, np.linspace(0, 2, 62), -1.0)
    told = smile + random.normal(0, 0.3, 62)
    names = [f"{frame:03d}" if frame % 2 else str(frame) for frame in frames]
    order = random.permutation(62)
    verts = MEAN + np.tensordot(told, EXPRESSION, 0)[:, 0]
    shapes = np.empty((62, 200, 3), np.float32)
    shapes[order] = shapes_of(verts[order], [("1", "a", names[place]) for place in order], "action")
    found = (shapes - MEAN).reshape(62, -1) @ EXPRESSION.ravel() / (EXPRESSION**2).sum()
    wanted = SHARE * smooth_frames(told, np.float64(frames), np.ones(62)) + (1 - SHARE) * told.mean()
    np.testing.assert_allclose(found, wanted, atol=0.02)  # the alignment
    # such a mean is over 2 sqrt(pi) 3 = 10.6 frames: noise falls to a third, give or take as few means leave open
    assert np.std((found - smile)[5:55]) / np.std((told - smile)[5:55]) < 0.5


def test_one_image_alone_is_unchanged():
    statistics, predictions = told_predictions(MEAN + RANDOM.normal(0, 0.002, (3, 200, 3)))
    samples = [("1", "a", "0"), ("2", "a", "0"), ("2", "b", "0")]
    found = aggregate(predictions, samples, "action", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE)
    np.testing.assert_array_equal(found.verts, predictions.verts)
    np.testing.assert_array_equal(found.R_t, predictions.R_t)
    found = aggregate(predictions, samples, "subject", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE)
    np.testing.assert_array_equal(found.verts[0], predictions.verts[0])
    np.testing.assert_array_equal(found.R_t[0], predictions.R_t[0])
    assert np.abs(found.verts[1] - predictions.verts[1]).max() > 1e-4
    assert (
        aggregate(predictions, samples, "none", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE) is predictions
    )


def told_predictions(verts, confidence=None):
    """Statistics of these faces, and predictions of such shapes with drawn poses."""
    random = np.random.default_rng(5)
    six = random.normal([0.1, -0.2, 0.05, 0.01, 0.02, -0.5], [0.2, 0.2, 0.1, 0.02, 0.02, 0.05], (len(verts), 6))
    zeros = np.zeros((0, 200, 3), np.float32)
    statistics = LabelStatistics(np.zeros(6), np.ones(6), MEAN, zeros, EXPRESSION, np.zeros(139), np.eye(139))
    confidence = np.ones(len(verts)) if confidence is None else confidence
    return statistics, Predictions(np.float32(verts), np.float32(pose_from_6dof(six)), np.float32(confidence))


def test_poses_follow_the_new_shapes():
    """A face that is predicted a twentieth too large, and as much too far away, looks right; with the size that another
    image tells, it is as near as it is."""
    truth = MEAN + IDENTITIES[0]
    statistics, right = told_predictions(np.stack([truth, truth]))
    large, R_t = right.verts.copy(), right.R_t.copy()
    large[0] *= 1.05
    R_t[0, 3, :3] *= 1.05
    told = Predictions(large, R_t, np.float32([1e-6, 1]))
    statistics = replace(statistics, expression_basis=EXPRESSION[:0])  # a larger face has a part along any
    found = aggregate(told, keys(2), "subject", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE)
    np.testing.assert_allclose(found.verts[0], truth, atol=1e-6)  # the other's share of 5 mm, and float32
    np.testing.assert_allclose(found.R_t, right.R_t, atol=1e-5)  # float32 image points
    seen, wanted = (project(transform(each.verts, each.R_t), WCPA_PROJECTION, *IMAGE_SIZE)[0] for each in (found, told))
    np.testing.assert_allclose(seen, wanted, atol=0.01)  # pixels
    kept = aggregate(
        told, keys(2), "subject", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE, solve_poses=False
    )
    np.testing.assert_array_equal(kept.verts, found.verts)
    np.testing.assert_array_equal(kept.R_t, told.R_t)
    np.testing.assert_array_equal(found.confidence, told.confidence)


def evident_predictions(samples):
    """Statistics, predictions of drawn shapes, and evidence of coefficients that has nothing to do with them."""
    random, count = np.random.default_rng(6), len(samples)
    statistics, predictions = told_predictions(MEAN + random.normal(0, 0.002, (count, 200, 3)))
    statistics = replace(statistics, verts_basis=np.concatenate([EXPRESSION, IDENTITIES]))
    factors = random.normal(0, 2, (count, 5, 3))
    evidence = factors @ factors.transpose(0, 2, 1), (factors @ random.normal(0, 1, (count, 3, 1)))[..., 0]
    evidence += np.zeros((count, 5)), random.normal(0, 0.03, count), random.normal(0, 0.02, (count, 5))
    evidence = ShapeEvidence(*map(np.float32, evidence))
    return statistics, replace(predictions, evidence=evidence, space=face_space(statistics, 5))


@pytest.mark.parametrize(
    ("how", "groups"),
    [("action", [[0, 4], [1], [2, 5], [3, 6]]), ("subject", [[0, 2, 4, 5], [1], [3, 6]])],
)
def test_evidence_makes_the_shapes_where_a_model_tells_it(how, groups):
    """In the list's order, of each group by itself; each image gets the pose under which it looks as predicted."""
    pairs = [("1", "a"), ("2", "a"), ("1", "b"), ("01", "a"), ("1", "a"), ("1", "b"), ("01", "a")]
    samples = [(*pair, str(number)) for number, pair in enumerate(pairs)]
    statistics, predictions = evident_predictions(samples)
    world = statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE
    found = aggregate(predictions, samples, how, *world)
    space = face_space(statistics, 5)
    for rows in groups:
        # rounded to float32 of 0.1 m, and sums in another order
        np.testing.assert_allclose(found.verts[rows], predictions.evidence.joint_shapes(rows, space), atol=2e-8)
    assert found.verts.dtype == np.float32
    kept = aggregate(predictions, samples, how, *world, solve_poses=False)
    np.testing.assert_array_equal(kept.verts, found.verts)
    np.testing.assert_array_equal(kept.R_t, predictions.R_t)
    order = [3, 6, 0, 2, 5, 1, 4]
    shuffled = replace(predictions, evidence=ShapeEvidence(*(array[order] for array in predictions.evidence)))
    again = aggregate(shuffled, [samples[place] for place in order], how, *world, solve_poses=False)
    np.testing.assert_allclose(again.verts, found.verts[order], atol=2e-8)
    points = [
        project(transform(each.verts, each.R_t), WCPA_PROJECTION, *IMAGE_SIZE)[0] for each in (predictions, found, kept)
    ]
    # the image moves less than under the poses that were predicted
    off = [np.square(each - points[0])[:, :68].sum(axis=2).mean(axis=1) for each in points[1:]]
    assert (off[0] < off[1]).all()
    assert aggregate(predictions, samples, "none", *world) is predictions


def test_evidence_and_not_what_was_predicted_makes_the_shapes():
    samples = keys(3)
    statistics, predictions = evident_predictions(samples)
    world = statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE
    other = replace(predictions, verts=predictions.verts + np.float32(0.001), confidence=np.float32([1, 2, 3]))
    shapes = [aggregate(each, samples, "action", *world, solve_poses=False).verts for each in (predictions, other)]
    np.testing.assert_array_equal(*shapes)
    without = aggregate(replace(predictions, evidence=None), samples, "action", *world, solve_poses=False)
    assert np.abs(without.verts - shapes[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (["00032", "7", "132"], [32, 7, 132]),
        (["clip2_f10", "clip2_f9"], [10, 9]),
        (["a9", "a10", "b1"], [0, 1, 2]),
        (["b1", "left", "10"], [1, 2, 0]),
        (["a1b2", "a02b1", "a1"], [1, 2, 0]),
        (["left"], [0]),
    ],
)
def test_frame_numbers(images, wanted):
    np.testing.assert_array_equal(frame_numbers(images), wanted)


@pytest.mark.parametrize(
    ("confidence", "message"),
    [
        ([1, 0], "confidence: wanted finite numbers above 0, got 0.0..1.0"),
        ([np.nan, 1], "confidence: wanted finite numbers above 0, got nan..nan"),
    ],
)
def test_mistakes_are_told(confidence, message):
    with pytest.raises(InputError, match=message):
        shapes_of(np.stack([MEAN, MEAN]), keys(2), "action", np.float64(confidence))


def test_another_way_is_told():
    for evidence in (True, False):
        statistics, predictions = evident_predictions(keys(2))
        predictions = predictions if evidence else replace(predictions, evidence=None)
        with pytest.raises(InputError, match="aggregate: wanted none, subject, action, got 'set'"):
            aggregate(predictions, keys(2), "set", statistics, np.arange(68), WCPA_PROJECTION, IMAGE_SIZE)
