"""Each loss by hand or against all pairs in NumPy, as ../shared/systems.md, D.3, defines them."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch.utils._python_dispatch import TorchDispatchMode

from models.graph_layers import SparseMatrix, chebyshev_matrix, laplacian_matrix
from models.mesh_losses import (
    chamfer_loss,
    edge_loss,
    laplacian_coordinates,
    laplacian_loss,
    move_loss,
    nearest,
    nearest_of_all_pairs,
    normal_loss,
    sample_surface,
)


def clouds(images, n, m, seed=0):
    """Points (images, n, 3) and others (images, m, 3) of a face's size in metres, in float64."""
    random = np.random.default_rng(seed)
    return tuple(torch.from_numpy(random.normal(0, 0.05, (images, count, 3))) for count in (n, m))


def squares(points, others):
    """(B, n, m) of arrays."""
    return ((points[:, :, None] - others[:, None]) ** 2).sum(-1)


@pytest.mark.parametrize("search", [nearest, nearest_of_all_pairs])
def test_nearest_against_all_pairs(search):
    points, others = clouds(3, 70, 90)
    found = search(points, others)
    np.testing.assert_array_equal(found.numpy(), squares(points.numpy(), others.numpy()).argmin(axis=2))
    assert (found.dtype, search(points.requires_grad_(), others).requires_grad) == (torch.int64, False)


def test_nearest_agrees_with_scipy_at_face_size_in_float32():
    """A mesh of 1,220 points on a surface of 10,000: also where the second nearest is hardly farther."""
    points, others = (each.float() for each in clouds(2, 1220, 10_000))
    found = nearest_of_all_pairs(points, others)
    for image in range(2):
        distances, indices = cKDTree(others[image].double()).query(points[image].double())
        own = (points[image].double() - others[image][found[image]].double()).norm(dim=1).numpy()
        # float32 rounds the squares by 1e-7 of themselves
        np.testing.assert_allclose(own, distances, rtol=1e-6)
        assert (found[image].numpy() == indices).mean() > 0.999
    assert (nearest(points, others) == found).double().mean() > 0.999


@pytest.mark.parametrize("block_bytes", [1, 2 * 3 * 90 * 8, 10 * 2 * 3 * 90 * 8, 1 << 28])
def test_blocks_of_any_size_find_the_same(block_bytes):
    points, others = clouds(3, 70, 90)
    assert torch.equal(nearest_of_all_pairs(points, others, block_bytes), nearest(points, others))


class LargestTensor(TorchDispatchMode):
    """The bytes of the largest tensor that torch makes meanwhile."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.untyped_storage().nbytes())
        return result


def test_blocks_keep_to_their_memory():
    points, others = (each.float() for each in clouds(4, 300, 500))
    with LargestTensor() as made:
        nearest_of_all_pairs(points, others, 1 << 20)
    # two tables at a time
    assert (1 << 18) < made.largest <= (1 << 19) < 4 * 300 * 500 * 4


def test_not_finite_points_give_a_loss_that_is_not_finite():
    """The training engine stops at such a loss and names the images."""
    points, truth = clouds(2, 10, 12)
    points[1, 3, 0] = torch.nan
    loss, indices = chamfer_loss(points, truth)
    assert not torch.isfinite(loss)
    assert ((indices >= 0) & (indices < 12)).all()


def test_chamfer_by_hand():
    points = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0]]])
    truth = torch.tensor([[[0.0, 3, 0], [0.0, 1, 0], [0.0, 0, 4]]])
    # truth to points: 9, 1, 16, all to the first; points to truth: 1 and 1 + 1, both to the second
    loss, indices = chamfer_loss(points, truth, reverse=0.5)
    assert loss.item() == pytest.approx((9 + 1 + 16) / 3 + 0.5 * (1 + 2) / 2)
    assert indices.tolist() == [[1, 1]]
    assert chamfer_loss(points, truth)[0].item() == pytest.approx((9 + 1 + 16) / 3 + 0.55 * (1 + 2) / 2)


def test_chamfer_against_all_pairs():
    points, truth = clouds(3, 40, 60)
    table = squares(points.numpy(), truth.numpy())
    loss, indices = chamfer_loss(points, truth)
    assert loss.item() == pytest.approx(table.min(axis=1).mean() + 0.55 * table.min(axis=2).mean(), rel=1e-12)
    np.testing.assert_array_equal(indices.numpy(), table.argmin(axis=2))


def test_gradients():
    points, truth = (each / 0.05 for each in clouds(2, 6, 7))  # of size one, far from where the nearest changes
    after, edges = points + 0.1, torch.tensor([[0, 1], [1, 2], [2, 0], [4, 5]])
    laplacian = SparseMatrix(laplacian_matrix(edges.numpy(), 6)).double()
    normals, indices = torch.nn.functional.normalize(truth, dim=2), nearest(points, truth)
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: chamfer_loss(x, truth)[0], points)
    assert torch.autograd.gradcheck(lambda x: chamfer_loss(truth, x)[0], points)
    assert torch.autograd.gradcheck(lambda x: normal_loss(x, edges, normals, indices), points)
    assert torch.autograd.gradcheck(lambda x: edge_loss(x, edges), points)
    assert torch.autograd.gradcheck(lambda x: laplacian_loss(x, after.square(), laplacian), points)
    assert torch.autograd.gradcheck(lambda x: move_loss(after, x), points)


def test_normal_loss_by_hand():
    points = torch.tensor([[[0.0, 0, 0], [3.0, 0, 4], [0.0, 5, 0]]])
    normals = torch.tensor([[[0.0, 2, 0], [0.0, 0, -1]]])
    indices = torch.tensor([[1, 1, 0]])
    edges = torch.tensor([[0, 1], [2, 0]])
    # (0.6, 0, 0.8) and z: 0.8; y and y, the normal at the first end: 1
    assert normal_loss(points, edges, normals, indices).item() == pytest.approx((0.8 + 1) / 2)
    # y and z, the same edge from its other end: 0
    assert normal_loss(points, edges.flip(1)[1:], normals, indices).item() == 0


def test_edges_of_the_published_list():
    """Both directions and each vertex with itself: these add nothing, neither to losses nor to gradients."""
    points = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0], [0.0, 2, 0]]], requires_grad=True)
    short = torch.tensor([[0, 1], [1, 2], [2, 0]])
    published = torch.from_numpy(np.argwhere(chebyshev_matrix(short.numpy(), 3).toarray()))
    assert len(published) == 9
    loss = edge_loss(points, published)
    assert loss.item() == pytest.approx(2 * (1 + 5 + 4) / 9)
    assert edge_loss(points, short).item() == pytest.approx((1 + 5 + 4) / 3)
    normals, indices = torch.tensor([[[1.0, 0, 0]]]), torch.zeros(1, 3, dtype=torch.int64)
    loss = normal_loss(points, published, normals, indices)
    assert loss.item() == pytest.approx(2 * (1 + 0.2**0.5 + 0) / 9)
    loss.backward()
    assert torch.isfinite(points.grad).all()


def test_laplacian_and_move_by_hand():
    edges = np.array([[0, 1], [1, 2]])
    laplacian = SparseMatrix(laplacian_matrix(edges, 3))
    before = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]]])
    after = before + torch.tensor([0.0, 0, 7])  # moved as a whole
    torch.testing.assert_close(
        laplacian_coordinates(before, laplacian), torch.tensor([[[-1.0, 0, 0], [0] * 3, [1, 0, 0]]])
    )
    assert laplacian_loss(before, after, laplacian).item() == 0
    assert move_loss(before, after).item() == pytest.approx(49)
    after[0, 1, 1] += 2  # its own coordinate by 2, those of its neighbours by 2 each
    assert laplacian_loss(before, after, laplacian).item() == pytest.approx(4)
    assert move_loss(before, after).item() == pytest.approx((49 + 49 + 53) / 3)


def test_samples_lie_on_the_surface_by_area():
    """Two triangles of areas 0.5 and 2 at different heights, facing up and down."""
    verts = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [0, 2, 5], [2, 0, 5]]).repeat(2, 1, 1)
    verts[1] *= 2
    points, normals = sample_surface(
        verts, torch.tensor([[0, 1, 2], [3, 4, 5]]), 20_000, torch.Generator().manual_seed(0)
    )
    assert points.shape == normals.shape == (2, 20_000, 3)
    for image, size in ((0, 1.0), (1, 2.0)):
        x, y, z = (points[image] / size).unbind(1)
        low = z < 1
        assert torch.equal(z[low].unique(), torch.tensor([0.0]))
        assert torch.equal(z[~low].unique(), torch.tensor([5.0]))
        # four deviations of a share of 0.2 of 20,000
        assert low.float().mean().item() == pytest.approx(0.2, abs=4 * (0.16 / 20_000) ** 0.5)
        assert torch.equal(normals[image, low].unique(dim=0), torch.tensor([[0.0, 0, 1]]))
        assert torch.equal(normals[image, ~low].unique(dim=0), torch.tensor([[0.0, 0, -1]]))
        assert min(x.min(), y.min()) >= 0
        # within the third side, but for rounding
        assert ((x + y)[low]).max() <= 1 + 1e-6
        assert ((x + y)[~low]).max() <= 2 + 1e-6
        # all over it: the mean of each coordinate is a third of the side, whose deviation there is 0.47 of a side
        assert x[~low].mean().item() == pytest.approx(2 / 3, abs=4 * 0.48 / 16_000**0.5)
        assert y[low].mean().item() == pytest.approx(1 / 3, abs=4 * 0.24 / 4_000**0.5)
    assert not torch.equal(points[0, :9] * 2, points[1, :9])  # each mesh its own places


def test_samples_come_from_the_generator():
    verts, triangles = torch.rand(1, 5, 3), torch.tensor([[0, 1, 2], [2, 3, 4]])
    first = sample_surface(verts, triangles, 10, torch.Generator().manual_seed(3))
    torch.manual_seed(3)
    for own, other in zip(sample_surface(verts, triangles, 10), first, strict=True):
        assert torch.equal(own, other)
    assert not torch.equal(sample_surface(verts, triangles, 10)[0], first[0])


def test_meshes_without_an_area_and_without_numbers_have_samples_all_over_them():
    triangles = torch.tensor([[0, 1, 2], [2, 3, 4]])
    verts = torch.stack([torch.ones(5, 3), torch.full((5, 3), torch.nan), torch.rand(5, 3)])
    points, normals = sample_surface(verts, triangles, 10)
    assert torch.equal(points[0], torch.ones(10, 3))
    assert torch.equal(normals[0], torch.zeros(10, 3))
    assert torch.isnan(points[1]).all()
    assert torch.isfinite(points[2]).all()
