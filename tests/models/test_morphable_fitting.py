"""Fits of made-up faces, against the coefficients that they were made of and against SciPy's and NumPy's solvers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares, minimize_scalar
from scipy.spatial.transform import Rotation

from data.wcpa import WcpaRoot
from models import morphable_fitting
from models.morphable import MorphableLayer, MorphableModel
from models.morphable_files import read_morphable
from models.morphable_fitting import State, fit_landmarks_orthographic, fit_landmarks_perspective, fit_mesh, settle
from models.scaled_orthography import CROP, crop_points, split_numbers
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pose import pose_from_6dof

SHARED = Path(__file__).parents[3] / "shared"
RANDOM = np.random.default_rng(0)
COUNT, IDENTITIES, EXPRESSIONS, FACES = 200, 4, 3, 3
METRES = 0.1


def make_model():
    """A bowl of 200 vertices in decimetres that each coefficient's deviation moves by some millimetres."""
    x, y = RANDOM.uniform(-1, 1, (2, COUNT)) * [[0.7], [0.9]]
    mean = np.stack([x, y, 0.6 - 0.8 * x**2 - 0.4 * y**2], axis=1)
    bases, deviations = [], []
    for count in (IDENTITIES, EXPRESSIONS):
        deviation = RANDOM.uniform(0.3, 3, count)
        bases.append(RANDOM.normal(0, 0.04, (count, COUNT, 3)) / deviation[:, None, None])
        deviations.append(deviation)
    colors = np.zeros((0, 3)), np.zeros((0, 0, 3))
    arrays = [np.float32(array) for array in (mean, *bases, *deviations, *colors)]
    keypoints = RANDOM.permutation(COUNT)[:68]
    no_triangles = np.zeros((0, 3), np.int32)
    return MorphableModel(*arrays, no_triangles, keypoints, np.zeros(COUNT, bool), np.zeros(0, int), np.array(METRES))


MODEL = make_model()
LAYER = MorphableLayer(MODEL)
DEVIATIONS = np.concatenate([MODEL.identity_deviations, MODEL.expression_deviations]).astype(float)
BASIS = np.concatenate([MODEL.identity, MODEL.expression]).astype(float)
COEFFICIENTS = RANDOM.normal(0, 1, (FACES, IDENTITIES + EXPRESSIONS)) * DEVIATIONS
PROJECTION = torch.tensor(WCPA_PROJECTION)


def faces(coefficients, vertices=slice(None)):
    """(..., n, 3) in decimetres."""
    return MODEL.mean[vertices].astype(float) + np.tensordot(coefficients, BASIS[:, vertices], 1)


def joined(fit):
    return torch.cat([fit.identity, fit.expression], dim=1).numpy()


def poses(count=FACES):
    six = np.random.default_rng(1).normal([0, 0, 0, 0, 0, -0.53], [0.3, 0.3, 0.1, 0.02, 0.05, 0.07], (count, 6))
    return pose_from_6dof(six)


# --- meshes


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("align", [False, True])
def test_meshes_come_back(align, some):
    vertices = torch.tensor(RANDOM.permutation(COUNT)[:50]) if some else None
    R_t = poses() if align else np.tile(np.eye(4), (FACES, 1, 1))
    verts = transform(METRES * faces(COEFFICIENTS, slice(None) if vertices is None else vertices.numpy()), R_t)
    # a micrometre's noise leaves about its square over that of the millimetres that a coefficient is worth to the prior
    fit = fit_mesh(LAYER, torch.tensor(verts), 1e-6, vertices, align)
    np.testing.assert_allclose(joined(fit), COEFFICIENTS, atol=1e-6)
    np.testing.assert_allclose(fit.R_t.numpy(), R_t, atol=1e-7)
    assert fit.identity.shape == (FACES, IDENTITIES)


def test_meshes_closed_form_is_that_of_numpy():
    noise = 2e-3
    verts = METRES * faces(COEFFICIENTS) + RANDOM.normal(0, noise, (FACES, COUNT, 3))
    rows = np.concatenate([METRES * BASIS.reshape(len(BASIS), -1).T / noise, np.diag(1 / DEVIATIONS)])
    sides = np.concatenate(
        [(verts - METRES * MODEL.mean.astype(float)).reshape(FACES, -1).T / noise, np.zeros((len(BASIS), FACES))]
    )
    wanted = np.linalg.lstsq(rows, sides, rcond=None)[0].T
    # rounding, the normal equations being of a condition near 10
    np.testing.assert_allclose(joined(fit_mesh(LAYER, torch.tensor(verts), noise)), wanted, atol=1e-9)
    assert np.abs(wanted - COEFFICIENTS).max() > 1e-3  # the noise matters here


def test_aligned_meshes_are_where_scipy_finds_them():
    noise, R_t = 5e-3, poses()
    verts = transform(METRES * faces(COEFFICIENTS), R_t) + RANDOM.normal(0, noise, (FACES, COUNT, 3))
    fit = fit_mesh(LAYER, torch.tensor(verts), noise, align=True)
    for index in range(FACES):

        def errors(numbers, index=index):
            turn, shift, z = Rotation.from_rotvec(numbers[:3]).as_matrix(), numbers[3:6], numbers[6:]
            moved = METRES * faces(z * DEVIATIONS) @ turn.T + shift
            return np.concatenate([(moved - verts[index]).ravel() / noise, z])

        start = Rotation.from_matrix(R_t[index, :3, :3].T).as_rotvec()
        found = least_squares(errors, [*start, *R_t[index, 3, :3], *np.zeros(len(BASIS))], xtol=1e-12, ftol=1e-12)
        # ours stops where a step lowers the cost by 1e-9 of it, a coefficient is then within a share of its square root
        np.testing.assert_allclose(joined(fit)[index] / DEVIATIONS, found.x[6:], atol=1e-4)
        np.testing.assert_allclose(fit.R_t[index, 3, :3], found.x[3:6], atol=1e-6)


def test_a_strong_prior_keeps_the_mean():
    verts = torch.tensor(METRES * faces(COEFFICIENTS))
    assert np.abs(joined(fit_mesh(LAYER, verts, noise=10.0)) / DEVIATIONS).max() < 1e-2


# --- points under scaled orthography


def orthographic_faces(size, noise, vertices):
    """Scaled rotations with offsets (3, 12) and points (3, n, 2) in pixels of a picture."""
    turns = Rotation.from_euler("yxz", RANDOM.normal(0, 0.4, (FACES, 3))).as_matrix()
    matrices = np.concatenate([50 * turns, RANDOM.normal(CROP / 2, 5, (FACES, 3, 1))], axis=2)
    matrices[:, 2, 3] = 0
    crop = faces(COEFFICIENTS, vertices) @ matrices[:, :, :3].transpose(0, 2, 1) + matrices[:, None, :, 3]
    points = np.stack([crop[..., 0], CROP - crop[..., 1]], axis=-1) * size / CROP
    return matrices.reshape(FACES, 12), points + RANDOM.normal(0, noise, points.shape)


@pytest.mark.parametrize("size", [CROP, 450])
def test_orthographic_faces_come_back(size):
    numbers, points = orthographic_faces(size, 0, MODEL.keypoints)
    fit = fit_landmarks_orthographic(LAYER, torch.tensor(points), size, noise=1e-4)
    # the prior pulls by the square of 1e-4 pixels over the pixels that a coefficient is worth
    np.testing.assert_allclose(joined(fit), COEFFICIENTS, atol=1e-5)
    np.testing.assert_allclose(fit.numbers.numpy(), numbers, atol=1e-4)


def test_orthographic_faces_are_where_scipy_finds_them():
    noise, size = 2.0, 240
    vertices = RANDOM.permutation(COUNT)[:30]
    numbers, points = orthographic_faces(size, noise, vertices)
    fit = fit_landmarks_orthographic(LAYER, torch.tensor(points), size, noise, torch.tensor(vertices))
    for index in range(FACES):

        def errors(unknowns, index=index):
            rows, z = unknowns[:8].reshape(2, 4), unknowns[8:]
            crop = faces(z * DEVIATIONS, vertices) @ rows[:, :3].T + rows[:, 3]
            seen = np.stack([crop[:, 0], CROP - crop[:, 1]], axis=1) * size / CROP
            return np.concatenate([(seen - points[index]).ravel() / noise, z])

        found = least_squares(errors, [*numbers[index, :8], *np.zeros(len(BASIS))], xtol=1e-12, ftol=1e-12)
        # as for meshes
        np.testing.assert_allclose(joined(fit)[index] / DEVIATIONS, found.x[8:], atol=1e-4)
        np.testing.assert_allclose(fit.numbers[index, :8], found.x[:8], atol=1e-3 * 50)


# --- points before the perspective camera


def test_perspective_faces_come_back():
    R_t = poses()
    points = project(transform(METRES * faces(COEFFICIENTS, MODEL.keypoints), R_t), WCPA_PROJECTION, 800, 800)[0]
    weights = torch.full((FACES, 68), 1e8)
    fit = fit_landmarks_perspective(LAYER, torch.tensor(points), weights, PROJECTION, 800, 800)
    # a ten-thousandth of a pixel of noise
    np.testing.assert_allclose(joined(fit), COEFFICIENTS, atol=1e-4)
    np.testing.assert_allclose(fit.R_t.numpy(), R_t, atol=1e-5)


def test_perspective_faces_are_where_scipy_finds_them():
    R_t, vertices = poses(), RANDOM.permutation(COUNT)[:30]
    points = project(transform(METRES * faces(COEFFICIENTS, vertices), R_t), WCPA_PROJECTION, 800, 600)[0]
    points += RANDOM.normal(0, 2, points.shape)
    weights = RANDOM.uniform(0.1, 0.5, points.shape[:2]) * (RANDOM.random(points.shape[:2]) < 0.8)
    wild = np.where(weights[..., None] == 0, np.nan, points)  # points without weight are left out, whatever they are
    arguments = torch.tensor(wild), torch.tensor(weights), PROJECTION, 800, 600, torch.tensor(vertices)
    fit = fit_landmarks_perspective(LAYER, *arguments)
    for index in range(FACES):

        def errors(unknowns, index=index):
            pose = np.eye(4)
            pose[:3, :3], pose[3, :3] = Rotation.from_rotvec(unknowns[:3]).as_matrix().T, unknowns[3:6]
            shape = METRES * faces(unknowns[6:] * DEVIATIONS, vertices)
            seen = project(transform(shape, pose), WCPA_PROJECTION, 800, 600)[0]
            weighted = (seen - points[index]) * np.sqrt(weights[index])[:, None]
            return np.concatenate([weighted.ravel(), unknowns[6:]])

        start = Rotation.from_matrix(R_t[index, :3, :3].T).as_rotvec()
        found = least_squares(errors, [*start, *R_t[index, 3, :3], *np.zeros(len(BASIS))], xtol=1e-12, ftol=1e-12)
        # `fit_shape` stops, as ours, at 1e-9 of the cost
        np.testing.assert_allclose(joined(fit)[index] / DEVIATIONS, found.x[6:], atol=1e-4)
        np.testing.assert_allclose(fit.R_t[index, 3, :3], found.x[3:6], atol=1e-4)


# --- the descent


def test_a_step_that_is_too_long_is_halved():
    """From z = 3 Gauss and Newton's steps on an arc tangent go ever farther."""

    def look(z):
        errors, slope = 20 * torch.atan(5 * (z - 1)), 100 / (1 + (5 * (z - 1)) ** 2)
        return State(z, z, errors, -slope[:, :, None], z.new_zeros(len(z), 0, 1))

    start = torch.tensor([[3.0], [1.1], [-2.0]]).double()
    full = start + morphable_fitting.step_of(look(start))
    assert (look(full).cost() > look(start).cost())[[0, 2]].all()
    wanted = minimize_scalar(
        lambda z: 200 * np.arctan(5 * (z - 1)) ** 2 + z * z / 2, bounds=(0.5, 1.5), method="bounded"
    )
    # where the cost's parts in 1e9 are decided
    np.testing.assert_allclose(settle(look, start).z[:, 0], wanted.x, atol=1e-5)


def test_an_end_before_the_minimum_is_told(monkeypatch):
    monkeypatch.setattr(morphable_fitting, "ITERATIONS", 1)
    verts = torch.tensor(transform(METRES * faces(COEFFICIENTS), poses()))
    with pytest.raises(InputError, match="got none in 1 steps for \\[0, 1, 2\\]"):
        fit_mesh(LAYER, verts, align=True)


# --- mistakes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points: points[:, :60], r"points: wanted shape \(B, 68, 2\), got \(3, 60, 2\)"),
        (lambda points: points * torch.nan, "points: wanted finite numbers"),
        (lambda points: points[:, :1].expand(-1, 68, -1), "points: wanted such as span 2 dimensions, got 0 in face 0"),
        (lambda points: points[..., :1].expand(-1, -1, 2), "points: wanted such as span 2 dimensions, got 1 in face 0"),
    ],
)
def test_wrong_points(change, message):
    points = torch.tensor(orthographic_faces(CROP, 0, MODEL.keypoints)[1])
    with pytest.raises(InputError, match=message):
        fit_landmarks_orthographic(LAYER, change(points))


def test_too_few_points():
    points = torch.tensor(RANDOM.uniform(0, CROP, (1, 3, 2)))
    with pytest.raises(InputError, match="vertices: wanted such as span 3 dimensions, got 2"):
        fit_landmarks_orthographic(LAYER, points, vertices=torch.arange(3))
    with pytest.raises(InputError, match="wanted at least 6 points, got 3"):
        fit_landmarks_perspective(LAYER, points, torch.ones(1, 3), PROJECTION, 800, 800, torch.arange(3))


@pytest.mark.parametrize("direction", [0, 1])
def test_points_on_a_line_before_the_perspective_camera(direction):
    weights = torch.ones(1, 68)
    weights[0, :5] = 0
    points = 400.1 + direction * torch.linspace(-1, 1, 68)[:, None] * torch.tensor([30.0, 50.0])
    points[0] = 7  # one that is left out does not help
    with pytest.raises(InputError, match=f"points: wanted such as span 2 dimensions, got {direction} in face 0"):
        fit_landmarks_perspective(LAYER, points[None].double(), weights, PROJECTION, 800, 800)
    points[-1] = torch.nan
    with pytest.raises(InputError, match="points: wanted finite numbers"):
        fit_landmarks_perspective(LAYER, points[None], weights, PROJECTION, 800, 800)
    for wrong in (weights[:, 1:], -weights):
        with pytest.raises(InputError, match="weights: wanted"):
            fit_landmarks_perspective(LAYER, points[None], wrong, PROJECTION, 800, 800)


def test_wrong_meshes():
    verts = torch.tensor(METRES * faces(COEFFICIENTS))
    for wrong, message in (
        (verts[:, :100], r"verts: wanted shape \(B, 200, 3\), got \(3, 100, 3\)"),
        (verts * torch.inf, "verts: wanted finite numbers"),
    ):
        with pytest.raises(InputError, match=message):
            fit_mesh(LAYER, wrong)
    with pytest.raises(InputError, match="noise: wanted a number above 0, got 0"):
        fit_mesh(LAYER, verts, noise=0.0)
    with pytest.raises(InputError, match="verts: wanted such as span 2 dimensions, got 0 in face 0"):
        fit_mesh(LAYER, verts[:, :1].repeat(1, COUNT, 1), align=True)


# --- a real model and real points


@pytest.mark.skipif(
    not ((SHARED / "wcpa_sample").is_dir() and (SHARED / "ict_facekit").is_dir()), reason="no data beside the project"
)
def test_facekit_lies_on_the_points_of_real_data():
    layer = MorphableLayer(read_morphable(SHARED / "ict_facekit" / "ict_facekit_compact.npz"))
    root = WcpaRoot(SHARED / "wcpa_sample")
    samples = root.samples("train")[::60]
    points = torch.tensor(np.stack([root.read_landmarks(sample) for sample in samples])).double()
    projection = torch.tensor(root.projection())
    fit = fit_landmarks_perspective(layer, points, torch.full(points.shape[:2], 0.25), projection, 800, 800)
    shapes = layer.shapes(fit.identity.float(), fit.expression.float(), layer.keypoints).double() * layer.metres
    seen, _ = project(transform(shapes, fit.R_t), projection, 800, 800)
    # the points are whole pixels with a pixel or so of noise; one off in the key points' order would be 10 pixels
    assert (seen - points).norm(dim=2).mean() < 2.5
    # faces are of human likelihood: a deviation of 1 is usual
    assert ((fit.identity**2).mean(dim=1).sqrt() < 1).all()
    crops = fit_landmarks_orthographic(layer, points, 800, 2.0)
    shapes = layer.shapes(crops.identity.float(), crops.expression.float(), layer.keypoints).double()
    assert ((crop_points(crops.numbers, shapes) + 1) * 400 - points).norm(dim=2).mean() < 2.5
    # both say the same of where the face looks, but for the 20 degrees that it may be seen beside the axis
    looks = split_numbers(crops.numbers)[1][:, :, 2], fit.R_t[:, 2, :3]
    assert ((looks[0] * looks[1]).sum(dim=1) > np.cos(np.radians(25))).all()
