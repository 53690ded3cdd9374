"""A linear space of face shapes, apart from their size, and the fit of a face in it to points of an image.

A camera that sees a face of twice the size at twice the distance sees the same picture. So a shape is taken as
size * (mean + coefficients @ basis), and only what is in the brackets is fitted; what is known of the size comes from
what else is known of the face.
"""

from typing import NamedTuple

import numpy as np
import torch

from util.errors import InputError
from util.pnp import TURNS, check_shapes, intrinsics, solve_pnp
from util.statistics import LabelStatistics

# Marquardt's damping where a step did not help, in shares of the Hessian's diagonal.
FIRST_DAMPING = 1e-3
# What may be left of the cost in a step for the fit to be done, in shares of the cost.
TOLERANCE = 1e-9


class FaceSpace(NamedTuple):
    """mean (N, 3) metres, the mean face; basis (K, N, 3): the principal components of the training shapes of the mean
    face's size, each as long as its standard deviation; size_slope (K,): by how much the size, 1 for the mean face's,
    goes with each coefficient; expression_covariance (K, K): of the coefficients of one face that moves.
    """

    mean: torch.Tensor
    basis: torch.Tensor
    size_slope: torch.Tensor
    expression_covariance: torch.Tensor


def face_space(statistics: LabelStatistics, components: int) -> FaceSpace:
    """The space of the training shapes with so many components, or as many as there are, as float32.

    Shapes are verts_mean + z @ verts_basis with uncorrelated z of deviation 1. Their part along the mean face is their
    size; the rest, over a size that is nearly 1, has the components of what z @ verts_basis is without that part.
    Raises InputError where less than one component is wanted, or there is none.
    """
    if components < 1:
        raise InputError(f"--shape_components: wanted 1 or more, got {components}")
    mean = statistics.verts_mean.astype(np.float64)
    rows = statistics.verts_basis.reshape(-1, mean.size).astype(np.float64)
    sizes = rows @ mean.ravel() / (mean**2).sum()
    left, lengths, right = np.linalg.svd(rows - np.outer(sizes, mean), full_matrices=False)
    # one direction fewer than rows, where the size could be told from them
    count = min(components, int((lengths > 1e-6 * np.linalg.norm(rows)).sum()))
    if not count:
        raise InputError("training shapes: wanted such as differ in more than their size, got none")
    moves = statistics.expression_basis.reshape(-1, mean.size).astype(np.float64)
    moves = moves @ right[:count].T / lengths[:count]
    arrays = (
        mean,
        (right[:count] * lengths[:count, None]).reshape(count, *mean.shape),
        left[:, :count].T @ sizes,
        moves.T @ moves,
    )
    return FaceSpace(*(torch.tensor(array, dtype=torch.float32) for array in arrays))


class Fit(NamedTuple):
    """coefficients (B, K); R_t (B, 4, 4), the pose of a face of the mean face's size; both float64."""

    coefficients: torch.Tensor
    R_t: torch.Tensor


class Problem(NamedTuple):
    """The points (B, n, 2) and weights (B, n) in units of the camera's, see util.pnp.Intrinsics, with the mean (n, 3)
    and basis (K, n, 3) of the vertices that are seen there, and K (3, 3)."""

    points: torch.Tensor
    weights: torch.Tensor
    mean: torch.Tensor
    basis: torch.Tensor
    camera: torch.Tensor


class State(NamedTuple):
    """A place on the way: coefficients c (B, K), R (B, 3, 3), t (B, 3), and what is computed there: turned (B, n, 3),
    the vertices before they are shifted; seen (B, n, 3), camera space times K; errors (B, n, 2); cost (B,)."""

    c: torch.Tensor
    R: torch.Tensor
    t: torch.Tensor
    turned: torch.Tensor
    seen: torch.Tensor
    errors: torch.Tensor
    cost: torch.Tensor


@torch.no_grad()
def fit_shape(
    space: FaceSpace,
    vertices: torch.Tensor,
    points: torch.Tensor,
    weights: torch.Tensor,
    projection: torch.Tensor,
    width: int,
    height: int,
    iterations: int = 12,
) -> Fit:
    """The most probable coefficients and pose, given where some vertices are seen.

    vertices: (n,) indices; points: (B, n, 2) pixels, y down from the corner; weights: (B, n) inverse variances of a
    point's coordinates, 1 / pixels^2; projection: (4, 4) M_proj; width, height: of the picture in pixels.
    Minimises half the sum of squared errors times weights plus half that of the coefficients, which in the training
    shapes have a deviation of 1, from the mean face's pose (`solve_pnp`), by Gauss-Newton with Marquardt's damping, in
    float64. Points of weight 0 are left out, whatever their numbers. Without derivatives. Raises InputError as
    `solve_pnp` does.
    """
    problem = make_problem(space, vertices, points, weights, projection, width, height)
    start = problem.mean.expand(len(points), -1, -1)
    R_t = solve_pnp(start, points.double(), projection, width, height, weights.double())
    state = look(problem, start.new_zeros(len(points), len(problem.basis)), R_t[:, :3, :3], R_t[:, 3, :3])
    state = descend(problem, state, iterations)
    R_t[:, :3, :3], R_t[:, 3, :3] = state.R, state.t
    return Fit(state.c, R_t)


def make_problem(
    space: FaceSpace,
    vertices: torch.Tensor,
    points: torch.Tensor,
    weights: torch.Tensor,
    projection: torch.Tensor,
    width: int,
    height: int,
) -> Problem:
    """The problem of `fit_shape`, in float64; points that are left out lie in the camera's center."""
    mean, basis = space.mean[vertices].double(), space.basis[:, vertices].double()
    check_shapes(mean.expand(len(points), -1, -1), points, projection, weights)
    camera = intrinsics(projection.detach().double(), width, height)
    used = weights != 0
    scaled = torch.where(used[..., None], (points.double() - camera.center) / camera.scale, 0)
    return Problem(scaled, weights.double() * camera.scale**2, mean, basis, camera.K)


def descend(problem: Problem, state: State, iterations: int) -> State:
    """The state of least cost that a state leads to, each image damped by itself."""
    damping = torch.zeros_like(state.cost)
    for _ in range(iterations):
        curvature, slope = derivatives(problem, state)
        curvature.diagonal(dim1=1, dim2=2)[:, 6:] += 1
        slope[:, 6:] += state.c
        diagonal = curvature.diagonal(dim1=1, dim2=2)
        diagonal += diagonal * damping[:, None]
        # not by `torch.linalg.solve`, which fails for batches of some 150 numbers on several threads (pytorch#142815)
        step = -torch.cholesky_solve(slope[..., None], torch.linalg.cholesky_ex(curvature)[0])[..., 0]
        turn = torch.linalg.matrix_exp(torch.einsum("bk,kij->bij", step[:, :3], TURNS.to(step)))
        trial = look(problem, state.c + step[:, 6:], state.R @ turn, state.t + step[:, 3:6])
        better = trial.cost <= state.cost
        # where the step is worse by so little, that is rounding
        left = (state.cost - trial.cost).abs() / state.cost.clamp(min=1e-12)
        damping = torch.where(better, damping / 10, (damping * 10).clamp(min=FIRST_DAMPING))
        pairs = zip(trial, state, strict=True)
        state = State(*(torch.where(better.view(-1, *[1] * (new.dim() - 1)), new, old) for new, old in pairs))
        if (left <= TOLERANCE).all():
            break
    return state


def look(problem: Problem, c: torch.Tensor, R: torch.Tensor, t: torch.Tensor) -> State:
    """What is seen of a face with coefficients c under the pose R, t; infinite cost where a point that counts is behind
    the camera."""
    turned = (problem.mean + torch.einsum("bk,knx->bnx", c, problem.basis)) @ R
    seen = (turned + t[:, None]) @ problem.camera
    errors = seen[..., :2] / seen[..., 2:] - problem.points
    cost = ((problem.weights * (errors**2).sum(dim=2)).sum(dim=1) + (c**2).sum(dim=1)) / 2
    nearest = torch.where(problem.weights > 0, seen[..., 2], torch.inf).amin(dim=1)
    return State(c, R, t, turned, seen, errors, torch.where(nearest > 0, cost, torch.inf))


def image_slopes(problem: Problem, state: State) -> torch.Tensor:
    """(B, 2n, 6 + K) derivatives of the image points by a turn, a shift and the coefficients."""
    count, size = state.seen.shape[:2]
    distance = state.seen[..., 2, None]
    # of x/w and y/w by the homogeneous coordinates, then by camera space
    flat = state.seen.new_zeros(count, size, 2, 3)
    flat[..., 0, 0] = flat[..., 1, 1] = 1.0
    flat[..., 2] = -state.seen[..., :2] / distance
    by_place = flat / distance[..., None] @ problem.camera.T
    by_turn = torch.einsum("bnux,kyx,bny->bnuk", by_place, TURNS.to(by_place), state.turned)
    by_vertex = by_place @ state.R[:, None].mT
    by_shape = torch.einsum("bnux,knx->bnuk", by_vertex, problem.basis)
    return torch.cat([by_turn, by_place, by_shape], dim=3).flatten(1, 2)


def derivatives(problem: Problem, state: State) -> tuple[torch.Tensor, torch.Tensor]:
    """Gauss and Newton's second derivative (B, 6 + K, 6 + K) and the first (B, 6 + K) of the points' part of the cost,
    by a turn, a shift and the coefficients."""
    slopes = image_slopes(problem, state)
    weighted = slopes * problem.weights.repeat_interleave(2, dim=1)[..., None]
    return weighted.mT @ slopes, (weighted.mT @ state.errors.flatten(1)[..., None])[..., 0]


class Evidence(NamedTuple):
    """What an image's points say of the coefficients, whatever the pose: information (B, K, K) and vector (B, K), so
    that half of c @ information @ c less c @ vector is what coefficients c cost, close to the fit."""

    information: torch.Tensor
    vector: torch.Tensor


@torch.no_grad()
def point_evidence(
    space: FaceSpace,
    vertices: torch.Tensor,
    points: torch.Tensor,
    weights: torch.Tensor,
    fit: Fit,
    projection: torch.Tensor,
    width: int,
    height: int,
) -> Evidence:
    """The evidence of the points that `fit_shape` was given, in float64."""
    problem = make_problem(space, vertices, points, weights, projection, width, height)
    state = look(problem, fit.coefficients, fit.R_t[:, :3, :3], fit.R_t[:, 3, :3])
    curvature, slope = derivatives(problem, state)
    # the pose follows the coefficients: Schur's complement
    follows = torch.linalg.solve(curvature[:, :6, :6], torch.cat([curvature[:, :6, 6:], slope[:, :6, None]], dim=2))
    information = curvature[:, 6:, 6:] - curvature[:, 6:, :6] @ follows[..., :-1]
    slope = slope[:, 6:, None] - curvature[:, 6:, :6] @ follows[..., -1:]
    return Evidence(information, (information @ fit.coefficients[..., None] - slope)[..., 0])
