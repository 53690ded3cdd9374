"""Warps of whole batches of pictures on their device.

A move (B, 2, 3) takes places in pictures, from -1 to 1 across them, to places in the warped ones; column vectors.
"""

import torch
from torch.nn import functional


def move_points(moves: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(B, n, 2) where moves take points (B, n, 2)."""
    return points @ moves[:, :, :2].mT + moves[:, None, :, 2]


def move_pictures(moves: torch.Tensor, pictures: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, size, size) pictures (B, C, S, S) under moves, bilinear, black beyond the pictures' edges."""
    back = torch.linalg.inv(moves[:, :, :2])
    back = torch.cat([back, -back @ moves[:, :, 2:]], dim=2)
    grid = functional.affine_grid(back, [*pictures.shape[:2], size, size], align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False)


def similarities(points: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B, 2, 3) the moves that turn, scale and shift points (B, n, 2) nearest to targets (n, 2) by least squares: the
    twin of util.alignment.similarity for batches. Without numbers where all points of an image lie in one place."""
    middle, target_middle = points.mean(dim=1, keepdim=True), targets.mean(dim=0)
    (x, y), (u, v) = (points - middle).unbind(dim=2), (targets - target_middle).unbind(dim=1)
    cosine, sine = (x * u + y * v).sum(dim=1), (x * v - y * u).sum(dim=1)
    turn = torch.stack([cosine, -sine, sine, cosine], dim=1).unflatten(1, (2, 2))
    turn = turn / (x**2 + y**2).sum(dim=1)[:, None, None]
    return torch.cat([turn, (target_middle - middle @ turn.mT).mT], dim=2)
