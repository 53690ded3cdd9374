"""Published checkpoints of Deep3D, made up: what is read is what was saved, and what is another file is told."""

import numpy as np
import pytest
import torch

from models.deep3d_files import read_deep3d
from tests.models.published_deep3d import COUNT, SIZES, bowl, write_bases, write_weights
from util.errors import InputError

CPU = torch.device("cpu")
WINDOWS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
def test_published_checkpoints_are_read(tmp_path, backbone):
    (bases, arrays), (weights, network) = write_bases(tmp_path), write_weights(tmp_path, backbone)
    read = read_deep3d(weights, bases, CPU)
    assert (read.size, read.published) == (224, True)
    assert list(read.decoder.sizes.values()) == list(SIZES)
    outputs = read.coefficients(WINDOWS)
    with torch.no_grad():
        parts = network(torch.from_numpy(WINDOWS).permute(0, 3, 1, 2).float() / 255)
    expected = [*parts[:5], torch.cat(parts[5:], dim=1)]
    names = ["identity", "expression", "albedo", "angles", "light", "translation"]
    for name, tensor in zip(names, expected, strict=True):
        torch.testing.assert_close(outputs[name], tensor, rtol=0, atol=0)
    # decimetres about the mean of the vertices, 0 to 255, indices from 1
    mean, triangles = bowl()
    np.testing.assert_allclose(read.topology.template, 0.1 * (mean - mean.mean(axis=0)), atol=1e-8)
    np.testing.assert_array_equal(read.topology.triangles, triangles)
    shape = mean - mean.mean(axis=0)
    for key, name in (("idBase", "identity"), ("exBase", "expression")):
        shape = shape + (arrays[key] @ outputs[name][1].numpy()).reshape(COUNT, 3)
    np.testing.assert_allclose(read.decoder.canonical(outputs)[1], shape, atol=1e-6)  # float32 of a decimetre
    albedo = (arrays["meantex"][0] + arrays["texBase"] @ outputs["albedo"][0].numpy()).reshape(COUNT, 3) / 255
    np.testing.assert_allclose(read.decoder.face(outputs).albedo[0], albedo, atol=1e-6)


def saved(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    return tmp_path / "other.pth"


def test_what_is_no_published_checkpoint_is_told(tmp_path):
    (bases, _), (weights, network) = write_bases(tmp_path), write_weights(tmp_path)
    state = network.state_dict()
    without = {name: tensor for name, tensor in state.items() if not name.startswith("final_layers.6")}
    one_layer = {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}
    cases = {
        "wanted a dict with net_recon, as Deep3DFaceRecon_pytorch saves, got state_dict": {"state_dict": state},
        "wanted a dict with net_recon, as Deep3DFaceRecon_pytorch saves, got Tensor": torch.zeros(3),
        "wanted a ResNet of resnet18, resnet34, resnet50 with seven last layers, got 3": {
            "net_recon": {f"backbone.conv{number}.weight": torch.zeros(1) for number in range(3)}
        },
        "with seven last layers, got 120 arrays": {"net_recon": one_layer},
        "wanted those of R-Net .*final_layers.6.weight": {"net_recon": without},
    }
    for message, content in cases.items():
        with pytest.raises(InputError, match=rf"weights .*other\.pth: .*{message}"):
            read_deep3d(saved(tmp_path, content), bases, CPU)
    with pytest.raises(InputError, match="wanted --bases, the face model that they tell the numbers of, got None"):
        read_deep3d(weights, None, CPU)
    with pytest.raises(FileNotFoundError, match=r"weights .*none\.pth: no such file"):
        read_deep3d(tmp_path / "none.pth", bases, CPU)
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"cut\.pth: wanted a whole weights"):
        read_deep3d(tmp_path / "cut.pth", bases, CPU)


def test_face_models_of_another_size_are_told(tmp_path):
    (bases, _), (weights, _) = write_bases(tmp_path), write_weights(tmp_path, sizes=(6, 4, 7, 3, 27, 2, 1))
    with pytest.raises(InputError, match=r"wanted 5 numbers of albedo, as the face model .*front\.mat has, got 7"):
        read_deep3d(weights, bases, CPU)
