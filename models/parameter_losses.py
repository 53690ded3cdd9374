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


def weighted_parameter_distance(
    whitened: torch.Tensor,
    true: torch.Tensor,
    deviations: torch.Tensor,
    true_shapes: torch.Tensor,
    basis_norms: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """fWPDC: the mean squared difference of whitened parameters (B, P), each weighted by how far it alone, as wrong as
    it is, would move the vertices, over the largest such weight of the image.

    deviations: (P,) what whitening divides by; true_shapes: (B, n, 3) some vertices of the true faces, before the pose,
    in the model's unit; basis_norms: (P - 12,) of what a coefficient of one moves these vertices by; scale: pixels of
    the crop a unit, for the coefficients, which the pose scales. Weights have no derivatives. In this form (Guo et al.,
    ECCV 2020) moves are told by norms, without a face for each parameter, as all faces are taken to be of one scale
    (3DDFA's constant is 0.00057339936 pixels a micrometre).
    """
    off = ((whitened - true) * deviations).detach().abs()
    moves = true_shapes.norm(dim=1)  # of the three entries of each row
    count = true_shapes.shape[1]
    row = torch.cat([moves, torch.full_like(moves[:, :1], math.sqrt(count))], dim=1)
    coefficients = (scale * basis_norms).expand(len(off), -1)
    weights = off * torch.cat([row, row, row, coefficients], dim=1)
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
