"""Perspective-n-point: the poses of a batch of faces from where their vertices are seen, differentiable.

The start is closed: a weak perspective fit, then the rigid pose of least error in object space, which is a quadratic
form in the entries of the camera matrix P = (R_t[:, :3] K)^T (3, 4), as in SQPnP (Terzakis and Lourakis, ECCV 2020).
All points enter it through one product of matrices. Then Gauss-Newton steps with Levenberg and Marquardt's damping
lower the reprojection error. Its derivatives by P, too, are sums over points of few numbers: ten products of
coordinates times four weights; those by the pose follow without looking at the points again.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from util.errors import InputError

LEAST_POINTS = 6
# The least determinant of the points' covariance over that of a ball of the same extent: below, they lie in a plane.
FLAT = 1e-10
# The Hessian is the dear part of a pass over the points: it is made again after so many steps, and after longer ones,
# in radians and distances from the camera.
HESSIAN_EVERY, LONG_STEP = 4, 0.02
START_STEPS = 10
# What may be left to go, in radians and distances from the camera, of a start and of a pose.
START_TOLERANCE, TOLERANCE = 1e-4, 1e-9
# Points at a time on a CPU, about: what is computed of them stays in its cache.
BLOCK = 80_000
# Where each product of two of x, y, z, 1 stands among the monomials x, y, z, 1, xx, xy, xz, yy, yz, zz.
PRODUCT = torch.tensor([[4, 5, 6, 0], [5, 7, 8, 1], [6, 8, 9, 2], [0, 1, 2, 3]])
# Which of the four weights, or none, stands in the second derivative by two of an image's homogeneous coordinates.
WEIGHT = torch.tensor([[0, 4, 1], [4, 0, 2], [1, 2, 3]])
# (12, 12) into the moments (5, 10), the last row of which is zero.
MOMENT = (WEIGHT[:, None, :, None] * 10 + PRODUCT[None, :, None, :]).reshape(12, 12)
# Turns about the three axes at small angles: row vector c @ TURNS[k] is the cross product of axis k and c.
TURNS = torch.tensor(
    [[[0, 0, 0], [0, 0, 1], [0, -1, 0]], [[0, 0, -1], [0, 0, 0], [1, 0, 0]], [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]],
    dtype=torch.float64,
)


class Intrinsics(NamedTuple):
    """K (3, 3): camera space to homogeneous image coordinates, row vectors. center (2,), the pixel that is their
    origin, and scale, the pixels that are their unit, keep all numbers around one."""

    K: torch.Tensor
    center: torch.Tensor
    scale: torch.Tensor


class Pose(NamedTuple):
    """R (B, 3, 3) and t (B, 3) of camera = verts @ R + t."""

    R: torch.Tensor
    t: torch.Tensor

    def camera_matrix(self, K: torch.Tensor) -> torch.Tensor:
        """(B, 3, 4): homogeneous image coordinates of a column of x, y, z, 1."""
        return (torch.cat([self.R, self.t[:, None]], dim=1) @ K).mT

    def moved(self, step: torch.Tensor) -> "Pose":
        """Turned by the vectors step[:, :3] about the camera's axes, then shifted by step[:, 3:]."""
        turn = torch.einsum("bk,kij->bij", step[:, :3], TURNS.to(step))
        angle = step[:, :3].norm(dim=1)[:, None, None] / torch.pi
        turn = turn * torch.sinc(angle) + turn @ turn * (torch.sinc(angle / 2) ** 2 / 2)
        return Pose(self.R + self.R @ turn, self.t + step[:, 3:])

    def tangent(self, K: torch.Tensor) -> torch.Tensor:
        """(B, 6, 12): derivative of the entries of the camera matrix by `moved`'s steps."""
        tangent = self.R.new_zeros(len(self.R), 6, 3, 4)
        tangent[:, :3, :, :3] = (self.R[:, None] @ (TURNS.to(K) @ K)).mT
        tangent[:, 3:, :, 3] = K
        return tangent.flatten(2)

    def curvature(self, gradient: torch.Tensor, K: torch.Tensor) -> torch.Tensor:
        """(B, 6, 6): what the second derivative of the camera matrix by the steps adds to the Hessian of a cost with
        that gradient (B, 12) by the entries of the camera matrix."""
        turns = TURNS.to(K)
        twice = turns[:, None] @ turns
        twice = (twice + twice.transpose(0, 1)) @ K / 2
        by_turn = gradient.view(-1, 3, 4)[:, :, :3].mT
        curvature = self.R.new_zeros(len(self.R), 6, 6)
        curvature[:, :3, :3] = torch.einsum("bai,jkil,bal->bjk", self.R, twice, by_turn)
        return curvature


class Pairs(NamedTuple):
    """Vertices, as monomials of x, y, z (B, 10 or the first 4, N), their image points (B, 2, N), weights (B, 1, N)."""

    monomials: torch.Tensor
    points: torch.Tensor
    weights: torch.Tensor

    def seen(self, P: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image points (B, 2, N) and distances (B, 1, N) under camera matrices."""
        places = P @ self.monomials[:, :4]
        return places[:, :2] / places[:, 2:], places[:, 2:]

    def slope(self, P: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Half the weighted squared reprojection error (B,), infinite where a point is behind the camera, and its
        gradient (B, 12) by P."""
        image, distance = self.seen(P)
        error = image - self.points
        pull = error * (self.weights / distance)
        away = (image * pull).sum(dim=1, keepdim=True)
        cost = ((error * error) @ self.weights.mT).sum(dim=(1, 2)) / 2
        cost = torch.where(distance.detach().amin(dim=(1, 2)) > 0, cost, torch.inf)
        verts = self.monomials[:, :4].mT
        return cost, torch.cat([pull @ verts, -away @ verts], dim=1).flatten(1)

    def quadratic(self, weights: torch.Tensor, places: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        """(B, 12, 12): sum over points of a product of coordinates times the matrix, by homogeneous image coordinates,
        weights * [[1, 0, -x], [0, 1, -y], [-x, -y, squares]], with x, y of places (B, 2, N)."""
        factors = places.new_empty(len(places), 4, places.shape[2])
        factors[:, :1] = weights
        torch.mul(weights, places, out=factors[:, 1:3])
        torch.mul(weights, squares, out=factors[:, 3:])
        moments = factors @ self.monomials.mT
        moments[:, 1:3].neg_()
        moments = torch.nn.functional.pad(moments, (0, 0, 0, 1)).flatten(1)
        return moments[:, MOMENT.to(moments.device)]

    def object_space(self) -> torch.Tensor:
        """(B, 12, 12): of half the squared distance, at the point's own depth, of points from their rays."""
        return self.quadratic(self.weights, self.points, (self.points**2).sum(dim=1, keepdim=True))

    def hessian(self, P: torch.Tensor, exact: bool = False) -> torch.Tensor:
        """(B, 12, 12): second derivative of `slope`'s cost by P; unless exact, without the part in the residuals."""
        image, distance = self.seen(P)
        squares = (image * image).sum(dim=1, keepdim=True)
        if exact:
            error = image - self.points
            squares = squares + 2 * (image * error).sum(dim=1, keepdim=True)
            image = image + error
        return self.quadratic(self.weights / distance**2, image, squares)


def solve_pnp(
    verts: torch.Tensor,
    points: torch.Tensor,
    projection: torch.Tensor,
    width: int,
    height: int,
    weights: torch.Tensor | None = None,
    iterations: int = 30,
) -> torch.Tensor:
    """The poses that minimise the weighted sum of squared reprojection distances.

    verts: (B, N, 3) canonical metres; points: (B, N, 2) pixels, y down from the corner; projection: (4, 4) M_proj;
    width, height: of the picture in pixels; weights: (B, N), not negative; a point of weight 0 is left out, whatever
    its numbers. iterations: the most passes over the points after the start; a handful is used where points fit.
    Returns R_t (B, 4, 4), rigid, all points in front of the camera, of the type and on the device of verts; computed in
    float64.

    Differentiable by verts, points and weights (not by those of points that are left out): at the optimum the gradient
    of the cost vanishes, so by the implicit function theorem its derivative by the inputs over its exact Hessian, with
    the part in the residuals, is the derivative of the pose. It is exact for residuals of any size where the iteration
    has converged to a minimum. Derivatives of second order are not: Hessian and pose are constants in them.

    The minimum is the one that the start leads to. Where points are not of that object at all, as if it were behind the
    camera, the pose is finite and in front, and the error that it leaves is large: there is no exception. So nothing
    that is returned is NaN: raises InputError for wrong shapes, numbers that are not finite or weights below 0,
    fewer than 6 points with a weight above 0 in an image, and such that lie in a plane.
    """
    check_shapes(verts, points, projection, weights)
    camera = intrinsics(projection.detach().double().to(verts.device), width, height)
    if weights is not None:
        check_weights(weights)
    size = max(1, BLOCK // verts.shape[1] if verts.device.type == "cpu" else len(verts))
    blocks = [verts.split(size), points.split(size)]
    blocks.append([None] * len(blocks[0]) if weights is None else weights.split(size))
    return torch.cat([solve_block(*block, camera, iterations) for block in zip(*blocks, strict=True)]).to(verts.dtype)


def solve_block(
    verts: torch.Tensor, points: torch.Tensor, weights: torch.Tensor | None, camera: Intrinsics, iterations: int
) -> torch.Tensor:
    """`solve_pnp` of some images, in float64."""
    inputs = verts, points, weights
    with torch.no_grad():
        middle = mean_vertex(verts, weights)
        pairs = with_products(make_pairs(*inputs, middle, camera))
        pose = in_front(pairs, start_pose(pairs, camera.K), camera.K)
        pose = descend(pairs.slope, pairs.hessian, pose, camera.K, iterations, TOLERANCE)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs):
        pose = implicit_pose(make_pairs(*inputs, middle, camera), pairs, pose, camera.K)
    t = pose.t[:, None] - middle @ pose.R
    bottom = torch.cat([t, t.new_ones(len(t), 1, 1)], dim=2)
    return torch.cat([torch.nn.functional.pad(pose.R, (0, 1)), bottom], dim=1)


def check_shapes(
    verts: torch.Tensor, points: torch.Tensor, projection: torch.Tensor, weights: torch.Tensor | None
) -> None:
    if verts.ndim != 3 or verts.shape[2] != 3:
        raise InputError(f"verts: wanted shape (B, N, 3), got {tuple(verts.shape)}")
    wanted = {"points": (points, (*verts.shape[:2], 2)), "projection": (projection, (4, 4))}
    if weights is not None:
        wanted["weights"] = weights, verts.shape[:2]
    for name, (tensor, shape) in wanted.items():
        if tensor.shape != shape:
            raise InputError(f"{name}: wanted shape {tuple(shape)}, got {tuple(tensor.shape)}")
    if verts.shape[1] < LEAST_POINTS:
        raise InputError(f"verts: wanted at least {LEAST_POINTS} points, got {verts.shape[1]}")


def check_weights(weights: torch.Tensor) -> None:
    """Raises InputError for weights that are not finite or below 0, and for too few above 0."""
    if not (torch.isfinite(weights) & (weights >= 0)).all():
        raise InputError("weights: wanted finite numbers of at least 0, got others")
    used = (weights > 0).sum(dim=1)
    if (used < LEAST_POINTS).any():
        wanted = f"wanted at least {LEAST_POINTS} above 0 in each image"
        raise InputError(f"weights: {wanted}, got {int(used.min())}")


def intrinsics(projection: torch.Tensor, width: int, height: int) -> Intrinsics:
    """Of M_proj (4, 4). Raises InputError where it is not a perspective camera's that looks down -z."""
    if projection[:, 3].tolist() != [0, 0, -1, 0] or projection[3, :2].any() or projection[0, 0] == 0:
        raise InputError(
            "projection: wanted a last column of 0, 0, -1, 0, a last row that begins with 0, 0 and a focal length, got "
            f"{projection.tolist()}"
        )
    viewport = projection.new_tensor([[width / 2, 0], [0, -height / 2]])
    pixels = projection[:3, :2] @ viewport
    scale = pixels[0, 0].abs()
    K = torch.cat([pixels / scale, -torch.eye(3).to(projection)[:, 2:]], dim=1)
    center = projection.new_tensor([width / 2, height / 2]) - pixels[2]
    K[2, :2] = 0
    return Intrinsics(K, center, scale)


def mean_vertex(verts: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """(B, 1, 3) float64, the weighted mean of the points that are used."""
    if weights is None:
        return verts.mean(dim=1, keepdim=True, dtype=torch.float64)
    verts, weights = torch.where(weights[:, :, None] > 0, verts, 0).double(), weights[:, None].double()
    return weights @ verts / weights.sum(dim=2, keepdim=True)


def make_pairs(
    verts: torch.Tensor,
    points: torch.Tensor,
    weights: torch.Tensor | None,
    middle: torch.Tensor,
    camera: Intrinsics,
) -> Pairs:
    """Vertices from the middle, points from center by scale, weights with a sum of 1; what is left out has weight 0
    and lies in the middle, which is in front of the camera when all others are."""
    verts = verts.mT.contiguous() - middle.mT
    points = points.mT.contiguous() / camera.scale - (camera.center / camera.scale)[:, None]
    if weights is None:
        weights = verts.new_ones(verts.shape[::2])
    else:
        used = weights > 0
        verts, points = (torch.where(used[:, None], places, 0) for places in (verts, points))
        weights = torch.where(used, weights, 0).double()
    weights = (weights / weights.detach().sum(dim=1, keepdim=True))[:, None]
    return Pairs(torch.cat([verts, torch.ones_like(verts[:, :1])], dim=1), points, weights)


def with_products(pairs: Pairs) -> Pairs:
    """The pairs with all ten monomials, without derivatives."""
    count, _, size = pairs.monomials.shape
    monomials = pairs.monomials.new_empty(count, 10, size)
    monomials[:, :4] = pairs.monomials
    torch.mul(monomials[:, :1], monomials[:, :3], out=monomials[:, 4:7])
    torch.mul(monomials[:, 1:2], monomials[:, 1:3], out=monomials[:, 7:9])
    torch.mul(monomials[:, 2], monomials[:, 2], out=monomials[:, 9])
    return Pairs(monomials, pairs.points, pairs.weights)


def start_pose(pairs: Pairs, K: torch.Tensor) -> Pose:
    """The pose of least error in object space. Raises InputError for numbers not finite and vertices in a plane."""
    form = pairs.object_space()
    if not torch.isfinite(form).all():
        raise InputError(
            "verts, points: wanted finite numbers, got NaN, infinite ones or such as overflow when squared"
        )
    pose = weak_perspective(form, K)

    def slope(P: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gradient = (form @ P.flatten(1)[:, :, None])[:, :, 0]
        return (gradient * P.flatten(1)).sum(dim=1) / 2, gradient

    return descend(slope, lambda P: form, pose, K, START_STEPS, START_TOLERANCE)


def weak_perspective(form: torch.Tensor, K: torch.Tensor) -> Pose:
    """The pose under which the points' image is, to first order about their middle, the affine one that fits best."""
    covariance = form[:, :3, :3]
    extent = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)
    if not (torch.linalg.det(covariance) > FLAT * extent**3).all():
        raise InputError("verts: wanted points with a weight above 0 that do not lie in a plane, got a plane")
    affine = torch.linalg.solve(covariance, -form[:, 8:11, [3, 7]])
    place = -form[:, 11, [3, 7]]
    # affine = R @ slant / distance
    slant = K[:, :2] - K[:, 2:] * place[:, None]
    basis, triangle = torch.linalg.qr(slant)
    U, spread, Vh = torch.linalg.svd(torch.linalg.solve(triangle, affine, left=False), full_matrices=False)
    distance = 1 / spread.mean(dim=1, keepdim=True)
    R = with_cross(U @ Vh) @ with_cross(basis).mT
    ray = torch.cat([place, torch.ones_like(distance)], dim=1) @ torch.linalg.inv(K)
    return Pose(R, distance * ray)


def with_cross(pair: torch.Tensor) -> torch.Tensor:
    """Two orthonormal columns (B, 3, 2) made a rotation (B, 3, 3)."""
    return torch.cat([pair, torch.linalg.cross(pair[:, :, :1], pair[:, :, 1:], dim=1)], dim=2)


def in_front(pairs: Pairs, pose: Pose, K: torch.Tensor) -> Pose:
    """The pose, moved away from the camera until all points are in front of it."""
    distance = pairs.seen(pose.camera_matrix(K))[1].amin(dim=(1, 2))
    size = (pairs.weights @ pairs.monomials[:, [4, 7, 9]].mT).sum(dim=(1, 2)).sqrt()
    t = pose.t.clone()
    t[:, 2] -= torch.where(distance > 0, 0, size - distance)
    return Pose(pose.R, t)


def descend(
    slope: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    hessian: Callable[[torch.Tensor], torch.Tensor],
    pose: Pose,
    K: torch.Tensor,
    iterations: int,
    tolerance: float,
) -> Pose:
    """The pose of least cost by Levenberg and Marquardt, each image damped by itself, until, to judge by the last two
    steps, less than tolerance is left in all.

    slope: camera matrices (B, 3, 4) to the cost (B,) and its gradient (B, 12); hessian: to an approximation, positive
    semidefinite, of its second derivative (B, 12, 12).
    """
    P = pose.camera_matrix(K)
    cost, gradient = slope(P)
    damping, last_size = torch.zeros_like(cost), torch.zeros_like(cost)
    for iteration in range(iterations):
        if iteration % HESSIAN_EVERY == 0 or last_size.max() > LONG_STEP:
            curvature = hessian(P)
        step = damped_step(pose, gradient, curvature, damping, K)
        trial = pose.moved(step)
        size = torch.maximum(step[:, :3].norm(dim=1), step[:, 3:].norm(dim=1) / pose.t.norm(dim=1))
        left = torch.where(last_size > size, size * size / last_size, size)
        if (left <= tolerance).all():
            return trial
        last_size = size
        trial_P = trial.camera_matrix(K)
        trial_cost, trial_gradient = slope(trial_P)
        # Close to the optimum costs differ by rounding alone.
        better = (trial_cost <= cost * (1 + 1e-13)) | (size <= 1e-9)
        damping = torch.where(better, damping / 10, (damping * 10).clamp(min=1e-3))
        cost = torch.where(better, trial_cost, cost)
        gradient = torch.where(better[:, None], trial_gradient, gradient)
        P = torch.where(better[:, None, None], trial_P, P)
        R = torch.where(better[:, None, None], trial.R, pose.R)
        pose = Pose(R, torch.where(better[:, None], trial.t, pose.t))
    return pose


def damped_step(
    pose: Pose, gradient: torch.Tensor, hessian: torch.Tensor, damping: torch.Tensor, K: torch.Tensor
) -> torch.Tensor:
    """(B, 6) step of Marquardt's: damping, in parts of the Hessian's diagonal, and a little for singular ones."""
    tangent = pose.tangent(K)
    slope = tangent @ gradient[:, :, None]
    curvature = tangent @ hessian @ tangent.mT
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    diagonal += diagonal * damping[:, None] + 1e-14 * diagonal.amax(dim=1, keepdim=True)
    return -torch.cholesky_solve(slope, torch.linalg.cholesky_ex(curvature)[0])[:, :, 0]


def implicit_pose(pairs: Pairs, constant: Pairs, pose: Pose, K: torch.Tensor) -> Pose:
    """The pose with its derivatives by what pairs was made of: a Newton step from the optimum, which has no length.

    constant: the same pairs without derivatives.
    """
    with torch.no_grad():
        P, tangent = pose.camera_matrix(K), pose.tangent(K)
        _, gradient = constant.slope(P)
        hessian = tangent @ constant.hessian(P, exact=True) @ tangent.mT + pose.curvature(gradient, K)
    slope = tangent @ pairs.slope(P)[1][:, :, None]
    step = -torch.linalg.solve(hessian, slope)[:, :, 0]
    # to first order, which is all there is: `moved` has no derivative at a turn of length 0
    turn = torch.einsum("bk,kij->bij", step[:, :3], TURNS.to(step))
    return Pose(pose.R + pose.R @ turn, pose.t + step[:, 3:])
