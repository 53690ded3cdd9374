"""RADAN's network by weights counted by hand, by maps' sizes, and its parts by slow twins."""

import pytest
import torch
from torch.nn import functional

from models.radan_network import (
    AtrousPyramid,
    AttentionTransformer,
    BlockAttention,
    Bottleneck,
    Heads,
    PyramidalConvolution,
    RadanNetwork,
    ReplayAttention,
    SqueezeExcitation,
)

PYRAMID = ((3, 1, 2), (5, 4, 2))


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def bottleneck_weights(channels, planes, middle, shortcut):
    """A block's convolutions and two numbers a channel of each normalisation; `middle`: of the pyramid."""
    weights = channels * planes + 2 * planes + middle + 2 * planes + planes * 4 * planes + 8 * planes
    return weights + (channels * 4 * planes + 8 * planes if shortcut else 0)


# the pyramid's kernels see channels / groups maps each
MIDDLES = (
    64 * 16 * 9 + 16 * 16 * 25 + 8 * 16 * 49 + 4 * 16 * 81,
    128 * 32 * 9 + 32 * 32 * 25 + 16 * 64 * 49,
    256 * 128 * 9 + 64 * 128 * 25,
    512 * 512 * 9,
)
REPLAY = {
    # CBAM's layers with biases, its 7x7 kernel on two maps; 3x3 kernels: two of C maps and one of 3C, normalised
    C: 2 * C * (C // 16) + C // 16 + C + 2 * 49 + 2 + 5 * 9 * C * C + 6 * C
    for C in (256, 512)
}
# The atrous pyramid, all with biases: two 1x1 kernels, three 3x3, and one that mixes five; then the block with 3x3
# kernels, its gate and its shortcut, each with normalisation but the gate.
TRANSFORMER = 2 * 512 * 256 + 3 * 9 * 512 * 256 + 5 * 256 + 5 * 256 * 256 + 256
TRANSFORMER += 9 * 256 * 512 + 9 * 512 * 512 + 4 * 512 + 2 * 512 * 32 + 256 * 512 + 2 * 512


def test_weights_are_as_many_as_counted_by_hand():
    network = RadanNetwork()
    assert count(network.stem) == 3 * 64 * 49 + 2 * 64
    after = (REPLAY[256], REPLAY[512] + 2 * TRANSFORMER, 2 * 1024 * 64, 2 * 2048 * 128)
    channels = 64
    for number, blocks in enumerate((3, 4, 6, 3)):
        planes = 64 * 2**number
        expected = bottleneck_weights(channels, planes, MIDDLES[number], shortcut=True)
        expected += (blocks - 1) * bottleneck_weights(4 * planes, planes, MIDDLES[number], shortcut=False)
        assert count(network.stages[number]) == expected + after[number], number
        channels = 4 * planes
    heads = sum(2048 * 512 + 512 + 512 * outputs + outputs for outputs in (12, 40, 10))
    assert count(network.fc) == heads
    assert count(network) == count(network.stem) + count(network.stages) + heads


def test_maps_shrink_from_60_to_4():
    network = RadanNetwork((12, 3, 2), landmark_head=True, blocks=(1, 1, 1, 1)).eval()
    maps = network.stem(torch.zeros(1, 3, 120, 120))
    sizes = [maps.shape[1:]]
    for stage in network.stages:
        maps = stage(maps)
        sizes.append(maps.shape[1:])
    assert [tuple(size) for size in sizes] == [
        (64, 60, 60),
        (256, 30, 30),
        (512, 15, 15),
        (1024, 8, 8),
        (2048, 4, 4),
    ]
    features = maps.mean(dim=(2, 3))
    assert network.fc(features).shape == (1, 17)
    assert network.fc_lm(features).shape == (1, 136)
    assert [layer.out_features for layer in network.output_layers] == [12, 3, 2]


def test_attention_stands_where_it_is_published():
    stages = RadanNetwork(blocks=(1, 2, 1, 1)).stages
    assert [[type(part) for part in stage] for stage in stages] == [
        [Bottleneck, ReplayAttention],
        [Bottleneck, Bottleneck, ReplayAttention, AttentionTransformer, AttentionTransformer],
        [Bottleneck, SqueezeExcitation],
        [Bottleneck, SqueezeExcitation],
    ]


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(2, 32, 6, 6, dtype=torch.float64)


def test_a_pyramid_is_its_levels_side_by_side(maps):
    pyramid = PyramidalConvolution(32, PYRAMID, stride=2).double()
    small, large = pyramid.levels
    assert (small.weight.shape, large.weight.shape) == ((16, 32, 3, 3), (16, 8, 5, 5))
    result = pyramid(maps)
    torch.testing.assert_close(result[:, :16], functional.conv2d(maps, small.weight, stride=2, padding=1))
    # the second of four groups alone: 8 maps to 4
    own = functional.conv2d(maps[:, 8:16], large.weight[4:8], stride=2, padding=2)
    torch.testing.assert_close(result[:, 20:24], own)


def test_a_block_adds_to_what_it_got(maps):
    halved, kept = (
        Bottleneck(32, 32, PYRAMID, stride=2).double().eval(),
        Bottleneck(128, 32, PYRAMID, 1).double().eval(),
    )
    for block in (halved, kept):
        torch.nn.init.zeros_(block.layers[-1].weight)  # its normalisation: the block adds nothing
    shortcut = functional.conv2d(functional.max_pool2d(maps, 3, 2, 1), halved.shortcut[1].weight) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(halved(maps), shortcut.clamp(min=0))
    positive = halved(maps)
    torch.testing.assert_close(kept(positive), positive)


def test_squeeze_and_excitation_by_hand(maps):
    block = SqueezeExcitation(32).double()
    first, _, second = block.gate
    weights = ((maps.mean(dim=(2, 3)) @ first.weight.T).clamp(min=0) @ second.weight.T).sigmoid()
    torch.testing.assert_close(block(maps), torch.einsum("bc,bchw->bchw", weights, maps))


def attended_slowly(attention, maps):
    """CBAM, one image and one place at a time."""
    result = torch.zeros_like(maps)
    for image in range(len(maps)):
        mean, largest = maps[image].flatten(1).mean(dim=1), maps[image].flatten(1).max(dim=1).values
        weights = (attention.channel_gate(mean) + attention.channel_gate(largest)).sigmoid()
        own = maps[image] * weights[:, None, None]
        seen = torch.stack([own.max(dim=0).values, own.mean(dim=0)])
        padded = functional.pad(seen, (3, 3, 3, 3))
        for y in range(6):
            for x in range(6):
                heat = (padded[:, y : y + 7, x : x + 7] * attention.place_gate[0].weight[0]).sum() / (1 + 1e-5) ** 0.5
                result[image, :, y, x] = own[:, y, x] * heat.sigmoid()
    return result


def test_block_attention_by_a_slow_twin(maps):
    attention = BlockAttention(32).double().eval()
    torch.testing.assert_close(attention(maps), attended_slowly(attention, maps))


def test_attention_is_replayed_at_half_the_resolution(maps):
    replay = ReplayAttention(32).double().eval()
    attended = attended_slowly(replay.attention, maps)
    pooled = functional.max_pool2d(attended, 3, 2, 1)
    normal = (1 + 1e-5) ** 0.5  # of normalisations that have seen nothing yet
    weights = (functional.conv2d(pooled, replay.estimate[1].weight, padding=1) / normal).sigmoid()
    weights = weights.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    fitted = functional.conv2d(maps, replay.fit[0].weight, padding=1) / normal * weights
    blended = functional.conv2d(torch.cat([fitted, attended, maps], dim=1), replay.blend[0].weight, padding=1) / normal
    torch.testing.assert_close(replay(maps), blended)
    odd = torch.randn(1, 32, 5, 5, dtype=torch.float64)  # as 15: half of it is rounded up
    assert replay(odd).shape == odd.shape


def test_an_atrous_pyramid_sees_near_and_far():
    torch.manual_seed(0)
    pyramid = AtrousPyramid(4, 3).double()
    maps = torch.randn(1, 4, 15, 15, dtype=torch.float64)
    result = pyramid(maps)[0, :, 7, 7]
    parts = [torch.einsum("oc,c->o", pyramid.near.weight[:, :, 0, 0], maps[0, :, 7, 7]) + pyramid.near.bias]
    for layer, reach in zip(pyramid.far, (6, 12, 18), strict=True):
        place = layer.bias.clone()
        for row in range(3):
            for column in range(3):
                y, x = 7 + (row - 1) * reach, 7 + (column - 1) * reach
                if 0 <= y < 15 and 0 <= x < 15:
                    place = place + layer.weight[:, :, row, column] @ maps[0, :, y, x]
        parts.append(place)
    parts.append(pyramid.everywhere.weight[:, :, 0, 0] @ maps[0].mean(dim=(1, 2)) + pyramid.everywhere.bias)
    expected = pyramid.mix.weight[:, :, 0, 0] @ torch.cat(parts) + pyramid.mix.bias
    torch.testing.assert_close(result, expected)


def test_an_attention_transformer_by_its_parts():
    torch.manual_seed(0)
    block = AttentionTransformer(32).double().eval()
    maps = torch.randn(1, 32, 5, 5, dtype=torch.float64)
    inner, normal = block.pyramid(maps), (1 + 1e-5) ** 0.5
    assert inner.shape == (1, 16, 5, 5)
    first = (functional.conv2d(inner, block.layers[0].weight, padding=1) / normal).clamp(min=0)
    second = block.layers[5](functional.conv2d(first, block.layers[3].weight, padding=1) / normal)
    shortcut = functional.conv2d(inner, block.shortcut[0].weight) / normal
    torch.testing.assert_close(block(maps), (second + shortcut).clamp(min=0))


def test_heads_are_linear_and_drop_in_training_only():
    torch.manual_seed(0)
    heads = Heads(8, (2, 3)).eval()
    features = torch.randn(4, 8)
    outputs = heads(features)
    assert outputs.shape == (4, 5)
    torch.testing.assert_close(heads(2 * features) - outputs, outputs - heads(0 * features))
    dropped = heads.train().dropout(torch.ones(20_000))
    # each of 20,000 is kept with probability 0.7, then 1 / 0.7: their share's deviation is 0.0032
    assert (dropped > 0).float().mean().item() == pytest.approx(0.7, abs=0.015)
