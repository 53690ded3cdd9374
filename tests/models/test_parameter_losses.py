"""The costs by hand, by a slow twin that rebuilds a face for each parameter, and by finite differences."""

import math

import pytest
import torch

from models.parameter_losses import (
    chosen_vertices,
    landmark_regression,
    parameter_distance,
    scaled_norms,
    turned_norms,
    vertex_distance,
    weighted_parameter_distance,
    wing,
)
from models.scaled_orthography import crop_vertices

IDENTITY, EXPRESSION, POINTS, SCALE = 3, 2, 7, 0.8
NUM = 12 + IDENTITY + EXPRESSION


@pytest.fixture
def world():
    """Mean shape, basis, whitening, and two true faces whose pose has the scale that the fast form takes for granted;
    parameters in float64."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mean, basis = normal(POINTS, 3), normal(IDENTITY + EXPRESSION, POINTS, 3)
    rotation, _ = torch.linalg.qr(normal(2, 3, 3))
    matrix = torch.cat([SCALE * rotation, normal(2, 3, 1)], dim=2)
    coefficients = normal(2, IDENTITY + EXPRESSION)
    true = torch.cat([matrix.flatten(1), coefficients], dim=1)
    deviations = normal(NUM).abs() + 0.5
    return mean, basis, true, deviations, normal(2, NUM)


def face(parameters, mean, basis):
    """(B, n, 3) vertices as they lie in the crop."""
    return crop_vertices(parameters[:, :12], shape(parameters, mean, basis))


def shape(parameters, mean, basis):
    return mean + torch.einsum("bk,knc->bnc", parameters[:, 12:], basis)


def slow_weighted_distance(whitened, true, deviations, mean, basis):
    """WPDC as the paper defines its weights: the distance of the true face from one that has one wrong parameter."""
    raw, raw_true = whitened * deviations, true * deviations
    losses = []
    for image in range(len(raw)):
        weights = []
        for number in range(NUM):
            wrong = raw_true[image].clone()
            wrong[number] = raw[image, number]
            faces = face(torch.stack([wrong, raw_true[image]]), mean, basis)
            weights.append(0.0 if number == 11 else (faces[0] - faces[1]).norm().item())
        weights = torch.tensor(weights, dtype=raw.dtype)
        losses.append(((weights / weights.max()) * (whitened[image] - true[image]) ** 2).mean())
    return torch.stack(losses).mean()


def fast_weighted_distance(whitened, true, deviations, mean, basis):
    shapes, moves = shape(true * deviations, mean, basis), scaled_norms(basis, SCALE)
    return weighted_parameter_distance(whitened, true, deviations, shapes, moves)


def test_the_fast_weights_are_those_of_a_face_for_each_parameter(world):
    mean, basis, true, deviations, off = world
    true = true / deviations
    fast = fast_weighted_distance(true + off, true, deviations, mean, basis)
    # 1e-6 is added to weights of about one
    assert fast.item() == pytest.approx(
        slow_weighted_distance(true + off, true, deviations, mean, basis).item(), rel=1e-5
    )


def test_the_exact_weights_are_those_of_a_face_for_each_parameter(world):
    """Under any matrix: of another scale for each face, and with rows that are not square to each other."""
    mean, basis, true, deviations, off = world
    true = true.clone()
    true[:, :12] = torch.randn(2, 12, generator=torch.Generator().manual_seed(2), dtype=true.dtype)
    true[1, :12] *= 5
    shapes, moves = shape(true, mean, basis), turned_norms(basis, true[:, :12])
    exact = weighted_parameter_distance(true / deviations + off, true / deviations, deviations, shapes, moves)
    slow = slow_weighted_distance(true / deviations + off, true / deviations, deviations, mean, basis)
    # 1e-6 is added to weights of about one
    assert exact.item() == pytest.approx(slow.item(), rel=1e-5)


def test_turned_norms_of_nothing_are_zero():
    """Seen along the only direction in which the vertices move, of numbers as large as micrometres."""
    generator = torch.Generator().manual_seed(3)
    bases = 1e5 * torch.randn(50, 200, 1, generator=generator) * torch.tensor([0.3, 0.5, 0.7])
    row = 1e-3 * torch.tensor([0.5, -0.3, 0.0, 60.0])
    numbers = torch.cat([row, 2 * row, row]).expand(4, -1)
    # of the 1e5 * 1e-3 * sqrt(200) pixels of other directions; the root of what float32 rounds off
    assert (turned_norms(bases, numbers) < 1e-3 * 1400).all()


def test_the_weighted_distance_by_hand():
    """One vertex at (3, 4, 0) and another at (0, 0, 1): coordinates have norms 3, 4 and 1."""
    shapes = torch.tensor([[[3.0, 4, 0], [0, 0, 1]]])
    true, off = torch.zeros(1, 14), torch.zeros(1, 14)
    off[0, [1, 3, 11, 12]] = torch.tensor([0.5, 2.0, 9.0, 1.0])
    moves, deviations = torch.tensor([1.0, 0.7]), torch.ones(14)
    deviations[3] = 0.5
    # moves: 0.5 * 4 = 2 of the matrix, 2 * 0.5 * sqrt(2) of the offset, 1 * 1 of the coefficient; depth: none
    loss = weighted_parameter_distance(off, true, deviations, shapes, moves)
    expected = (2 / 2 * 0.25 + math.sqrt(2) / 2 * 4 + 1 / 2 * 1) / 14
    assert loss.item() == pytest.approx(expected, rel=1e-5)  # float32


def test_weights_of_the_weighted_distance_have_no_derivatives(world):
    mean, basis, true, deviations, off = world
    true = true / deviations
    whitened = (true + off).requires_grad_()
    fast_weighted_distance(whitened, true, deviations, mean, basis).backward()
    moves = torch.zeros_like(off)
    for number in range(NUM):
        alone = torch.zeros_like(off)
        alone[:, number] = off[:, number] * deviations[number]
        faces = face(true * deviations + alone, mean, basis) - face(true * deviations, mean, basis)
        moves[:, number] = faces.flatten(1).norm(dim=1)
    moves[:, 11] = 0
    expected = 2 * off * moves / moves.amax(dim=1, keepdim=True) / off.numel()
    torch.testing.assert_close(whitened.grad, expected, rtol=1e-5, atol=1e-8)  # 1e-6 is added to weights


def test_all_are_zero_where_nothing_is_wrong(world):
    mean, basis, true, deviations, _ = world
    faces = face(true, mean, basis)
    assert parameter_distance(true, true) == 0
    assert vertex_distance(faces, faces) == 0
    assert wing(faces, faces) == 0
    assert fast_weighted_distance(true, true, deviations, mean, basis) == 0
    points = faces[..., :2]
    assert landmark_regression(points, points, torch.tensor(3.0)) == 0


def test_means_of_squares_by_hand():
    assert parameter_distance(torch.tensor([[1.0, 2], [0, 0]]), torch.zeros(2, 2)).item() == 5 / 4
    assert vertex_distance(torch.tensor([[[1.0, 2, 3]]]), torch.zeros(1, 1, 3)).item() == pytest.approx(14 / 3)


def test_wing_by_hand():
    off = torch.tensor([[[0.0, 2, -6], [10, -25, 0]]], dtype=torch.float64)
    constant = 10 - 10 * math.log(6)
    expected = [10 * math.log(2), 10 * math.log(4), 10 - constant, 25 - constant]
    assert wing(off, torch.zeros_like(off)).item() == pytest.approx(sum(expected) / 6)
    # the two parts meet: at the width the logarithm is 10 ln 6
    assert 10 - constant == pytest.approx(10 * math.log(6))


def test_landmark_regression_is_as_large_as_the_main_loss():
    points = torch.zeros(2, 68, 2, requires_grad=True)
    true = torch.full((2, 68, 2), 0.1)
    main = torch.tensor(5.0, requires_grad=True)
    loss = landmark_regression(points, true, main)
    assert loss.item() == pytest.approx(5)
    loss.backward()
    assert main.grad is None
    # the mean of (0.1 * 60)^2 is 36: derivatives of that are 2 * 6 * 60 / 272 of a coordinate, times 5 / 36
    torch.testing.assert_close(points.grad, torch.full((2, 68, 2), -720 / 272 * 5 / 36))


@pytest.mark.parametrize("cost", [parameter_distance, vertex_distance, wing])
def test_gradients_by_finite_differences(cost):
    generator = torch.Generator().manual_seed(1)
    values = 8 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    true = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda off: cost(off, true), values.requires_grad_())


def test_chosen_vertices_are_key_points_and_others():
    torch.manual_seed(0)
    keypoints = torch.arange(68) * 3
    chosen, again = chosen_vertices(keypoints, 1220), chosen_vertices(keypoints, 1220)
    assert chosen.shape == (200,)
    assert torch.equal(chosen[:68], keypoints)
    assert len(set(chosen[68:].tolist())) == 132
    assert not torch.equal(chosen, again)
    assert chosen_vertices(keypoints, 30).shape == (98,)  # as many as there are
