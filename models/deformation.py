"""The meshes that Pixel2Mesh's blocks deform, as modules with all that is constant about them."""

import numpy as np
import torch
from torch import nn

from models.base_model import DECIMETRES
from models.graph_layers import GraphBlock, SparseMatrix, laplacian_matrix, sparse_product
from util.errors import InputError
from util.mesh import Topology
from util.mesh_hierarchy import MeshHierarchy, simplified_hierarchy, unpooled_hierarchy

# A level has at most so many of the vertices of the next finer one, and at least so many in all.
COARSER, LEAST_VERTICES = 4, 24
# An ellipsoid's triangles are four times as many with each block.
MOST_BLOCKS = 6
# How far what a key point tells reaches, as the deviation of a Gaussian, metres.
POINT_REACH = 0.015


class Stage(nn.Module):
    """A level of the hierarchy, with the block that deforms it. Coordinates are (n, B, 3) decimetres, vertices first.

    start: (n, 3), its vertices before all blocks; links: (L, 2) pairs of vertices, which losses take for edges;
    learned_moves: whether vertices also make a learned move that is the same in all pictures.
    """

    def __init__(
        self,
        hierarchy: MeshHierarchy,
        place: int,
        topology: Topology,
        block: GraphBlock,
        links: np.ndarray,
        learned_unpooling: bool,
        learned_moves: bool,
    ):
        super().__init__()
        level, self.block = hierarchy.levels[place], block
        self.register_buffer("triangles", torch.from_numpy(level.triangles).long(), persistent=False)
        vertices, seen = torch.from_numpy(level.vertices), level.to_topology[topology.keypoints]
        self.keypoints, self.truth = SparseMatrix(seen), SparseMatrix(level.from_topology)
        self.laplacian = SparseMatrix(laplacian_matrix(level.edges, len(vertices)))
        nearness = -(torch.cdist(vertices, torch.from_numpy(seen @ level.vertices)) ** 2) / (2 * POINT_REACH**2)
        self.register_buffer("links", torch.from_numpy(links), persistent=False)
        constants = {"start": vertices * DECIMETRES, "reach": nearness.softmax(dim=1)}
        for name, tensor in constants.items():
            self.register_buffer(name, tensor.float(), persistent=False)
        self.up = SparseMatrix(hierarchy.up[place - 1]) if place else None
        self.moves = nn.Parameter(torch.zeros(len(vertices), 1, 3)) if learned_moves else None
        self.positions = None
        if learned_unpooling and place:
            middles = torch.from_numpy(hierarchy.middles[place - 1])
            self.register_buffer("middles", middles, persistent=False)
            self.positions = nn.Parameter(torch.full((len(middles), 1, 1), 0.5))

    def unpool(self, coarse: torch.Tensor) -> torch.Tensor:
        """(n, B, C) what the vertices of the coarser level have, for this one's: by fixed weights, or learned ones
        along the coarser level's edges."""
        if self.positions is None:
            return sparse_product(self.up, coarse)
        first, second = coarse[self.middles[:, 0]], coarse[self.middles[:, 1]]
        return torch.cat([coarse, first + self.positions.clamp(0, 1) * (second - first)])


def make_hierarchy(template: str, topology: Topology, verts_mean: np.ndarray, num_blocks: int) -> MeshHierarchy:
    """The meshes that so many blocks deform, coarse to fine; for the mean face as many as it has vertices enough for.
    Raises InputError where none or too many are wanted."""
    if not 1 <= num_blocks <= MOST_BLOCKS:
        raise InputError(f"--num_blocks: wanted 1..{MOST_BLOCKS}, got {num_blocks}")
    size = len(verts_mean)
    if template == "semisphere":
        # a disc of r rings has 3 r (r + 1) + 1 vertices, and twice the rings on the next finer level
        rings = max(1, round((size / 3) ** 0.5 / 2 ** (num_blocks - 1)))
        return unpooled_hierarchy(topology, verts_mean, rings, num_blocks)
    sizes = [round(size / COARSER**power) for power in range(num_blocks - 1, 0, -1)]
    return simplified_hierarchy(topology, verts_mean, [count for count in sizes if count >= LEAST_VERTICES])
