"""What Deep3D minimises, each as published but for its weight (Deng et al., CVPRW 2019, and its PyTorch code).

Nothing here knows a face's true shape or pose: there are only pictures, the 68 points and what faces usually are.
"""

from collections.abc import Mapping

import torch
from torch.nn import functional

from util.spherical_harmonics import NUM_HARMONICS

# Half the side of a window, in pixels, in which distances are measured, whatever its real size.
HALF_SIDE = 112.0
# Of the points 28, 29, 30 on the nose and 60 to 67, inside the mouth; all others have weight 1.
HEAVY_POINTS, HEAVY_WEIGHT = (28, 29, 30, *range(60, 68)), 20.0
# How dear coefficients are beside each other.
COEFFICIENT_WEIGHTS = {"identity": 1.0, "expression": 0.8, "albedo": 1.7e-2}


def color_loss(picture: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weighted mean over all pixels of the distance of colours; pictures (B, 3, S, S) from 0 to 1, weights
    (B, S, S). Without gradient through the weights; 0 where they are all 0."""
    weights = weights.detach()
    distances = (1e-6 + ((picture - target) ** 2).sum(dim=1)).sqrt()
    return (weights * distances).sum() / weights.sum().clamp(min=1.0)


def landmark_loss(points: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The weighted mean squared distance of points (B, 68, 2), from -1 to 1 across the window, in pixels of 224."""
    weights = points.new_ones(points.shape[1])
    weights[list(HEAVY_POINTS)] = HEAVY_WEIGHT
    return (weights * ((points - target) * HALF_SIDE).square().sum(dim=2)).mean()


def perceptual_loss(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the cosine of features (B, n) of a network that tells people apart, the mean over the images."""
    return 1 - functional.cosine_similarity(features, target, dim=1).mean()


def coefficient_loss(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The weighted sum of the squared coefficients (B, K) of each kind, the mean over the images."""
    return sum(weight * outputs[name].square().sum(dim=1).mean() for name, weight in COEFFICIENT_WEIGHTS.items())


def albedo_loss(albedo: torch.Tensor, skin: torch.Tensor) -> torch.Tensor:
    """The variance of the albedo (B, N, 3) of each face over the vertices that are skin, (N,) bool, the sum of the
    three colours, the mean over the images; 0 where none is skin."""
    chosen = albedo[:, skin]
    if chosen.shape[1] == 0:
        return albedo.sum() * 0
    return (chosen - chosen.mean(dim=1, keepdim=True)).square().sum(dim=2).mean()


def light_loss(light: torch.Tensor) -> torch.Tensor:
    """The mean squared distance of light (B, 27) from white light: each colour's nine values from the colours' mean."""
    colors = light.unflatten(1, (3, NUM_HARMONICS))
    return (colors - colors.mean(dim=1, keepdim=True)).square().mean()
