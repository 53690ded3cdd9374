import copy

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from models.arcface import ArcFace, Recognition, ResidualBlock
from util.alignment import ARCFACE


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of made-up weights, under which features are of moderate size."""
    torch.manual_seed(0)
    network = ArcFace()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("arcface") / "backbone.pth"
    torch.save(network.state_dict(), path)
    return path


def points_of_five(five):
    """(1, 68, 2) points whose five are these."""
    points = np.zeros((68, 2))
    points[[36, 39]], points[[42, 45]] = five[0] + [[-0.1], [0.1]], five[1] + [[-0.1], [0.1]]
    points[[30, 48, 54]] = five[2:]
    return torch.from_numpy(points[None]).float()


def test_layout_is_insightfaces():
    shapes = {name: tuple(tensor.shape) for name, tensor in ArcFace().state_dict().items()}
    # the published R50 is told to have 43.59 million parameters
    assert sum(parameter.numel() for parameter in ArcFace().parameters()) == pytest.approx(43.59e6, abs=5e3)
    blocks = {"layer1": (3, 64, 64), "layer2": (4, 64, 128), "layer3": (14, 128, 256), "layer4": (3, 256, 512)}
    expected = {"conv1.weight": (64, 3, 3, 3), "prelu.weight": (64,), "fc.weight": (512, 25088), "fc.bias": (512,)}
    norms = {"bn1": 64, "bn2": 512, "features": 512}
    for layer, (count, channels, width) in blocks.items():
        for i in range(count):
            name, before = f"{layer}.{i}", channels if i == 0 else width
            norms |= {f"{name}.bn1": before, f"{name}.bn2": width, f"{name}.bn3": width}
            expected |= {f"{name}.conv1.weight": (width, before, 3, 3), f"{name}.conv2.weight": (width, width, 3, 3)}
            expected[f"{name}.prelu.weight"] = (width,)
        expected[f"{layer}.0.downsample.0.weight"] = (width, channels, 1, 1)
        norms[f"{layer}.0.downsample.1"] = width
    for name, width in norms.items():
        expected |= {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
        expected[f"{name}.num_batches_tracked"] = ()
    assert shapes == expected


def test_block_against_scipy():
    torch.manual_seed(1)
    block = ResidualBlock(2, 3, stride=2).double().eval()
    for tensor in block.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 1.5)
    parts = {name: tensor.numpy() for name, tensor in block.state_dict().items()}
    maps = np.random.default_rng(0).normal(0, 1, (2, 6, 6))

    def norm(maps, name):
        weight, bias, mean, variance = (
            parts[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return weight * (maps - mean) / np.sqrt(variance + 1e-5) + bias

    def convolve(maps, weight):
        return np.stack(
            [sum(correlate(m, k, mode="constant") for m, k in zip(maps, each, strict=True)) for each in weight]
        )

    inner = norm(convolve(norm(maps, "bn1"), parts["conv1.weight"]), "bn2")
    inner = np.where(inner > 0, inner, parts["prelu.weight"][:, None, None] * inner)
    inner = norm(convolve(inner, parts["conv2.weight"])[:, ::2, ::2], "bn3")
    shortcut = np.einsum("oc,cyx->oyx", parts["downsample.0.weight"][:, :, 0, 0], maps[:, ::2, ::2])
    expected = inner + norm(shortcut, "downsample.1")
    np.testing.assert_allclose(block(torch.from_numpy(maps[None])).detach()[0], expected, rtol=1e-10)  # float64


def test_an_aligned_face_is_looked_at_as_it_is(weights):
    recognition = Recognition.read(weights)
    picture = torch.rand(1, 3, 112, 112)
    features = recognition.features(picture, points_of_five(ARCFACE * 2 / 112 - 1))
    torch.testing.assert_close(features, recognition.network(2 * picture - 1), rtol=1e-3, atol=1e-4)  # float32 places


def test_gradients_reach_the_picture_and_nothing_else(weights):
    recognition = Recognition.read(weights)
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    points = points_of_five(ARCFACE * 2 / 112 - 1).requires_grad_()
    recognition.features(picture, points).square().sum().backward()
    assert picture.grad.abs().max() > 0
    assert points.grad is None
    assert all(not p.requires_grad and p.grad is None for p in recognition.network.parameters())
    assert not recognition.network.training


def test_copies_share_it(weights):
    recognition = Recognition.read(weights)
    assert copy.deepcopy({"model": recognition})["model"] is recognition


def test_other_weights_are_told(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match=r"cut.pth: wanted those of ArcFace \(.*Missing key"):
        Recognition.read(tmp_path / "cut.pth")
