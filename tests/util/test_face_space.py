"""The space of faces against statistics that are known, and the fit in it against SciPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from tests.util.made_up_faces import COMPONENTS, SPACE, VERTICES, WORLD, seen, some_faces
from util import face_space as module
from util.errors import InputError
from util.face_space import descend, face_space, fit_shape, image_slopes, look, make_problem
from util.pnp import TURNS, solve_pnp
from util.statistics import LabelStatistics, principal_components

NOTHING = {"six_mean": np.zeros(6), "six_std": np.ones(6), "landmark_mean": np.zeros(139)}
NOTHING["landmark_whitening"] = np.eye(139)
RANDOM = np.random.default_rng(2)
# Float32 statistics: 6e-8 of what they are, of lengths down to a sixth of the longest.
FLOAT32 = 2e-6


def drawn_faces(count=500):
    """Faces (n, 200, 3) that are size * (mean + c @ basis), with coefficients c (n, K) whose moments are exact: mean 0,
    covariance 1; and sizes (n,) that go with them and also vary by themselves, little enough to be linear."""
    numbers = RANDOM.normal(0, 1, (count, COMPONENTS + 1))
    numbers = np.linalg.qr(numbers - numbers.mean(axis=0))[0] * np.sqrt(count)
    coefficients = numbers[:, 1:]
    sizes = 1 + coefficients @ SPACE.size_slope.double().numpy() + 0.03 * numbers[:, 0]
    mean, basis = SPACE.mean.double().numpy(), SPACE.basis.double().numpy()
    linear = sizes[:, None, None] * mean + np.tensordot(coefficients, basis, 1)
    return linear, coefficients, sizes


FACES, COEFFICIENTS, SIZES = drawn_faces()
MOVES = RANDOM.normal(0, 0.3, (3, COMPONENTS))
STATISTICS = LabelStatistics(
    **NOTHING,
    verts_mean=SPACE.mean.numpy(),
    verts_basis=principal_components(FACES, FACES.mean(axis=0), 99),
    # expressions that also make a face larger
    expression_basis=np.float32(
        np.tensordot(MOVES, SPACE.basis.double().numpy(), 1)
        + 0.01 * np.array([1, -1, 2])[:, None, None] * FACES.mean(0)
    ),
)


def rows_of(space):
    return space.basis.double().flatten(1).numpy()


def test_the_space_of_known_faces():
    """Components come back but for their signs, although the size is mixed into those of the statistics."""
    assert len(STATISTICS.verts_basis) == COMPONENTS + 1
    space = face_space(STATISTICS, 99)
    assert all(array.dtype == torch.float32 for array in space)
    rows, wanted = rows_of(space), rows_of(SPACE)
    signs = np.sign((rows * wanted).sum(axis=1))
    np.testing.assert_allclose(signs[:, None] * rows, wanted, atol=FLOAT32 * np.linalg.norm(wanted, axis=1).max())
    np.testing.assert_allclose(signs * space.size_slope.numpy(), SPACE.size_slope, atol=FLOAT32)
    np.testing.assert_array_equal(space.mean, STATISTICS.verts_mean)
    np.testing.assert_allclose(signs[:, None] * signs * space.expression_covariance.numpy(), MOVES.T @ MOVES, atol=1e-5)


def test_moments_of_drawn_faces():
    """Components are uncorrelated, orthogonal and as long as their deviations; the size's slopes are a regression's."""
    space = face_space(STATISTICS, 99)
    rows, mean = rows_of(space), SPACE.mean.double().numpy().ravel()
    flat = FACES.reshape(len(FACES), -1)
    sizes = flat @ mean / (mean @ mean)
    shapes = flat - sizes[:, None] * mean
    told = shapes @ rows.T / (rows**2).sum(axis=1)
    np.testing.assert_allclose(sizes, SIZES, atol=FLOAT32)
    np.testing.assert_allclose(np.cov(told.T, bias=True), np.eye(COMPONENTS), atol=1e-5)
    lengths = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose((rows / lengths[:, None]) @ (rows / lengths[:, None]).T, np.eye(COMPONENTS), atol=1e-6)
    variances = np.linalg.eigvalsh(np.cov(shapes.T, bias=True))[::-1]
    np.testing.assert_allclose(lengths, np.sqrt(variances[:COMPONENTS]), rtol=1e-5)
    slope = np.linalg.lstsq(told, sizes - 1, rcond=None)[0]
    np.testing.assert_allclose(space.size_slope, slope, atol=FLOAT32)
    # and any face of any size is in it
    face = 1.3 * (mean + [0.5, -1, 2, 0, 0, 1, -1, 3] @ rows)
    size = face @ mean / (mean @ mean)
    again = size * (mean + ((face / size - mean) @ rows.T / lengths**2) @ rows)
    np.testing.assert_allclose(again, face, atol=1e-7)  # metres: float32 bases are that far from orthogonal


def test_the_number_of_components():
    few = face_space(STATISTICS, 3)
    assert [len(array) for array in few] == [200, 3, 3, 3]
    for part, whole in zip(few[1:3], face_space(STATISTICS, 99)[1:3], strict=True):
        np.testing.assert_array_equal(part, whole[:3])
    for wrong in (0, -1):
        with pytest.raises(InputError, match=f"--shape_components: wanted 1 or more, got {wrong}"):
            face_space(STATISTICS, wrong)


def test_faces_without_expressions():
    """As where every subject has one image."""
    space = face_space(replace(STATISTICS, expression_basis=np.zeros((0, 200, 3), np.float32)), 4)
    np.testing.assert_array_equal(space.expression_covariance, torch.zeros(4, 4))


@pytest.mark.parametrize("basis", [SPACE.mean.numpy()[None] * 0.05, np.zeros((0, 200, 3), np.float32)])
def test_faces_that_differ_in_their_size_alone_are_told(basis):
    with pytest.raises(InputError, match="wanted such as differ in more than their size"):
        face_space(replace(STATISTICS, verts_basis=basis), 5)


def fitted(points, weight=1.0, **options):
    weights = torch.full(points.shape[:2], weight).double() if isinstance(weight, float) else weight
    return fit_shape(SPACE, VERTICES, points, weights, *WORLD, **options)


@pytest.mark.parametrize("yaw", [None, 70, -70])
def test_exact_points_give_their_face(yaw):
    coefficients, R_t, points = some_faces(16, yaw=yaw)
    fit = fitted(points, 1e8)
    # the training shapes pull by 1e-8, where points of 1 pixel leave a variance of 0.1 or less
    np.testing.assert_allclose(fit.coefficients, coefficients, atol=1e-8)
    np.testing.assert_allclose(fit.R_t, R_t, atol=1e-9)


def test_a_face_of_another_size_as_much_further_away_is_the_same():
    coefficients, R_t, _ = some_faces(4)
    mean, basis = SPACE.mean[VERTICES].double(), SPACE.basis[:, VERTICES].double()
    large = 2 * (mean + torch.einsum("bk,knx->bnx", coefficients, basis))
    far = large @ R_t[:, :3, :3] + 2 * R_t[:, 3:, :3]
    focal = WORLD[0][0, 0] * 400
    points = torch.stack([400 - focal * far[..., 0] / far[..., 2], 400 + focal * far[..., 1] / far[..., 2]], dim=2)
    fit = fitted(points, 1e8)
    np.testing.assert_allclose(fit.coefficients, coefficients, atol=1e-8)
    np.testing.assert_allclose(fit.R_t, R_t, atol=1e-9)


def test_noisy_points_give_the_minimum_of_scipy():
    """The same cost, with its derivatives by differences, from the truth and from two places far from it."""
    random = np.random.default_rng(3)
    coefficients, R_t, points = some_faces(3, noise=2)
    weights = torch.tensor(random.uniform(0.05, 0.5, (3, 68)))
    fit = fitted(points, weights)
    for i in range(3):

        def residuals(x, i=i):
            pose = np.eye(4)
            pose[:3, :3], pose[3, :3] = Rotation.from_rotvec(x[:3]).as_matrix(), x[3:6]
            errors = (seen(x[6:], pose) - points[i].numpy()) * np.sqrt(weights[i].numpy())[:, None]
            return np.concatenate([errors.ravel(), x[6:]])

        turn = Rotation.from_matrix(R_t[i, :3, :3].numpy()).as_rotvec()
        truth = np.concatenate([turn, R_t[i, 3, :3].numpy(), coefficients[i].numpy()])
        away = np.array([0.3, 0.3, 0.3, 0.05, 0.05, -0.2, *[2.0] * COMPONENTS])
        for start in (truth, truth + away, truth - away):
            best = least_squares(residuals, start, "3-point", x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14).x
            # The fit ends when a step gains less than 1e-9 of a cost of some 50: 3e-4 of a deviation; the next step,
            # which is not taken, is a hundredth of that.
            np.testing.assert_allclose(fit.coefficients[i], best[6:], atol=5e-6)
            np.testing.assert_allclose(fit.R_t[i, :3, :3], Rotation.from_rotvec(best[:3]).as_matrix(), atol=1e-6)
            np.testing.assert_allclose(fit.R_t[i, 3, :3], best[3:6], atol=1e-6)


def test_points_that_say_nothing_leave_the_mean_face():
    _, _, points = some_faces(4, noise=2)
    fit = fitted(points, 1e-12)
    np.testing.assert_allclose(fit.coefficients, 0, atol=1e-8)  # pulls of some 100 times 1e-12
    face = SPACE.mean.double()[VERTICES]
    # what the iterations of both leave
    np.testing.assert_allclose(fit.R_t, solve_pnp(face.expand(4, -1, -1), points, *WORLD), atol=1e-7)


def test_points_of_weight_0_are_left_out_whatever_their_numbers():
    _, _, points = some_faces(4, noise=1)
    weights = torch.ones(4, 68).double()
    weights[:, 40:] = 0
    few = fit_shape(SPACE, VERTICES[:40], points[:, :40], weights[:, :40], *WORLD)
    points[:, 50:], points[:, 60:] = torch.nan, 1e6
    behind = SPACE._replace(mean=SPACE.mean.clone())
    behind.mean[VERTICES[45]] = torch.tensor([0.0, 0.0, 5.0])  # behind the camera
    fit = fit_shape(behind, VERTICES, points, weights, *WORLD)
    for found, wanted in zip(fit, few, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-9)  # sums in another order


@pytest.mark.parametrize("noise", [0, 1])
def test_the_fit_ends_when_nothing_is_left(noise, monkeypatch):
    """Although in some images of a batch, which are there, costs differ by rounding alone."""
    looks = []
    monkeypatch.setattr(module, "look", lambda *arguments: looks.append(1) or look(*arguments))
    fitted(some_faces(32, noise)[2], iterations=1000)
    assert len(looks) < 10


def nonsense():
    """Points that no face has, 48 times: anywhere, upside down, far too much noise."""
    points = some_faces(48, noise=300)[2]
    points[:16] = torch.tensor(np.random.default_rng(4).uniform(0, 800, (16, 68, 2)))
    points[16:32] = 800 - some_faces(16)[2]
    return points


def test_nonsense_gives_a_rigid_pose_in_front():
    fit = fitted(nonsense())
    R = fit.R_t[:, :3, :3]
    # products of thirteen turns in float64
    np.testing.assert_allclose(R @ R.mT, torch.eye(3).double().expand(48, 3, 3), atol=1e-13)
    assert (torch.linalg.det(R) > 0).all()
    np.testing.assert_array_equal(fit.R_t[:, :, 3], torch.tensor([[0.0, 0.0, 0.0, 1.0]]).expand(48, 4))
    basis = SPACE.basis[:, VERTICES].double()
    verts = SPACE.mean[VERTICES].double() + torch.einsum("bk,knx->bnx", fit.coefficients, basis)
    assert ((verts @ R + fit.R_t[:, 3:, :3])[..., 2] < 0).all()


def test_the_cost_never_rises():
    points = nonsense()
    problem = make_problem(SPACE, VERTICES, points, torch.ones(48, 68).double(), *WORLD)
    R_t = solve_pnp(problem.mean.expand(48, -1, -1), points, *WORLD)
    start = look(problem, torch.zeros(48, COMPONENTS).double(), R_t[:, :3, :3], R_t[:, 3, :3])
    costs = torch.stack([descend(problem, start, count).cost for count in range(13)])
    assert (costs[1:] <= costs[:-1]).all()
    # some steps are refused here, and what is left after them is taken
    refused = costs[1:] == costs[:-1]
    assert refused.any()
    assert (refused[:-1] & ~refused[1:]).any()
    fit = fitted(points)
    found = look(problem, fit.coefficients, fit.R_t[:, :3, :3], fit.R_t[:, 3, :3]).cost
    np.testing.assert_allclose(found, costs[-1], rtol=1e-12)  # rounding


def test_slopes_of_the_image_against_differences():
    coefficients, R_t, points = some_faces(2)
    problem = make_problem(SPACE, VERTICES, points, torch.ones(2, 68).double(), *WORLD)
    step = 1e-6

    def image(change):
        turn = torch.linalg.matrix_exp(torch.einsum("k,kij->ij", change[:3], TURNS))
        state = look(problem, coefficients + change[6:], R_t[:, :3, :3] @ turn, R_t[:, 3, :3] + change[3:6])
        return state, (state.seen[..., :2] / state.seen[..., 2:]).flatten(1)

    slopes = image_slopes(problem, image(torch.zeros(6 + COMPONENTS).double())[0])
    differences = [(image(d)[1] - image(-d)[1]) / (2 * step) for d in step * torch.eye(6 + COMPONENTS).double()]
    # third derivatives, of some tens, times 1e-12, and rounding over the step: 1e-10
    np.testing.assert_allclose(slopes, torch.stack(differences, dim=2), atol=1e-9)


def test_it_computes_in_float64_and_without_derivatives():
    points = some_faces(1)[2]
    assert not any(tensor.requires_grad for tensor in fitted(points.requires_grad_()))
    assert fitted(points.float()).coefficients.dtype == torch.float64


def changed(tensor, place, value):
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


@pytest.mark.parametrize(
    ("change_points", "change_weights", "message"),
    [
        (lambda p: changed(p, (1, 3), torch.nan), None, "verts, points: wanted finite"),
        (lambda p: changed(p, (0, 3, 1), torch.inf), None, "verts, points: wanted finite"),
        (lambda p: p[:, :67], None, r"points: wanted shape \(2, 68, 2\), got \(2, 67, 2\)"),
        (None, lambda w: w[0], r"weights: wanted shape \(2, 68\), got \(68,\)"),
        (None, lambda w: changed(w, (0, 2), -1), "weights: wanted finite numbers of at least 0"),
        (None, lambda w: changed(w, (0, 2), torch.nan), "weights: wanted finite numbers of at least 0"),
        (None, lambda w: changed(w, (1, slice(5, None)), 0), "weights: wanted at least 6 above 0 in each image, got 5"),
    ],
)
def test_bad_input_is_told(change_points, change_weights, message):
    points, weights = some_faces(2)[2], torch.ones(2, 68).double()
    points = change_points(points) if change_points else points
    weights = change_weights(weights) if change_weights else weights
    with pytest.raises(InputError, match=message):
        fit_shape(SPACE, VERTICES, points, weights, *WORLD)
