"""What Pixel2Mesh minimises, term by term, without weights (Wang et al., ECCV 2018; definitions of its PyTorch code).

Points are (B, n, 3) in any one unit; nothing here wants to know which predicted point is which true one. Edges are
(E, 2) vertex indices. The published list of edges has both directions of each edge and an edge from each vertex to
itself, which adds 0 to the sums and 1 to the counts: `torch.from_numpy(np.argwhere(matrix.toarray()))` of a
`graph_layers.chebyshev_matrix`. All means are over everything that is in hand: points, edges, images.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch.nn import functional

from models.graph_layers import SparseMatrix, sparse_product

# What the distances of a block of points may take, bytes; one row of points at least is taken, whatever it takes.
BLOCK_BYTES = 1 << 26


def nearest(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(B, n) int64: for each of points (B, n, 3) the index of the nearest of others (B, m, 3), of several one of them.

    Without gradient. On a CPU by a kd-tree for each image, on other devices by all pairs, see `nearest_of_all_pairs`.
    Where a number is not finite the index is some index.
    """
    points, others = points.detach(), others.detach()
    if points.device.type != "cpu":
        return nearest_of_all_pairs(points, others)
    pairs = zip(points.double().nan_to_num().numpy(), others.double().nan_to_num().numpy(), strict=True)
    return torch.from_numpy(np.stack([cKDTree(each).query(own)[1] for own, each in pairs]))


def nearest_of_all_pairs(points: torch.Tensor, others: torch.Tensor, block_bytes: int = BLOCK_BYTES) -> torch.Tensor:
    """`nearest` by the distances of all pairs, some points at a time: two tables of half of block_bytes each."""
    row = 2 * points.shape[0] * others.shape[1] * points.element_size()
    blocks = points.split(max(1, block_bytes // row), dim=1)
    # Differences, not products of matrices: those round to the size of the coordinates, or to half precision.
    return torch.cat([squared_distances(block, others).argmin(dim=2) for block in blocks], dim=1)


def squared_distances(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(B, n, m) of points (B, n, 3) and others (B, m, 3), with room for one more table like it on the way."""
    columns = zip(points[:, :, None].unbind(3), others[:, None].unbind(3), strict=True)
    a, b = next(columns)
    total = (a - b).square_()
    for a, b in columns:
        total += (a - b).square_()
    return total


def chosen(points: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """(B, k, 3): of points (B, n, 3) those that indices (B, k) name."""
    return points.gather(1, indices[:, :, None].expand(-1, -1, points.shape[2]))


def mean_square(vectors: torch.Tensor) -> torch.Tensor:
    """The mean squared length of vectors (..., 3)."""
    return vectors.square().sum(dim=-1).mean()


def chamfer_loss(points: torch.Tensor, truth: torch.Tensor, reverse: float = 0.55) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean squared distance of truth (B, m, 3) to the nearest of points (B, n, 3), plus `reverse` times that of
    points to the nearest of truth.

    Returns the loss and the indices (B, n) of the true points nearest to the points, which `normal_loss` asks for.
    """
    indices = nearest(points, truth)
    to_points = mean_square(truth - chosen(points, nearest(truth, points)))
    to_truth = mean_square(points - chosen(truth, indices))
    return to_points + reverse * to_truth, indices


def normal_loss(
    points: torch.Tensor, edges: torch.Tensor, truth_normals: torch.Tensor, indices: torch.Tensor
) -> torch.Tensor:
    """The mean absolute cosine of the angle between each edge and the true normal nearest to its first vertex.

    truth_normals: (B, m, 3), of any length but zero; indices: (B, n), the true point nearest to each vertex. An edge of
    no length counts as 0.
    """
    first, second = edges.unbind(1)
    directions = functional.normalize(points[:, first] - points[:, second], dim=2)
    normals = functional.normalize(chosen(truth_normals, indices[:, first]), dim=2)
    return (directions * normals).sum(dim=2).abs().mean()


def edge_loss(points: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """The mean squared length of the edges."""
    first, second = edges.unbind(1)
    return mean_square(points[:, first] - points[:, second])


def laplacian_coordinates(points: torch.Tensor, matrix: SparseMatrix) -> torch.Tensor:
    """(B, n, 3): each vertex less the mean of its neighbours. matrix: of `graph_layers.laplacian_matrix`."""
    return sparse_product(matrix, points.transpose(0, 1)).transpose(0, 1)


def laplacian_loss(before: torch.Tensor, after: torch.Tensor, matrix: SparseMatrix) -> torch.Tensor:
    """The mean squared change of the Laplacian coordinates from before to after, both (B, n, 3)."""
    return mean_square(laplacian_coordinates(after - before, matrix))


def move_loss(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The mean squared distance that the vertices move."""
    return mean_square(after - before)


def sample_surface(
    verts: torch.Tensor, triangles: torch.Tensor, count: int, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random points of meshes, equally likely everywhere on the surface, and the surface's normals there.

    verts: (B, N, 3); triangles: (F, 3) int64, counter-clockwise seen from where the normals point. Returns points and
    unit normals, (B, count, 3) each, with gradients to verts. Random numbers are those of torch's global generator
    where none is given. Where a mesh has no area, or is not finite, all triangles are alike, and the normals are 0.
    """
    corners = verts[:, triangles]
    sides = corners[:, :, 1:] - corners[:, :, :1]
    areas = torch.linalg.cross(sides[:, :, 0], sides[:, :, 1])
    chances = areas.detach().norm(dim=2)
    whole = chances.sum(dim=1, keepdim=True)
    chances = torch.where(torch.isfinite(whole) & (whole > 0), chances, 1)
    picked = torch.multinomial(chances, count, replacement=True, generator=generator)
    shares = torch.rand(*picked.shape, 2, device=verts.device, dtype=verts.dtype, generator=generator)
    # A point of the parallelogram of two sides is turned back into the triangle where it lies beyond the third.
    shares = torch.where(shares.sum(dim=2, keepdim=True) > 1, 1 - shares, shares)
    first, second = (shares[:, :, i, None] * chosen(sides[:, :, i], picked) for i in range(2))
    points = chosen(corners[:, :, 0], picked) + first + second
    return points, functional.normalize(chosen(areas, picked), dim=2)
