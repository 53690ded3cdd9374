"""MobileNetV1 by hand-counted weights, a slow twin of a block, and a published checkpoint where it is at hand."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from models.mobilenet import BLOCKS, DepthwiseBlock, MobileNet, load_mobilenet

PUBLISHED = Path(__file__).parents[3] / "shared" / "threeddfa" / "mb05_120x120.pth"


def count(module):
    return sum(weight.numel() for weight in module.parameters())


# measured on the published checkpoints (3DDFA_V2), whose landmark heads are not counted
@pytest.mark.parametrize(("width", "published"), [(0.5, 850_398), (1.0, 3_270_526)])
def test_weights_are_as_many_as_published(width, published):
    assert count(MobileNet(width)) == published
    last = int(1024 * width)
    assert count(MobileNet(width, landmark_head=True)) == published + 136 * last + 136
    assert count(MobileNet(width, outputs=141)) == published + (141 - 62) * (last + 1)


def test_maps_shrink_five_times():
    network = MobileNet(0.25).eval()
    sides = {}
    for name, _, _ in BLOCKS:
        getattr(network, name).register_forward_hook(
            lambda _, __, maps, name=name: sides.__setitem__(name, maps.shape[1:])
        )
    assert network(torch.zeros(2, 3, 120, 120)).shape == (2, 62)
    chosen = {name: tuple(sides[name]) for name in ("dw2_1", "dw2_2", "dw3_2", "dw4_2", "dw5_5", "dw6")}
    # strides of 2: the first convolution, dw2_2, dw3_2, dw4_2, dw5_6; odd sides are rounded up
    assert chosen == {
        "dw2_1": (16, 60, 60),
        "dw2_2": (32, 30, 30),
        "dw3_2": (64, 15, 15),
        "dw4_2": (128, 8, 8),
        "dw5_5": (128, 8, 8),
        "dw6": (256, 4, 4),
    }


def test_a_block_is_a_filter_each_and_a_mixture():
    torch.manual_seed(0)
    block = DepthwiseBlock(3, 5, stride=2).double().eval()
    with torch.no_grad():
        block.bn_dw.running_mean.normal_()
        block.bn_sep.weight.uniform_(0.5, 2)
        block.bn_sep.bias.normal_()
    maps = torch.randn(1, 3, 7, 7, dtype=torch.float64)
    filtered = torch.stack(
        [
            functional.conv2d(maps[:, c : c + 1], block.conv_dw.weight[c : c + 1], stride=2, padding=1)[0, 0]
            for c in range(3)
        ]
    )
    filtered = ((filtered - block.bn_dw.running_mean[:, None, None]) / (1 + 1e-5) ** 0.5).clamp(min=0)
    mixed = torch.einsum("oc,chw->ohw", block.conv_sep.weight[:, :, 0, 0], filtered)
    expected = mixed * (block.bn_sep.weight / (1 + 1e-5) ** 0.5)[:, None, None] + block.bn_sep.bias[:, None, None]
    torch.testing.assert_close(block(maps)[0], expected.clamp(min=0))


@pytest.mark.parametrize("keeps", [True, False])
def test_a_checkpoint_with_their_names_is_read(tmp_path, keeps):
    torch.manual_seed(0)
    network = MobileNet(0.25, outputs=7, landmark_head=True).eval()
    theirs = {f"module.{name.replace('fc.', 'fc_param.')}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": theirs}, tmp_path / "v2.pth")
    read = load_mobilenet(tmp_path / "v2.pth", landmark_head=keeps)
    image = torch.randn(2, 3, 32, 32)
    assert not read.training
    assert torch.equal(read(image), network(image))
    if keeps:
        assert torch.equal(read.fc_lm.weight, network.fc_lm.weight)
    else:
        assert read.fc_lm is None


def test_other_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.pth: no such file"):
        load_mobilenet(tmp_path / "none.pth")
    path = tmp_path / "other.pth"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="wanted a MobileNet of 3DDFA"):
        load_mobilenet(path)
    weights = MobileNet(0.25).state_dict()
    for content in ({"weights": 1}, {"state_dict": {**weights, "more": torch.zeros(1)}}, {"state_dict": {}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match="wanted a MobileNet of 3DDFA"):
            load_mobilenet(path)
    torch.save({"state_dict": weights}, path)  # as 3DDFA's first version, without landmarks
    with pytest.raises(ValueError, match=r"fc_lm\.weight"):
        load_mobilenet(path, landmark_head=True)
    assert load_mobilenet(path).fc.out_features == 62


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs the published checkpoint")
def test_the_published_checkpoint_is_read_whole():
    network = load_mobilenet(PUBLISHED, landmark_head=True)
    weights = torch.load(PUBLISHED, map_location="cpu", weights_only=True)["state_dict"]
    assert len(network.state_dict()) == len(weights) == 166
    assert torch.equal(network.dw5_1.conv_sep.weight, weights["module.dw5_1.conv_sep.weight"])
    assert torch.equal(network.fc.bias, weights["module.fc_param.bias"])
    assert count(load_mobilenet(PUBLISHED)) == 850_398
