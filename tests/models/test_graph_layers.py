"""Graph convolutions against dense matrices in NumPy, and on closed meshes what is known of their spectrum."""

import copy

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, random_array

from models.graph_layers import (
    GraphBlock,
    GraphConvolution,
    SparseMatrix,
    chebyshev_matrix,
    laplacian_matrix,
    sparse_product,
)

OCTAHEDRON = np.array([[a, b] for a in range(6) for b in range(a + 1, 6) if a + b != 5])  # opposite ends: 0-5, 1-4, 2-3
# Float32 rounding of sums of some ten products of numbers around one.
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def sparse(rows, columns, seed=0):
    """A matrix of which a fifth is filled, with an empty row."""
    matrix = random_array((rows, columns), density=0.2, rng=np.random.default_rng(seed)).toarray()
    matrix[rows // 2] = 0
    return csr_array(matrix)


def test_product_equals_the_dense_one():
    matrix, random = sparse(9, 14), np.random.default_rng(1)
    x = random.normal(size=(14, 2, 5))
    expected = np.einsum("mn,nbc->mbc", matrix.toarray(), x)
    found = sparse_product(SparseMatrix(matrix).double(), torch.from_numpy(x))
    # entries are kept as float32
    np.testing.assert_allclose(found.numpy(), expected, **ROUNDING)
    assert (found[4] == 0).all()
    other_way = torch.from_numpy(x).permute(1, 0, 2).contiguous().permute(1, 0, 2)  # not in one piece
    assert torch.equal(sparse_product(SparseMatrix(matrix).double(), other_way), found)


def test_product_gradients():
    matrix = SparseMatrix(sparse(6, 8)).double()
    x = torch.randn(8, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sparse_product(matrix, x), x)
    assert torch.autograd.gradgradcheck(lambda x: sparse_product(matrix, x).square(), x)


def test_product_of_half_precision_sums_in_float32():
    matrix = SparseMatrix(csr_array(np.full((1, 4096), 1 / 4096)))
    x = torch.ones(4096, 1, 1, dtype=torch.bfloat16)
    mean = sparse_product(matrix, x)
    assert (mean.dtype, mean.item()) == (torch.bfloat16, 1.0)  # sums in bfloat16 stop growing at 1/16


def test_matrix_goes_with_its_module_but_into_no_checkpoint():
    convolution = GraphConvolution(SparseMatrix(sparse(7, 7)), 3, 4)
    assert set(convolution.state_dict()) == {"neighbours.weight", "own.weight", "own.bias"}
    x = torch.randn(7, 2, 3)
    assert torch.equal(copy.deepcopy(convolution)(x), convolution(x))
    assert {buffer.device.type for buffer in convolution.to("meta").buffers()} == {"meta"}


def test_convolution_against_numpy():
    matrix = sparse(7, 7)
    convolution = GraphConvolution(SparseMatrix(matrix), 3, 4)
    assert (convolution.own.bias == 0).all()
    torch.nn.init.normal_(convolution.own.bias)
    x = torch.randn(7, 2, 3)
    weight1, weight2 = convolution.neighbours.weight.detach().numpy().T, convolution.own.weight.detach().numpy().T
    bias = convolution.own.bias.detach().numpy()
    for image in range(2):
        own = x[:, image].numpy()
        expected = matrix.toarray() @ own @ weight1 + own @ weight2 + bias
        np.testing.assert_allclose(convolution(x)[:, image].detach().numpy(), expected, **ROUNDING)


def test_weights_start_after_xavier():
    convolution = GraphConvolution(SparseMatrix(sparse(4, 4)), 100, 50)
    for weight in (convolution.neighbours.weight, convolution.own.weight):
        bound = (6 / 150) ** 0.5
        assert 0.95 * bound < weight.abs().max().item() <= bound  # 5,000 uniform numbers come closer than 5 %


def test_block():
    """Two residual pairs against the layers put together by hand."""
    block = GraphBlock(SparseMatrix(chebyshev_matrix(OCTAHEDRON, 6)), channels=5, hidden=8, num_residual=2)
    assert sum(isinstance(module, GraphConvolution) for module in block.modules()) == 6
    x = torch.randn(6, 3, 5)
    values, features = block(x)
    inner = block.entry(x).relu()
    for pair in block.pairs:
        inner = (inner + pair.second(pair.first(inner).relu()).relu()) / 2
    torch.testing.assert_close(features, inner)
    torch.testing.assert_close(values, block.exit(inner))
    assert (values.shape, features.shape) == ((6, 3, 3), (6, 3, 8))
    assert values.min() < 0 <= features.min()
    assert len(GraphBlock(SparseMatrix(chebyshev_matrix(OCTAHEDRON, 6)), 5, 8, 6, 4).pairs) == 6


def test_every_weight_learns():
    block = GraphBlock(SparseMatrix(chebyshev_matrix(OCTAHEDRON, 6)), channels=5, hidden=8, num_residual=2)
    block(torch.randn(6, 3, 5))[0].square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in block.parameters())


def test_block_under_autocast():
    """Weights, biases and entries of some 8 bits: results of about one are off by about one percent."""
    block = GraphBlock(SparseMatrix(chebyshev_matrix(OCTAHEDRON, 6)), channels=5, hidden=8, num_residual=2)
    x = torch.randn(6, 3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values, _ = block(x)
        values.float().square().sum().backward()
    assert values.dtype == torch.bfloat16
    torch.testing.assert_close(values.float(), block(x)[0], rtol=0.05, atol=0.05)
    assert all(torch.isfinite(parameter.grad).all() for parameter in block.parameters())


def test_chebyshev_matrix_of_an_octahedron_by_hand():
    """Each of 6 vertices has 4 neighbours: A has the eigenvalues 4, 0, -2, L = 1 - A / 4 at most 1.5."""
    matrix = chebyshev_matrix(OCTAHEDRON, 6).toarray()
    share = 2 / 1.5
    expected = (share - 1) * np.eye(6)
    expected[tuple(OCTAHEDRON.T)] = -share / 4
    expected[tuple(OCTAHEDRON.T[::-1])] = -share / 4
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


def test_chebyshev_matrix_of_a_closed_mesh(sphere):
    """What the published files show (systems.md, D.1): a constant diagonal, 2 / largest eigenvalue - 1."""
    edges, count = sphere
    matrix = chebyshev_matrix(edges, count).toarray()
    np.testing.assert_array_equal(matrix, matrix.T)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues[[0, -1]] == pytest.approx([-1, 1], abs=1e-9)
    A = (matrix - np.diag(np.diag(matrix))) != 0
    degrees = A.sum(axis=1)
    largest = np.linalg.eigvalsh(np.eye(count) - A / np.sqrt(np.outer(degrees, degrees)))[-1]
    np.testing.assert_allclose(np.diag(matrix), 2 / largest - 1, rtol=1e-9)
    assert np.count_nonzero(matrix) == 2 * len(edges) + count
    twice = chebyshev_matrix(np.concatenate([edges, edges[:5, ::-1]]), count)
    np.testing.assert_array_equal(twice.toarray(), matrix)


def test_laplacian_matrix_by_hand():
    """A path of three vertices, and one apart."""
    matrix = laplacian_matrix(np.array([[0, 1], [1, 2]]), 4).toarray()
    np.testing.assert_allclose(matrix, [[1, -1, 0, 0], [-0.5, 1, -0.5, 0], [0, -1, 1, 0], [0, 0, 0, 0]])
    apart = chebyshev_matrix(np.array([[0, 1], [1, 2]]), 4).toarray()
    assert np.isfinite(apart).all()
    assert (apart[3, :3] == 0).all()


@pytest.fixture
def sphere():
    """Edges and the number of vertices of a sphere of 92 points, closed like the published ellipsoid."""
    from scipy.spatial import ConvexHull

    turns = np.arange(92) * np.pi * (3 - 5**0.5)
    height = np.linspace(0.99, -0.99, 92)
    radius = np.sqrt(1 - height**2)
    triangles = ConvexHull(np.stack([radius * np.cos(turns), radius * np.sin(turns), height], axis=1)).simplices
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    return edges, 92
