"""The second level: ridge regression against lstsq, what it learns, what it must not."""

import numpy as np
import pytest
import torch

from tests.models.tiny import NUM_VERTICES, TOPOLOGY
from util.camera import WCPA_PROJECTION
from util.ensembles import PredictionSum
from util.landmarks import landmark_numbers
from util.metrics import score_parts
from util.pose import pose_from_6dof, pose_to_6dof
from util.predictions import Predictions
from util.stacking import (
    STRENGTHS,
    Coordinates,
    HeldOut,
    fit_second_level,
    fit_without_each,
    join_figures,
    moments_of,
    total,
    without,
)
from util.statistics import LabelStatistics, principal_components

RANDOM = np.random.default_rng(0)
IMAGE_SIZE, COMPONENTS = (200, 100), 4
MEAN = RANDOM.normal(0, 0.05, (NUM_VERTICES, 3))
SHAPES = MEAN + np.einsum("ik,knc->inc", RANDOM.normal(size=(50, COMPONENTS)), RANDOM.normal(0, 0.004, (4, 30, 3)))
STATISTICS = LabelStatistics(
    np.float32([0.1, -0.1, 0.05, 0.01, -0.02, -0.5]),
    np.float32([0.3, 0.3, 0.1, 0.02, 0.05, 0.06]),
    MEAN.astype(np.float32),
    principal_components(SHAPES, MEAN, 10),
    np.zeros((0, NUM_VERTICES, 3), np.float32),
    np.zeros(139, np.float32),
    np.eye(139, dtype=np.float32),
)
COORDINATES = Coordinates(STATISTICS, IMAGE_SIZE)
WORLD = TOPOLOGY, WCPA_PROJECTION, IMAGE_SIZE


def labels_of(random, count):
    """Labels of some images: shapes within the components, and landmarks that have nothing to do with them."""
    assert len(STATISTICS.verts_basis) == COMPONENTS
    shapes = MEAN + np.tensordot(random.normal(size=(count, COMPONENTS)), STATISTICS.verts_basis, 1)
    poses = pose_from_6dof(STATISTICS.six_mean + random.normal(size=(count, 6)) * STATISTICS.six_std)
    points = random.uniform(0, 100, (count, 68, 2))
    names = ("verts", "R_t", "landmarks")
    return [
        dict(zip(names, (np.float32(x) for x in label), strict=True))
        for label in zip(shapes, poses, points, strict=True)
    ]


def predicted(labels, random, noise, shape_bias=0.0, pose_bias=0.0):
    """Predictions that are off by a bias, in deviations, and by noise."""
    verts, R_t = (np.stack([label[name] for label in labels]) for name in ("verts", "R_t"))
    coefficients = shape_bias + noise * random.normal(size=(len(labels), COMPONENTS))
    six = pose_to_6dof(R_t) + (pose_bias + noise * random.normal(size=(len(labels), 6))) * STATISTICS.six_std
    verts = verts + np.tensordot(coefficients, STATISTICS.verts_basis, 1)
    return Predictions(np.float32(verts), np.float32(pose_from_6dof(six)), np.ones(len(labels), np.float32))


def folds_of(seed, images, *errors):
    """Five folds of so many images, with a base of predictions for each of the errors that `predicted` is told."""
    random, folds = np.random.default_rng(seed), []
    for _ in range(5):
        fold = HeldOut(labels_of(random, images))
        for error in errors:
            fold.add(predicted(fold.labels, random, **error), 1.0, COORDINATES)
        folds.append(fold)
    return folds


def scores_of(folds, all_predictions):
    parts = [fold.figures(each, *WORLD) for fold, each in zip(folds, all_predictions, strict=True)]
    return {name: values.mean() for name, values in join_figures(parts).items()}


def stacked(folds):
    """Of each fold what the second level of the other folds makes of the mean."""
    moments = [fold.moments(COORDINATES) for fold in folds]
    levels = fit_without_each(moments, COMPONENTS)
    return [fold.corrected(level, COORDINATES) for fold, level in zip(folds, levels, strict=True)]


@pytest.fixture
def regression():
    """Groups of features and targets, each with a different number of rows, and the same as moments."""
    random = np.random.default_rng(1)
    groups = [(random.normal(size=(count, 5)), random.normal(size=(count, 3))) for count in (7, 12, 9)]
    return groups, [moments_of(*group) for group in groups]


@pytest.mark.parametrize("strength", [1e-6, 0.1, 30.0])
def test_ridge_is_least_squares_of_the_augmented_system(regression, strength):
    groups, moments = regression
    features, targets = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    extra = np.sqrt(strength * len(features)) * np.eye(5)
    wanted, *_ = np.linalg.lstsq(np.concatenate([features, extra]), np.concatenate([targets, np.zeros((5, 3))]))
    got = total(moments).ridge(strength)
    np.testing.assert_allclose(got, wanted, atol=1e-10)
    errors = ((features @ got - targets) ** 2).sum(axis=0)
    np.testing.assert_allclose(total(moments).squared_errors(got), errors, rtol=1e-10)
    assert not total(moments).ridge(np.inf).any()


def test_strengths_are_those_of_the_smallest_error_on_groups_left_out(regression):
    """By a slow twin that fits and tries every group; shape and pose apart."""
    groups, _ = regression
    for number, (features, targets) in enumerate(groups):
        targets[:, 0] = 0.3 * features[:, 1] + 0.2 * targets[:, 0]  # the shape can be learnt, the pose cannot
        groups[number] = features, targets
    tried = []
    for strength in STRENGTHS:
        errors = np.zeros(3)
        for place, (features, targets) in enumerate(groups):
            rest = total([moments_of(*group) for group in without(groups, place)])
            errors += ((features @ rest.ridge(strength) - targets) ** 2).sum(axis=0)
        tried.append([errors[:1].sum(), errors[1:].sum()])
    wanted = [STRENGTHS[place] for place in np.argmin(tried, axis=0)]
    level = fit_second_level([moments_of(*group) for group in groups], num_components=1)
    assert list(level.strengths) == wanted
    assert level.strengths[0] < np.inf
    whole = total([moments_of(*group) for group in groups])
    np.testing.assert_array_equal(level.weights[:, :1], whole.ridge(wanted[0])[:, :1])
    np.testing.assert_array_equal(level.weights[:, 1:], whole.ridge(wanted[1])[:, 1:])


def test_what_is_wrong_is_written_as_it_is_read():
    """The errors of predictions make them the truth, along the components and in pose."""
    random = np.random.default_rng(2)
    labels = labels_of(random, 6)
    predictions = predicted(labels, random, noise=0.5)
    verts, R_t = (np.stack([label[name] for label in labels]) for name in ("verts", "R_t"))
    corrected = COORDINATES.corrected(predictions, COORDINATES.errors(predictions, verts, R_t))
    np.testing.assert_allclose(corrected.verts, verts, atol=1e-6)  # float32 of 0.1 m
    np.testing.assert_allclose(corrected.R_t, R_t, atol=1e-6)
    nothing = COORDINATES.corrected(predictions, np.zeros((6, COMPONENTS + 6)))
    np.testing.assert_array_equal(nothing.verts, predictions.verts)
    np.testing.assert_allclose(nothing.R_t, predictions.R_t, atol=2e-7)  # a float32 rounding there and back


def test_features_are_what_was_drawn():
    random = np.random.default_rng(3)
    coefficients, six = random.normal(size=(5, COMPONENTS)), random.normal(size=(5, 6))
    verts = MEAN + np.tensordot(coefficients, STATISTICS.verts_basis, 1)
    R_t = pose_from_6dof(STATISTICS.six_mean + six * STATISTICS.six_std)
    read = COORDINATES.read(Predictions(np.float32(verts), np.float32(R_t), np.ones(5, np.float32)))
    np.testing.assert_allclose(read, np.concatenate([coefficients, six], axis=1), atol=1e-3)  # float32 in deviations
    landmarks = random.uniform(0, 100, (5, 68, 2))
    features = COORDINATES.features([read, 2 * read], landmarks)
    assert features.shape == (5, 1 + 2 * (COMPONENTS + 6) + 139)
    np.testing.assert_array_equal(features[:, 0], 1)
    # across 200 x 100 pixels, from -1 to 1
    numbers = landmark_numbers(torch.from_numpy(landmarks / [100, 50] - 1))
    np.testing.assert_allclose(features[:, -139:], numbers, atol=1e-12)


def test_angles_are_compared_the_short_way_round():
    poses = pose_from_6dof(np.array([[0, 3.1, 0, 0, 0, -0.5], [0, -3.1, 0, 0, 0, -0.5]]))
    verts = np.zeros((1, NUM_VERTICES, 3), np.float32)
    errors = COORDINATES.errors(Predictions(verts, poses[:1], np.ones(1)), verts, poses[1:])
    reach = np.sqrt((STATISTICS.verts_mean**2).sum(axis=1).mean() * 2 / 3)
    np.testing.assert_allclose(errors[0, -5], (2 * np.pi - 6.2) * reach, rtol=1e-6)


def test_stacking_removes_a_planted_bias():
    """Two bases whose biases do not cancel; what is left is the noise of their mean, 0.05 / sqrt(2)."""
    errors = {"noise": 0.05, "shape_bias": 1.0, "pose_bias": 0.4}, {"noise": 0.05, "shape_bias": 0.5}
    folds = folds_of(4, 60, *errors)
    mean = scores_of(folds, [fold.sum.mean() for fold in folds])
    stack = scores_of(folds, stacked(folds))
    noise = folds_of(4, 60, {"noise": 0.05}, {"noise": 0.05})
    least = scores_of(noise, [fold.sum.mean() for fold in noise])
    for part in ("score", "score_shape", "score_pose"):
        assert stack[part] < mean[part] / 4, part
        # 160 weights are learnt from 240 images, whose noise they take for more than it is
        assert stack[part] < 2 * least[part], part


def test_stacking_trusts_the_better_base():
    """Equal weights were wrong: the second level finds out which base to believe."""
    folds = folds_of(5, 60, {"noise": 1.0}, {"noise": 0.1})
    mean = scores_of(folds, [fold.sum.mean() for fold in folds])
    assert scores_of(folds, stacked(folds))["score"] < mean["score"] / 2


def test_where_nothing_can_be_learnt_the_mean_stays():
    """Targets that have nothing to do with the features, and a mean that has no errors."""
    for seed in (6, 7, 8):
        random = np.random.default_rng(seed)
        moments = [moments_of(random.normal(size=(60, 40)), random.normal(size=(60, 10))) for _ in range(5)]
        level = fit_second_level(moments, 4)
        # what is learnt by accident is shrunk to next to nothing beside targets of size 1
        assert np.abs(level.weights).max() < 0.02
    folds = folds_of(9, 60, {"noise": 0.0})
    mean, stack = [fold.sum.mean() for fold in folds], stacked(folds)
    for one, other in zip(mean, stack, strict=True):
        np.testing.assert_allclose(other.verts, one.verts, atol=1e-6)  # float32
        np.testing.assert_allclose(other.R_t, one.R_t, atol=1e-5)


def test_the_estimate_is_not_optimistic_on_noise():
    """More weights than a group has images: a fit looks good on what it was fitted to, and the nested one is not."""
    honest, fitted = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        moments = [moments_of(random.normal(size=(12, 30)), random.normal(size=(12, 10))) for _ in range(5)]
        levels = fit_without_each(moments, 4)
        power = total(moments).power.sum()
        errors = [group.squared_errors(level.weights).sum() for group, level in zip(moments, levels, strict=True)]
        honest.append(sum(errors) / power)
        fitted.append(total(moments).squared_errors(total(moments).ridge(0.1)).sum() / power)
    assert np.mean(fitted) < 0.7  # the same data can be made to look so
    assert np.mean(honest) >= 1.0
    assert max(honest) < 1.1  # by the infinite strength among those that are tried


def test_no_fit_sees_the_group_that_it_is_tried_on():
    """What a group's own targets are changes nothing in the second level that corrects it."""
    folds = folds_of(10, 20, {"noise": 0.3, "shape_bias": 1.0})
    moments = [fold.moments(COORDINATES) for fold in folds]
    before = fit_without_each(moments, COMPONENTS)
    random = np.random.default_rng(11)
    moments[2] = moments_of(folds[2].features(COORDINATES), random.normal(size=(20, COMPONENTS + 6)))
    after = fit_without_each(moments, COMPONENTS)
    same = [np.array_equal(one.weights, other.weights) for one, other in zip(before, after, strict=True)]
    assert same == [False, False, True, False, False]


def test_infinite_regularisation_gives_the_weighted_mean():
    random = np.random.default_rng(12)
    fold, combined = HeldOut(labels_of(random, 8)), PredictionSum()
    for weight in (0.2, 0.8):
        predictions = predicted(fold.labels, random, noise=0.5)
        fold.add(predictions, weight, COORDINATES)
        combined.add(predictions, weight)
    level = fit_second_level([moments_of(np.zeros((4, 160)), np.ones((4, COMPONENTS + 6)))] * 2, COMPONENTS)
    assert level.strengths == (np.inf, np.inf)
    corrected, mean = fold.corrected(level, COORDINATES), combined.mean()
    np.testing.assert_array_equal(corrected.verts, mean.verts)
    np.testing.assert_allclose(corrected.R_t, mean.R_t, atol=2e-7)  # angles and back, float32


def test_figures_are_those_of_the_images_in_their_order(monkeypatch):
    monkeypatch.setattr("util.stacking.SCORED_AT_ONCE", 3)
    random = np.random.default_rng(13)
    fold = HeldOut(labels_of(random, 7))
    predictions = predicted(fold.labels, random, noise=0.5)
    truth = fold.all_of("verts"), fold.all_of("R_t")
    wanted = score_parts(predictions.verts.astype(np.float64), predictions.R_t.astype(np.float64), *truth)["score"]
    np.testing.assert_allclose(fold.figures(predictions, *WORLD)["score"], wanted, rtol=1e-5)  # float32 truth
