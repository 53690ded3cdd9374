import copy

import pytest
import torch
import torchvision

from models.r_net import RNet
from util.checkpoint import load_weights

PUBLISHED_SIZES = (80, 64, 80, 3, 27, 2, 1)


def test_published_weights_fit():
    network = RNet("resnet50", PUBLISHED_SIZES)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    expected = {f"final_layers.{i}.weight": (size, 2048, 1, 1) for i, size in enumerate(PUBLISHED_SIZES)}
    expected |= {f"final_layers.{i}.bias": (size,) for i, size in enumerate(PUBLISHED_SIZES)}
    theirs = torchvision.models.resnet50(weights=None).state_dict()
    expected |= {f"backbone.{name}": tuple(tensor.shape) for name, tensor in theirs.items() if name[:3] != "fc."}
    assert shapes == expected


def test_starts_at_zero_and_each_layer_reads_the_pooled_maps():
    torch.manual_seed(0)
    network = RNet("resnet18", (2, 3)).eval()
    pictures = torch.rand(2, 3, 64, 64)
    assert [part.tolist() for part in network(pictures)] == [[[0, 0]] * 2, [[0, 0, 0]] * 2]
    with torch.no_grad():
        network.final_layers[1].weight[2, 7] = 2.0
        network.final_layers[1].bias[2] = 1.0
    trunk = network.backbone
    maps = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(pictures))))
    maps = trunk.layer4(trunk.layer3(trunk.layer2(trunk.layer1(maps))))
    expected = 2 * maps[:, 7].mean(dim=(1, 2)) + 1
    torch.testing.assert_close(network(pictures)[1][:, 2], expected)


def test_gradients_lie_in_memory_as_their_weights():
    """Else DistributedDataParallel copies them in each step, with a warning."""
    network = RNet("resnet18", (2, 0, 3)).to(memory_format=torch.channels_last)
    sum(part.sum() for part in network(torch.rand(2, 3, 32, 32))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.stride() == parameter.stride(), name


def test_state_dicts_share_the_weights_of_the_last_layers():
    network = RNet("resnet18", (2, 0))
    state = copy.deepcopy(network).state_dict()
    network.state_dict()["final_layers.0.weight"].fill_(3)
    assert (network.final_layers[0].weight == 3).all()
    network.load_state_dict(state)
    assert not network.final_layers[0].weight.any()
    assert state["final_layers.0.weight"].shape == (2, 512, 1, 1)
    state["final_layers.0.weight"] = torch.zeros(2, 256, 2, 1)
    with pytest.raises(RuntimeError, match=r"size mismatch for final_layers\.0\.weight"):
        network.load_state_dict(state)


def test_there_may_be_no_coefficients_of_a_kind():
    network = RNet("resnet18", (2, 0, 1)).eval()
    parts = network(torch.rand(3, 3, 32, 32))
    assert [part.shape for part in parts] == [(3, 2), (3, 0), (3, 1)]
    sum(part.sum() for part in parts).backward()
    torch.optim.AdamW(network.parameters(), fused=True).step()


def test_imagenet_weights(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    network = RNet("resnet18", PUBLISHED_SIZES)
    load_weights(network.backbone, tmp_path / "resnet18.pth", passed_over=("fc.",))
    theirs.fc = torch.nn.Identity()
    pictures = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(network.backbone.eval()(pictures), theirs.eval()(pictures))


def test_other_weights_are_told(tmp_path):
    network = RNet("resnet18", PUBLISHED_SIZES)
    with pytest.raises(FileNotFoundError, match=r"weights .*none.pth: no such file"):
        load_weights(network.backbone, tmp_path / "none.pth")
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other.pth: wanted those of ResNet \(.*Unexpected key"):
        load_weights(network.backbone, tmp_path / "other.pth", passed_over=("fc.",))
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match=r"tensor.pth: wanted those of ResNet"):
        load_weights(network.backbone, tmp_path / "tensor.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match=r"text.pth: wanted a whole weights"):
        load_weights(network.backbone, tmp_path / "text.pth")
