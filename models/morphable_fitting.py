"""Coefficients of a morphable model for meshes and for points of images, in float64.

Each fit is the most probable face under Gaussian noise and the model's deviations: half the squared errors over the
squared deviation of the noise, plus half the squared coefficients over theirs, is least. So the prior's weight is the
square of the noise.

Where the pose is not known, a Gauss-Newton step changes the coefficients with the pose free to follow (variable
projection, Golub and Pereyra 1973), and then the pose is found anew in closed form. To alternate between the two, each
with the other as it was, leads to the same face in hundreds of turns instead of five: what expressions do to a face is
much like a small turn of it.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from models.morphable import MorphableLayer
from models.scaled_orthography import CROP, crop_points, fit_numbers
from util.errors import InputError
from util.face_space import TOLERANCE, FaceSpace, fit_shape
from util.landmark_metrics import fit_similarity
from util.pnp import TURNS, check_shapes, check_weights

ITERATIONS = 50
# The least extent of points, in parts of their largest, for them not to be in a plane or on a line.
FLAT = 1e-5


class PosedFit(NamedTuple):
    """identity (B, K) and expression (B, E), coefficients of the model; R_t (B, 4, 4), its pose in row-vector form, to
    the meshes or to the camera, in metres; all float64."""

    identity: torch.Tensor
    expression: torch.Tensor
    R_t: torch.Tensor


class OrthographicFit(NamedTuple):
    """identity (B, K) and expression (B, E), coefficients of the model; numbers (B, 12) of models.scaled_orthography,
    for shapes in the model's unit; all float64."""

    identity: torch.Tensor
    expression: torch.Tensor
    numbers: torch.Tensor


class State(NamedTuple):
    """Coefficients over their deviations z (B, K) with the pose that is best for them, of any kind; what is left of the
    data, in deviations of the noise: errors (B, m), and their decrease by the coefficients, columns (B or 1, K, m), and
    by the pose, follow (B, f, m)."""

    z: torch.Tensor
    pose: torch.Tensor
    errors: torch.Tensor
    columns: torch.Tensor
    follow: torch.Tensor

    def cost(self) -> torch.Tensor:
        """(B,)"""
        return ((self.errors**2).sum(dim=1) + (self.z**2).sum(dim=1)) / 2


@torch.no_grad()
def fit_mesh(
    layer: MorphableLayer,
    verts: torch.Tensor,
    noise: float = 1e-3,
    vertices: torch.Tensor | None = None,
    align: bool = False,
) -> PosedFit:
    """The faces nearest to meshes: closed, or, with `align`, for meshes in frames of their own.

    verts: (B, n, 3) metres, the places of the model's vertices (n,), or of all; noise: their deviation in metres.
    Without `align` R_t is that of no motion. Raises InputError for wrong shapes, numbers that are not finite, no noise,
    with `align` for points on a line, and for meshes that no face is found for.
    """
    check_noise(noise)
    mean, basis = scaled_basis(layer, vertices)
    verts = check_points("verts", verts, mean, 3).to(mean)
    if align:
        check_span("verts", verts, 2)
    columns = basis.flatten(1)[None] / noise
    still = torch.eye(4).to(mean).repeat(len(verts), 1, 1)

    def look(z: torch.Tensor) -> State:
        shapes = mean + torch.einsum("bk,knx->bnx", z, basis)
        R_t = rigid_pose(shapes, verts) if align else still
        errors = (verts - R_t[:, 3:, :3]) @ R_t[:, :3, :3].mT - shapes
        motions = [shapes[:, None] @ TURNS.to(shapes), torch.eye(3).to(shapes)[:, None].expand(len(z), 3, *mean.shape)]
        follow = torch.cat(motions, dim=1) if align else shapes.new_zeros(len(z), 0, *mean.shape)
        return State(z, R_t, errors.flatten(1) / noise, columns, follow.flatten(2))

    found = settle(look, mean.new_zeros(len(verts), len(basis)))
    return PosedFit(*coefficients(layer, found.z), found.pose)


@torch.no_grad()
def fit_landmarks_orthographic(
    layer: MorphableLayer,
    points: torch.Tensor,
    size: int = CROP,
    noise: float = 1.0,
    vertices: torch.Tensor | None = None,
) -> OrthographicFit:
    """The faces and 3DDFA's cameras for points of images.

    points: (B, n, 2) pixels, y down from the corner, where the model's vertices (n,), or its key points, are seen;
    size: of the picture, in pixels, or of a square with the same corner, to whose crop the twelve numbers refer; noise:
    the points' deviation in pixels. The camera is as `fit_numbers` finds it, its rows neither square to each other nor
    of one length. Raises InputError for wrong shapes, numbers that are not finite, no noise, points on a line, vertices
    in a plane, and points that no face is found for.
    """
    check_noise(noise)
    mean, basis = scaled_basis(layer, layer.keypoints if vertices is None else vertices)
    points = check_points("points", points, mean, 2).to(mean)
    check_span("points", points, 2)
    check_span("vertices", mean[None], 3)
    points = points * (2 / size) - 1
    noise = noise * 2 / size

    def look(z: torch.Tensor) -> State:
        shapes = mean + torch.einsum("bk,knx->bnx", z, basis)
        numbers = fit_numbers(shapes, points)
        rows = numbers.unflatten(1, (3, 4))[:, :2, :3] * shapes.new_tensor([[2 / CROP], [-2 / CROP]])
        columns = torch.einsum("bux,knx->bknu", rows, basis)
        places = torch.cat([shapes, torch.ones_like(shapes[..., :1])], dim=2)
        follow = torch.einsum("bnk,uv->buknv", places, torch.eye(2).to(places)).flatten(1, 2)
        errors = points - crop_points(numbers, shapes)
        return State(z, numbers, errors.flatten(1) / noise, columns.flatten(2) / noise, follow.flatten(2))

    found = settle(look, mean.new_zeros(len(points), len(basis)))
    matrix = found.pose.unflatten(1, (3, 4))
    matrix[:, :, :3] *= layer.metres
    return OrthographicFit(*coefficients(layer, found.z), matrix.flatten(1))


@torch.no_grad()
def fit_landmarks_perspective(
    layer: MorphableLayer,
    points: torch.Tensor,
    weights: torch.Tensor,
    projection: torch.Tensor,
    width: int,
    height: int,
    vertices: torch.Tensor | None = None,
) -> PosedFit:
    """The faces and poses for points of images before the perspective camera, by `fit_shape`.

    points: (B, n, 2) pixels, y down from the corner, where the model's vertices (n,), or its key points, are seen;
    weights: (B, n) inverse variances of a point's coordinates, 1 / pixels^2, 0 for points that are left out;
    projection: (4, 4) M_proj; width, height: of the picture in pixels. How large the face is and how far, which looks
    nearly the same, is the model's deviations to say. Raises InputError as `solve_pnp` does, and for points on a line.
    """
    vertices = layer.keypoints if vertices is None else vertices
    mean, basis = scaled_basis(layer, vertices)
    # of one face that moves, the expression changes; its size is in the basis
    moves = torch.cat([torch.zeros_like(layer.identity_deviations), torch.ones_like(layer.expression_deviations)])
    space = FaceSpace(mean, basis, torch.zeros_like(moves), torch.diag(moves))
    check_shapes(mean.expand(len(points), -1, -1), points, projection, weights)
    check_weights(weights)
    # what is left out moves to a point that is not
    first = points.gather(1, weights.argmax(dim=1)[:, None, None].expand(-1, 1, 2))
    used = torch.where(weights[..., None] > 0, points, first)
    check_span("points", check_points("points", used, mean, 2), 2)
    chosen = torch.arange(len(mean), device=mean.device)
    fit = fit_shape(space, chosen, points, weights, projection, width, height, ITERATIONS)
    return PosedFit(*coefficients(layer, fit.coefficients), fit.R_t)


def scaled_basis(layer: MorphableLayer, vertices: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean (n, 3) and the identities and expressions (K + E, n, 3) of vertices (n,), or of all, in metres and each
    as long as its deviation."""
    mean, basis = layer.mean, torch.cat([layer.identity, layer.expression])
    if vertices is not None:
        mean, basis = mean[vertices], basis[:, vertices]
    deviations = torch.cat([layer.identity_deviations, layer.expression_deviations]).double()
    return mean.double() * layer.metres, basis.double() * (deviations * layer.metres)[:, None, None]


def coefficients(layer: MorphableLayer, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Identity (B, K) and expression (B, E) of coefficients over their deviations (B, K + E)."""
    identity, expression = z.split([len(layer.identity), len(layer.expression)], dim=1)
    return identity * layer.identity_deviations, expression * layer.expression_deviations


def check_noise(noise: float) -> None:
    if not noise > 0:
        raise InputError(f"noise: wanted a number above 0, got {noise}")


def check_points(name: str, points: torch.Tensor, mean: torch.Tensor, axes: int) -> torch.Tensor:
    """The points; raises InputError unless they are finite and (B, n, axes), as many as in the mean (n, 3)."""
    if points.ndim != 3 or points.shape[1:] != (len(mean), axes):
        raise InputError(f"{name}: wanted shape (B, {len(mean)}, {axes}), got {tuple(points.shape)}")
    if not torch.isfinite(points).all():
        raise InputError(f"{name}: wanted finite numbers, got NaN or infinite ones")
    return points


def check_span(name: str, points: torch.Tensor, least: int) -> None:
    """Raises InputError where points (B, n, d) span fewer dimensions: they are in one place, on a line, in a plane."""
    points = points.double()
    lengths = torch.linalg.svdvals(points - points.mean(dim=1, keepdim=True))
    # what rounding leaves of points in one place does not count
    rounding = 1e-9 * points.abs().amax(dim=(1, 2))
    spanned = (lengths > torch.maximum(FLAT * lengths[:, 0], rounding)[:, None]).sum(dim=1)
    if (spanned < least).any():
        index = int(spanned.argmin())
        raise InputError(f"{name}: wanted such as span {least} dimensions, got {int(spanned[index])} in face {index}")


def rigid_pose(shapes: torch.Tensor, verts: torch.Tensor) -> torch.Tensor:
    """(B, 4, 4) the motions that bring shapes (B, n, 3) nearest to verts (B, n, 3)."""
    motion = fit_similarity(shapes.cpu().numpy(), verts.cpu().numpy(), "none")
    R_t = torch.eye(4).to(shapes).repeat(len(shapes), 1, 1)
    R_t[:, :3, :3], R_t[:, 3, :3] = torch.from_numpy(motion.rotation), torch.from_numpy(motion.translation)
    return R_t


def settle(look: Callable[[torch.Tensor], State], z: torch.Tensor) -> State:
    """The state of least cost that coefficients z (B, K) lead to; a step that is too long for an image is halved.
    Raises InputError where the cost is still falling after so many steps."""
    state, share = look(z), z.new_ones(len(z))
    for _ in range(ITERATIONS):
        trial = look(state.z + share[:, None] * step_of(state))
        cost, trial_cost = state.cost(), trial.cost()
        better = trial_cost <= cost
        share = torch.where(better, 1, share / 2)
        state = trial if better.all() else look(torch.where(better[:, None], trial.z, state.z))
        # where the step is worse by so little, that is rounding
        moving = ~((trial_cost - cost).abs() <= TOLERANCE * cost.clamp(min=1e-12))  # NaN moves
        if not moving.any():
            return state
    told = f"got none in {ITERATIONS} steps for {moving.nonzero()[:, 0].tolist()}"
    raise InputError(f"wanted points that a face of the model can be laid onto, {told}")


def step_of(state: State) -> torch.Tensor:
    """(B, K) Gauss and Newton's step of the coefficients, with the pose free to follow: Schur's complement."""
    columns, follow = state.columns, state.follow
    across = follow @ columns.mT
    curvature = columns @ columns.mT - across.mT @ torch.linalg.solve(follow @ follow.mT, across)
    curvature = curvature + torch.eye(curvature.shape[1]).to(curvature)
    # the pose is the best for these coefficients: its own step would be 0
    slope = columns @ state.errors[..., None] - state.z[..., None]
    # not by `torch.linalg.solve`, which fails for batches of some 150 numbers on several threads (pytorch#142815)
    return torch.cholesky_solve(slope, torch.linalg.cholesky_ex(curvature)[0])[..., 0]
