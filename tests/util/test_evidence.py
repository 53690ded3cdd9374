"""Evidence of points against costs that SciPy finds, and what images say together against one dense Gaussian."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from tests.util.made_up_faces import COMPONENTS, SPACE, VERTICES, WORLD, seen, some_faces
from util.evidence import LEAST_VARIANCE, ShapeEvidence, joint_coefficients
from util.face_space import fit_shape, point_evidence


def fitted(points, weights):
    return fit_shape(SPACE, VERTICES, points, weights, *WORLD)


def evidence_of(points, weights, fit):
    return point_evidence(SPACE, VERTICES, points, weights, fit, *WORLD)


def some_evidence(count, noise):
    """Fits, points, weights that differ, and the evidence there."""
    points = some_faces(count, noise)[2]
    weights = torch.tensor(np.random.default_rng(6).uniform(0.5, 2, (count, 68))) / max(noise, 1) ** 2
    fit = fitted(points, weights)
    return fit, points, weights, evidence_of(points, weights, fit)


def least_cost(coefficients, R_t, points, weights):
    """Half the weighted sum of squared errors of points under the pose, near R_t, that has the least of it."""

    def residuals(x):
        pose = np.eye(4)
        pose[:3, :3] = R_t[:3, :3] @ Rotation.from_rotvec(x[:3]).as_matrix()
        pose[3, :3] = R_t[3, :3] + x[3:]
        return ((seen(coefficients, pose) - points) * np.sqrt(weights)[:, None]).ravel()

    return least_squares(residuals, np.zeros(6), "3-point", x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15).cost


# Without errors the second derivative is exact; with some, it lacks the part in the residuals: of 1 pixel, against
# second derivatives over an image of 200, a few thousandths of the whole.
@pytest.mark.parametrize(("noise", "rtol"), [(0, 1e-4), (1, 1e-2)])
def test_evidence_is_the_expansion_of_the_cost_over_all_poses(noise, rtol):
    fit, points, weights, evidence = some_evidence(2, noise)
    if noise == 0:  # about a place where all errors are 0
        fit = fitted(points, 1e8 * weights)
        evidence = evidence_of(points, weights, fit)
    random, step = np.random.default_rng(7), 0.01
    for i in range(2):
        arrays = fit.R_t[i].numpy(), points[i].numpy(), weights[i].numpy()
        place, information = fit.coefficients[i].numpy(), evidence.information[i].numpy()
        slope = information @ place - evidence.vector[i].numpy()
        middle = least_cost(place, *arrays)
        directions = random.normal(0, 1, (4, COMPONENTS))
        # and directions that points hardly tell from a turn or a shift
        directions = [*directions / np.linalg.norm(directions, axis=1)[:, None], np.linalg.eigh(information)[1][:, 0]]
        for direction in directions:
            more, less = (least_cost(place + sign * step * direction, *arrays) for sign in (1, -1))
            # third derivatives, some thousandths of the second, times the square of the step
            assert (more - less) / (2 * step) == pytest.approx(direction @ slope, rel=1e-3, abs=2e-3)
            second = (more + less - 2 * middle) / step**2
            # of sums of which the middle is known to 1e-13
            assert second == pytest.approx(direction @ information @ direction, rel=rtol, abs=1e-4)


def test_the_fit_is_the_evidence_with_its_prior():
    fit, _, _, evidence = some_evidence(4, 2)
    # where it was taken, to what iterations leave
    np.testing.assert_allclose(solved(evidence), fit.coefficients, atol=1e-5)


def solved(evidence):
    """(B, K) the most probable coefficients, given the training shapes'."""
    return torch.linalg.solve(evidence.information + torch.eye(COMPONENTS), evidence.vector[..., None])[..., 0]


def test_the_pose_follows_where_it_is_not_the_best():
    """Evidence taken a step away from the fit, in pose and shape, says the same."""
    fit, points, weights, evidence = some_evidence(3, 1)
    R_t = fit.R_t.clone()
    R_t[:, :3, :3] @= torch.tensor(Rotation.from_rotvec([1e-3, -1e-3, 1e-3]).as_matrix())
    R_t[:, 3, :3] += torch.tensor([1e-4, -1e-4, 1e-3])
    beside = evidence_of(points, weights, type(fit)(fit.coefficients + 0.01, R_t))
    # of some hundredths of a deviation of the points' own, were it not followed; second order in the step is left
    np.testing.assert_allclose(solved(beside), solved(evidence), atol=2e-3)


def test_evidence_of_a_batch_is_that_of_each_and_of_the_points_that_count():
    fit, points, weights, evidence = some_evidence(3, 1)
    for i in range(3):
        own = slice(i, i + 1)
        alone = evidence_of(points[own], weights[own], type(fit)(*(part[own] for part in fit)))
        for found, wanted in zip(alone, evidence, strict=True):
            np.testing.assert_allclose(found[0], wanted[i], rtol=1e-9, atol=1e-9 * float(wanted.abs().max()))
    weights = weights.clone()
    weights[:, 50:] = 0
    fewer = evidence_of(points, weights, fit)
    points = points.clone()
    points[:, 50:] = torch.nan
    for found, wanted in zip(evidence_of(points, weights, fit), fewer, strict=True):
        np.testing.assert_array_equal(found, wanted)
    # fewer points say less, whichever the direction
    assert (torch.linalg.eigvalsh(evidence.information - fewer.information) > -1e-9).all()
    assert (torch.linalg.eigvalsh(fewer.information) > 0).all()


def covariance_of(size=COMPONENTS, seed=8):
    """Of expressions: variances from 0.05 to 0.9 in directions of their own."""
    directions = np.linalg.qr(np.random.default_rng(seed).normal(0, 1, (size, size)))[0]
    return (directions * np.linspace(0.05, 0.9, size)) @ directions.T


def made_up(information, vector, correction=0.0):
    """Evidence about coefficients, with sizes of some percent."""
    random, count = np.random.default_rng(9), len(vector)
    correction = np.full(vector.shape, correction)
    return ShapeEvidence(
        information, vector, correction, random.normal(0, 0.03, count), random.normal(0, 0.02, vector.shape)
    )


def drawn_evidence(count, rank=5):
    """Of images that each tell of some directions only."""
    random = np.random.default_rng(10)
    factors = random.normal(0, 2, (count, rank, COMPONENTS))
    information = factors.transpose(0, 2, 1) @ factors
    return made_up(information, np.einsum("mrk,mr->mk", factors, random.normal(0, 3, (count, rank))))


def dense(evidence, rows, expressions):
    """The coefficients out of one system of equations for the identity and all expressions."""
    size, count = len(expressions), len(rows)
    precision = np.zeros((count + 1, size, count + 1, size))
    precision[0, :, 0] = np.linalg.inv(np.eye(size) - expressions)
    right = np.zeros((count + 1, size))
    for place, row in enumerate(rows, start=1):
        precision[place, :, place] = np.linalg.inv(expressions)
        for one in (0, place):
            right[one] += evidence.vector[row]
            for other in (0, place):
                precision[one, :, other] += evidence.information[row]
    both = np.linalg.solve(precision.reshape(right.size, right.size), right.ravel()).reshape(right.shape)
    return both[0] + both[1:]


def test_joint_coefficients_are_those_of_one_dense_system():
    evidence, expressions = drawn_evidence(9), covariance_of()
    rows = [4, 0, 7, 8, 2]
    found = joint_coefficients(evidence, rows, expressions)
    np.testing.assert_allclose(found, dense(evidence, rows, expressions), atol=1e-8)  # rounding of sums near 1000
    order = [3, 0, 4, 2, 1]
    again = joint_coefficients(evidence, [rows[place] for place in order], expressions)
    np.testing.assert_allclose(again, found[order], atol=1e-10)  # sums in another order
    # the others do matter
    assert np.abs(found - joint_coefficients(evidence, [*rows, 1], expressions)[:-1]).max() > 0.05


def test_one_image_alone_has_the_prior_of_all_faces():
    evidence = drawn_evidence(3)
    alone = np.linalg.solve(evidence.information[1] + np.eye(COMPONENTS), evidence.vector[1])
    np.testing.assert_allclose(joint_coefficients(evidence, [1], covariance_of()), alone[None], atol=1e-9)


def test_what_one_image_sees_is_told_of_the_other_as_far_as_it_is_identity():
    """By hand: image 1 sees the first coefficient, image 2 the second, both exactly; of unit variances, expressions
    have a quarter and a half."""
    sure = 1e12
    information = sure * np.array([np.diag([1, 0]), np.diag([0, 1])])
    vector = sure * np.array([[2.0, 0], [0, -1.0]])
    found = joint_coefficients(made_up(information, vector), [0, 1], np.diag([0.25, 0.5]))
    np.testing.assert_allclose(found, [[2, -0.5], [1.5, -1]], atol=1e-8)  # what 1e12 with 1e-16 leaves, squared


def test_many_images_recover_what_each_shows_in_part():
    """Each of 400 tells, with little noise, of two of eight coefficients."""
    random, expressions = np.random.default_rng(11), 0.1 * np.eye(COMPONENTS)
    identity = random.normal(0, np.sqrt(0.9), COMPONENTS)
    truth = identity + random.normal(0, np.sqrt(0.1), (400, COMPONENTS))
    seen_there = np.stack([random.permutation(COMPONENTS) < 2 for _ in range(400)])
    told = truth + random.normal(0, 0.01, truth.shape)
    information = 1e4 * seen_there[:, :, None] * np.eye(COMPONENTS)
    found = joint_coefficients(made_up(information, 1e4 * seen_there * told), range(400), expressions)
    # 0.01 of noise: of 800 numbers four deviations
    np.testing.assert_allclose(found[seen_there], truth[seen_there], atol=0.04)
    # elsewhere the identity, which a hundred images tell, each less sure by its expression: four deviations
    hidden = found[~seen_there] - np.broadcast_to(identity, truth.shape)[~seen_there]
    assert np.abs(hidden).max() < 4 * np.sqrt(0.1 / 100)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_faces_that_never_move_or_are_all_alike(share):
    """Variances of 0 are taken for LEAST_VARIANCE, so that all stays finite."""
    evidence = made_up(10 * np.tile(np.eye(2), (3, 1, 1)), 10 * np.array([[1.0, 0], [2, 1], [3, -1]]))
    found = joint_coefficients(evidence, [0, 1, 2], share * np.eye(2))
    expressions = max(share, LEAST_VARIANCE)
    identities = max(1 - expressions, LEAST_VARIANCE)
    # by hand, in each coefficient: the mean tells the identity, but for the variances of expressions and of points
    told, spread = np.array([[1.0, 0], [2, 1], [3, -1]]), expressions + 0.1
    identity = told.mean(axis=0) * identities / (identities + spread / 3)
    np.testing.assert_allclose(found, identity + (told - identity) * expressions / spread, atol=1e-9)  # rounding


def test_joint_shapes_by_hand():
    evidence, rows = drawn_evidence(6), [5, 0, 3]
    corrections = np.random.default_rng(12).normal(0, 1.5, (6, COMPONENTS))
    evidence = evidence._replace(correction=corrections)
    coefficients = dense(evidence, rows, SPACE.expression_covariance.double().numpy())
    coefficients += (corrections[5] + corrections[0] + corrections[3]) / 3
    shapes = evidence.joint_shapes(rows, SPACE)
    told = (evidence.size[5] + evidence.size[0] + evidence.size[3]) / 3
    lengths = np.linalg.norm(coefficients, axis=1)
    assert lengths.min() < COMPONENTS**0.5 < lengths.max()  # a usual face, and an unusual one
    for shape, row, own in zip(shapes, rows, coefficients, strict=True):
        usual = own * min(1.0, COMPONENTS**0.5 / np.linalg.norm(own))
        size = 1 + told + (usual * evidence.size_slope[row]).sum()
        wanted = SPACE.mean.double().numpy() + np.tensordot(own, SPACE.basis.double().numpy(), 1)
        np.testing.assert_allclose(shape, size * wanted, atol=1e-9)  # coefficients to 1e-8


def test_float32_evidence_is_computed_with_in_float64():
    evidence = ShapeEvidence(*(np.float32(array) for array in drawn_evidence(6)))
    found = joint_coefficients(evidence, [1, 2], np.float32(covariance_of()))
    assert found.dtype == evidence.joint_shapes([1, 2], SPACE).dtype == np.float64
    exact = joint_coefficients(
        ShapeEvidence(*map(np.float64, evidence)), [1, 2], np.float64(np.float32(covariance_of()))
    )
    np.testing.assert_array_equal(found, exact)
