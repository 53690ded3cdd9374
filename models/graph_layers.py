"""Graph convolutions on the vertices of a mesh (Pixel2Mesh, Wang et al., ECCV 2018), in plain torch.

Features lie vertices first, (n, B, C): what a constant sparse matrix of a mesh is multiplied with is then the same
memory read as (n, B * C), and nothing is transposed.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array, diags_array, eye_array
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.nn import functional


class Rows(NamedTuple):
    """A sparse matrix row by row: entries (E,) and their columns (E,) int64; starts (rows + 1,) int64, where each row
    begins and the last ends."""

    columns: torch.Tensor
    starts: torch.Tensor
    entries: torch.Tensor

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, F) of x (columns, F), without gradient."""
        # A weighted sum of rows of x for each row of the matrix is what embedding_bag computes, on a CPU many times
        # faster than torch's sparse tensors do; it wants the entries in the type of x.
        entries = self.entries.to(x.dtype)
        return functional.embedding_bag(
            self.columns, x, self.starts, mode="sum", per_sample_weights=entries, include_last_offset=True
        )


class SparseMatrix(nn.Module):
    """A constant sparse matrix (m, n) that goes where its module goes and into no checkpoint.

    matrix: m rows, n columns, of scipy. See `sparse_product`.
    """

    def __init__(self, matrix: csr_array):
        super().__init__()
        self.shape = matrix.shape
        for side, each in (("rows", matrix), ("transposed", matrix.T)):
            each = csr_array(each)
            self.register_buffer(f"{side}_columns", torch.tensor(each.indices, dtype=torch.int64), persistent=False)
            self.register_buffer(f"{side}_starts", torch.tensor(each.indptr, dtype=torch.int64), persistent=False)
            self.register_buffer(f"{side}_entries", torch.tensor(each.data, dtype=torch.float32), persistent=False)

    def rows(self) -> Rows:
        return Rows(self.rows_columns, self.rows_starts, self.rows_entries)

    def transposed(self) -> Rows:
        return Rows(self.transposed_columns, self.transposed_starts, self.transposed_entries)


class SparseProduct(torch.autograd.Function):
    """A constant matrix, given as it is and transposed, times x (n, F); the way back is the product with the other."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor, rows: Rows, other: Rows) -> torch.Tensor:
        ctx.sides = rows, other
        return rows.times(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        rows, other = ctx.sides
        return SparseProduct.apply(gradient.contiguous(), other, rows), None, None


def sparse_product(matrix: SparseMatrix, x: torch.Tensor) -> torch.Tensor:
    """A constant sparse matrix (m, n) times features (n, B, C) of any float type: (m, B, C) of the same type.

    Sums are at least float32, under autocast, too. Differentiable in x, any number of times.
    """
    assert x.shape[0] == matrix.shape[1], f"matrix {matrix.shape}, features {tuple(x.shape)}"
    wide = x.to(torch.promote_types(x.dtype, torch.float32)).flatten(1)
    product = SparseProduct.apply(wide.contiguous(), matrix.rows(), matrix.transposed())
    return product.to(x.dtype).unflatten(1, x.shape[1:])


class GraphConvolution(nn.Module):
    """matrix @ x @ weight1 + x @ weight2 + bias, as in Pixel2Mesh, without activation: (n, B, channels) to
    (n, B, width). Weights start after Xavier (uniform), the bias at 0.

    matrix: (n, n), which mixes each vertex with its neighbours; see `chebyshev_matrix`.
    """

    def __init__(self, matrix: SparseMatrix, channels: int, width: int):
        super().__init__()
        self.matrix = matrix
        self.neighbours = nn.Linear(channels, width, bias=False)
        self.own = nn.Linear(channels, width)
        nn.init.xavier_uniform_(self.neighbours.weight)
        nn.init.xavier_uniform_(self.own.weight)
        nn.init.zeros_(self.own.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The weights first: where they narrow, as in the first layer and the last, the sparse product is small, and the
        # way back needs x alone.
        return self.own(x).add_(sparse_product(self.matrix, self.neighbours(x)))


class ResidualPair(nn.Module):
    """Two graph convolutions with ReLU; gives the average of their result and what went in, (n, B, width)."""

    def __init__(self, matrix: SparseMatrix, width: int):
        super().__init__()
        self.first = GraphConvolution(matrix, width, width)
        self.second = GraphConvolution(matrix, width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = functional.relu_(self.first(x))
        return 0.5 * (x + functional.relu_(self.second(inner)))


class GraphBlock(nn.Module):
    """The graph network of one deformation block of Pixel2Mesh: an input layer, residual pairs, an output layer.

    num_residual: how many pairs, published 6, which makes 14 convolutions. ReLU follows each but the output layer.
    """

    def __init__(self, matrix: SparseMatrix, channels: int, hidden: int, num_residual: int, outputs: int = 3):
        super().__init__()
        self.entry = GraphConvolution(matrix, channels, hidden)
        self.pairs = nn.Sequential(*(ResidualPair(matrix, hidden) for _ in range(num_residual)))
        self.exit = GraphConvolution(matrix, hidden, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x: (n, B, channels). Returns values (n, B, outputs) and the features they are of, (n, B, hidden)."""
        features = self.pairs(functional.relu_(self.entry(x)))
        return self.exit(features), features


def adjacency(edges: np.ndarray, num_vertices: int) -> csr_array:
    """(n, n) of float64: 1 where two vertices share an edge. edges: (E, 2) vertex indices, each edge in one direction
    or in both."""
    ends = np.concatenate([edges, edges[:, ::-1]]).astype(np.int64)
    matrix = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(num_vertices, num_vertices)).tocsr()
    matrix.data[:] = 1.0
    return matrix


def chebyshev_matrix(edges: np.ndarray, num_vertices: int) -> csr_array:
    """The matrix of Pixel2Mesh's graph convolutions, (n, n): the Chebyshev term of order one of the mesh's graph,
    2 / largest eigenvalue * L - 1 with L = 1 - D^-1/2 A D^-1/2, whose eigenvalues lie from -1 to 1.

    edges: (E, 2), as in `adjacency`. A vertex without edges has its diagonal entry alone.
    """
    A = adjacency(edges, num_vertices)
    degrees = A.sum(axis=1)
    scale = diags_array(np.where(degrees > 0, np.maximum(degrees, 1.0) ** -0.5, 0.0))
    laplacian = eye_array(num_vertices) - scale @ A @ scale
    # The search starts from the same vector each time, so that the same mesh gives the same matrix.
    start = np.random.default_rng(0).normal(size=num_vertices)
    (largest,) = eigsh(laplacian, 1, which="LA", v0=start, return_eigenvectors=False)
    return csr_array(2.0 / largest * laplacian - eye_array(num_vertices))


def laplacian_matrix(edges: np.ndarray, num_vertices: int) -> csr_array:
    """(n, n): times the vertices, each vertex less the mean of its neighbours; 0 for a vertex without any.

    edges: (E, 2), as in `adjacency`.
    """
    A = adjacency(edges, num_vertices)
    degrees = A.sum(axis=1)
    return csr_array(diags_array((degrees > 0).astype(np.float64)) - diags_array(1.0 / np.maximum(degrees, 1.0)) @ A)
