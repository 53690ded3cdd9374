"""Alignment and its errors against SciPy's solvers, values by hand and the integrals of known distributions."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from util.landmark_metrics import (
    ANCHORS_68,
    ANCHORS_106,
    INNER_106,
    NORMALISER_106,
    OUTER_EYES_68,
    area_under_curve,
    cumulative_curve,
    fit_similarity,
    landmark_figures,
    landmark_nme_3d,
    similarity_align,
    stretched_nme_3d,
)


def random_pairs(images=3, count=68, noise=0.1, seed=0):
    random = np.random.default_rng(seed)
    true = random.normal(0, 1, (images, count, 3))
    rotations = Rotation.random(images, rng=random).as_matrix()
    scales, shifts = random.uniform(0.3, 3, (images, 1, 1)), random.normal(0, 5, (images, 1, 3))
    points = scales * (true + random.normal(0, noise, true.shape)) @ rotations + shifts
    return points, true, scales, rotations, shifts


@pytest.mark.parametrize("scaling", ["least_squares", "radii"])
def test_a_known_similarity_is_found(scaling):
    points, true, scales, rotations, _ = random_pairs(noise=0)
    found = fit_similarity(points, true, scaling)
    np.testing.assert_allclose(found.scale, 1 / scales[:, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(found.rotation, rotations.transpose(0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(found.apply(points), true, atol=1e-12)


@pytest.mark.parametrize(("scaling", "free"), [("least_squares", True), ("none", False)])
def test_no_other_transform_is_closer(scaling, free):
    points, true, *_ = random_pairs(images=1, count=9, noise=0.5)
    found = fit_similarity(points, true, scaling)

    def residuals(x):
        scale = np.exp(x[6]) if free else 1.0
        return (scale * Rotation.from_rotvec(x[:3]).apply(points[0]) + x[3:6] - true[0]).ravel()

    start = np.r_[Rotation.from_matrix(found.rotation[0].T).as_rotvec() + 0.1, 0, 0, 0, 0]
    searched = least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    ours = ((found.apply(points) - true) ** 2).sum()
    # at a minimum costs differ by the square of what the search is off by
    assert ours == pytest.approx(2 * searched.cost, rel=1e-9)
    if free:
        assert found.scale[0] == pytest.approx(np.exp(searched.x[6]), rel=1e-5)


def test_radii_keep_the_size_where_least_squares_shrink():
    points, true, *_ = random_pairs(noise=0.5)
    size = [np.linalg.norm(p - p.mean(axis=1, keepdims=True), axis=(1, 2)) for p in (points, true)]
    np.testing.assert_allclose(fit_similarity(points, true, "radii").scale, size[1] / size[0], rtol=1e-12)
    assert (fit_similarity(points, true).scale < 0.95 * size[1] / size[0]).all()


def test_a_mirrored_face_is_turned_and_not_mirrored_back():
    points, true, *_ = random_pairs()
    found = fit_similarity(points * [-1, 1, 1], true)
    np.testing.assert_allclose(np.linalg.det(found.rotation), 1, rtol=1e-12)
    for own, truth, rotation in zip(points * [-1, 1, 1], true, found.rotation, strict=True):
        expected, _ = Rotation.align_vectors(truth - truth.mean(axis=0), own - own.mean(axis=0))
        np.testing.assert_allclose(rotation.T, expected.as_matrix(), atol=1e-9)


def test_only_the_anchors_are_fitted():
    points, true, *_ = random_pairs(noise=0)
    points[:, 0] += 100
    aligned = similarity_align(points, true, ANCHORS_68)
    np.testing.assert_allclose(aligned[:, 1:], true[:, 1:], atol=1e-11)
    assert (np.linalg.norm(aligned[:, 0] - true[:, 0], axis=1) > 1).all()


@pytest.mark.parametrize(
    ("count", "anchors", "normaliser", "scored"),
    [
        (68, ANCHORS_68, OUTER_EYES_68, None),
        (106, ANCHORS_106, NORMALISER_106, None),
        (106, ANCHORS_106, NORMALISER_106, INNER_106),
    ],
)
def test_nme_3d_against_a_slow_twin(count, anchors, normaliser, scored):
    points, true, *_ = random_pairs(count=count)
    got = landmark_nme_3d(points, true, anchors, normaliser, scored)
    for image in range(len(points)):
        own_centre, centre = points[image, anchors].mean(axis=0), true[image, anchors].mean(axis=0)
        turn, _ = Rotation.align_vectors(true[image, anchors] - centre, points[image, anchors] - own_centre)
        radii = [
            np.sqrt(np.mean([np.sum((p - c) ** 2) for p in face[list(anchors)]]))
            for face, c in ((points[image], own_centre), (true[image], centre))
        ]
        total = 0.0
        for index in scored or range(count):
            placed = radii[1] / radii[0] * turn.apply(points[image, index] - own_centre) + centre
            total += np.linalg.norm(placed - true[image, index])
        unit = np.linalg.norm(true[image, normaliser[0]] - true[image, normaliser[1]])
        assert got[image] == pytest.approx(total / len(scored or range(count)) / unit, rel=1e-9)


def test_nme_3d_by_hand():
    _, true, *_ = random_pairs(images=1)
    true[0, 36], true[0, 45] = (0, 0, 0), (2, 0, 0)
    points = true.copy()
    points[0, 0] += (0, 3, 4)  # no anchor: 5 over 68 points and a unit of 2
    assert landmark_nme_3d(points, true)[0] == pytest.approx(5 / 68 / 2)


def test_stretched_nme_by_hand():
    true = np.array([[[0.0, 0, 0], [4, 2, 1], [1, 1, 0.5]]])
    # twice as wide, elsewhere: stretched back, the last point is at x = 4 * 1 / 8 = 0.5 and is wrong by that alone
    points = np.array([[[10.0, 0, 7], [18, 2, 8], [11, 1, 7.5]]])
    assert stretched_nme_3d(points, true)[0] == pytest.approx(0.5 / 3 / 2)  # the cube root of 4 * 2 * 1


def test_what_cannot_be_aligned_is_told():
    line = np.linspace(0, 1, 68)[None, :, None] * np.ones(3)
    points, true, *_ = random_pairs(images=1)
    for wrong in (line, np.zeros((1, 68, 3))):
        for pair in ((wrong, true), (points, wrong)):
            with pytest.raises(ValueError, match="on one line"):
                fit_similarity(*pair)
    with pytest.raises(ValueError, match="flat along an axis"):
        stretched_nme_3d(points * [1, 1, 0], true)
    with pytest.raises(ValueError, match=r"true points: wanted shape \(1, 68, 3\), got \(1, 67, 3\)"):
        similarity_align(points, true[:, 1:])
    true[0, 36] = true[0, 45]
    with pytest.raises(ValueError, match="36 and 45 apart"):
        landmark_nme_3d(points, true)


def test_curve_and_area():
    errors = np.array([0.3, 0.1, 0.2, 0.1])
    assert cumulative_curve(errors, np.array([0.05, 0.1, 0.2, 1])).tolist() == [0, 0.5, 0.75, 1]
    with pytest.raises(ValueError, match="got none"):
        cumulative_curve(np.zeros(0), np.array([0.1]))
    # errors that are spread evenly from 0 to twice the limit: the curve is a straight line to one half
    even = np.linspace(0, 0.2, 200_001)
    assert area_under_curve(even).mean() == pytest.approx(0.25, abs=1e-5)  # the step of the errors
    # a step's area is what lies right of it
    assert area_under_curve(np.array([0.025, 0.5])).tolist() == [0.75, 0]
    # and in general the area under the curve, by many trapezoids
    drawn = np.random.default_rng(0).gamma(2, 0.03, 500)
    thresholds = np.linspace(0, 0.1, 10_001)
    area = np.trapezoid(cumulative_curve(drawn, thresholds), thresholds) / 0.1
    assert area_under_curve(drawn).mean() == pytest.approx(area, abs=1e-4)  # half a trapezoid


def test_figures_of_images():
    verts = np.random.default_rng(1).normal(0, 0.05, (3, 80, 3))
    keypoints = np.random.default_rng(2).permutation(80)[:68]
    moved = 1.1 * verts + 0.02  # as well aligned as can be
    moved[1, keypoints[8]] += 1.0
    moved[2, keypoints[0]] = np.nan
    figures = landmark_figures(moved, verts, keypoints)
    assert figures["nme68_3d_percent"][0] == pytest.approx(0, abs=1e-9)
    wanted = landmark_nme_3d(moved[1:2, keypoints], verts[1:2, keypoints])[0]
    assert figures["nme68_3d_percent"][1] == pytest.approx(100 * wanted)
    assert figures["auc68_3d_percent"].tolist()[1:] == [0, 0]
    assert figures["failure68_3d_percent"].tolist() == [0, 100, 100]
    assert np.isnan(figures["nme68_3d_percent"][2])
    assert figures["nme68_stretched_percent"][0] == pytest.approx(0, abs=1e-9)
