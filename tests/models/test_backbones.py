"""The encoder of JMLR: its size, its maps, and what it starts with."""

import pytest
import torch

from models.backbones import encode, resnet
from util.errors import InputError


def test_parameters_of_resnet_jmlr_by_hand():
    network, features = resnet("resnet_jmlr", "he", "average")
    # convolutions of the stem and two numbers a channel for each normalisation
    stem = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
    # a block has two convolutions and two normalisations; the first of a stage a wider one and a shortcut
    stage_1 = 5 * (2 * 9 * 64 * 64 + 4 * 64)
    stage_2 = 9 * 64 * 160 + 5 * 9 * 160 * 160 + 64 * 160 + 7 * 2 * 160
    stage_3 = 9 * 160 * 272 + 7 * 9 * 272 * 272 + 160 * 272 + 9 * 2 * 272
    stage_4 = 9 * 272 * 512 + 3 * 9 * 512 * 512 + 272 * 512 + 5 * 2 * 512
    wanted = stem + stage_1 + stage_2 + stage_3 + stage_4
    assert (sum(p.numel() for p in network.parameters()), features) == (wanted, 512)
    assert wanted == 15_232_064


@pytest.mark.parametrize("pooling", ["average", "grid"])
def test_maps_of_resnet_jmlr(pooling):
    network, features = resnet("resnet_jmlr", "he", pooling)
    shapes = []
    for layer in (network.maxpool, network.layer1, network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    image = torch.zeros(2, 3, 72, 64)  # odd at the end: shortcuts are padded as the convolutions are
    assert network(image).shape == (2, features)
    assert shapes == [(64, 18, 16), (64, 18, 16), (160, 9, 8), (272, 5, 4), (512, 3, 2)]
    maps, encoded = encode(network, image)
    assert (maps.shape, encoded.shape) == ((2, 272, 5, 4), (2, features))


def test_blocks_of_resnet_jmlr_start_as_their_shortcuts():
    network, _ = resnet("resnet_jmlr", "he", "average")
    maps = torch.rand(2, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.layer1.eval()(maps), maps)
    block = network.layer2[0].eval()
    mean = maps.reshape(2, 64, 4, 2, 4, 2).mean(dim=(3, 5))
    # the mean of each 2x2 pixels, then a matrix on the channels; batch normalisation divides by sqrt(1 + 1e-5)
    wanted = torch.einsum("oc,bchw->bohw", block.downsample[1].weight[:, :, 0, 0], mean) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(maps), wanted.relu(), atol=1e-5, rtol=0)  # float32


def test_unknown_backbones_are_told():
    with pytest.raises(InputError, match="backbone: unknown 'vgg'; known are resnet_jmlr, resnet18"):
        resnet("vgg", "he", "average")
