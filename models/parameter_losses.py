"""How far parameters of a morphable face are off: the costs that 3DDFA and RADAN train with.

Parameters (B, 12 + K + E) are the twelve numbers of models.scaled_orthography, identity and expression coefficients;
whitened ones are in deviations from a mean. All costs are means over the batch.
"""

import math

import torch

from models.scaled_orthography import CROP

# Where the offset of depth stands among the numbers: it is never seen.
DEPTH_OFFSET = 11
# Beside the 68 key points, so many vertices are looked at in a step.
RANDOM_VERTICES = 132
WING_WIDTH, WING_CURVATURE = 10.0, 2.0
# What keeps weights and ratios finite where everything is right already.
TINY = 1e-6


def chosen_vertices(keypoints: torch.Tensor, num_vertices: int) -> torch.Tensor:
    """(68 + 132,) vertices that a step looks at: the key points (68,), and others drawn anew, none of them twice."""
    return torch.cat([keypoints, torch.randperm(num_vertices, device=keypoints.device)[:RANDOM_VERTICES]])


def parameter_distance(whitened: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """PDC: the mean squared difference of whitened parameters (B, P)."""
    return (whitened - true).square().mean()


def vertex_distance(vertices: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """VDC: the mean squared difference of coordinates (B, n, 3), in pixels of the crop, squared."""
    return (vertices - true).square().mean()


def scaled_norms(bases: torch.Tensor, scale: float) -> torch.Tensor:
    """(C,) how far a coefficient of one moves the vertices of its basis, bases (C, n, 3), in pixels of the crop, where
    all faces are taken to be of one scale, in these a unit: fWPDC's, whose constant is 0.00057339936 a micrometre."""
    return scale * bases.flatten(1).norm(dim=1)


def turned_norms(bases: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """(B, C) the same under the scaled rotations A of numbers (B, 12): the square of what A b_k measures over the
    vertices is the sum of all entries of A' A times those of b_k' b_k."""
    turns = numbers.unflatten(1, (3, 4))[:, :, :3]
    squares = torch.einsum("bij,kij->bk", turns.mT @ turns, bases.mT @ bases)
    return squares.clamp(min=0).sqrt()  # rounding


def weighted_parameter_distance(
    whitened: torch.Tensor,
    true: torch.Tensor,
    deviations: torch.Tensor,
    true_shapes: torch.Tensor,
    basis_moves: torch.Tensor,
) -> torch.Tensor:
    """WPDC: the mean squared difference of whitened parameters (B, P), each weighted by how far it alone, as wrong as
    it is, would move the vertices, over the largest such weight of the image.

    deviations: (P,) what whitening divides by; true_shapes: (B, n, 3) some vertices of the true faces, before the pose,
    in the model's unit; basis_moves: (P - 12,) or (B, P - 12) how far a coefficient of one moves these vertices in the
    crop, of `scaled_norms` or `turned_norms`. Weights have no derivatives, and moves are told by norms, without a face
    for each parameter (Guo et al., ECCV 2020).
    """
    off = ((whitened - true) * deviations).detach().abs()
    moves = true_shapes.norm(dim=1)  # of the three entries of each row
    count = true_shapes.shape[1]
    row = torch.cat([moves, torch.full_like(moves[:, :1], math.sqrt(count))], dim=1)
    weights = off * torch.cat([row, row, row, basis_moves.expand(len(off), -1)], dim=1)
    weights[:, DEPTH_OFFSET] = 0
    weights = (weights + TINY) / (weights.amax(dim=1, keepdim=True) + TINY)
    weights[:, DEPTH_OFFSET] = 0
    return (weights * (whitened - true).square()).mean()


def wing(vertices: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """The mean Wing loss (Feng et al., CVPR 2018) of coordinates (B, n, 3), in pixels of the crop: a logarithm for
    small errors, their size less a constant from the width on."""
    off = (vertices - true).abs()
    constant = WING_WIDTH - WING_WIDTH * math.log(1 + WING_WIDTH / WING_CURVATURE)
    near = WING_WIDTH * (off / WING_CURVATURE).log1p()
    return torch.where(off < WING_WIDTH, near, off - constant).mean()


def landmark_regression(points: torch.Tensor, true: torch.Tensor, main: torch.Tensor) -> torch.Tensor:
    """The mean squared difference of points (B, 68, 2) from -1 to 1 across the crop, in its pixels, times what makes it
    as large as the main loss, a scalar, which has no derivative here (3DDFA_V2's)."""
    loss = ((points - true) * (CROP / 2)).square().mean()
    return loss * (main / loss.clamp(min=TINY)).detach()
