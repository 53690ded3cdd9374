"""RADAN's network (Zhou et al., FG 2021 and T-BIOM 2023): pyramidal convolutions, with attention that is replayed.

A ResNet-50 whose middle convolutions have kernels of several sizes (Duta et al., 2020). After its first two stages,
what attention has left of the maps is looked at once more, at half the resolution, to weigh what it was made from.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)
EXPANSION, REDUCTION = 4, 16
STEM_CHANNELS, HEAD_CHANNELS, LANDMARK_NUMBERS = 64, 512, 136
DROPOUT = 0.3
# Of each stage's middle convolution: the sides of the kernels, the groups, and what share of the channels each gives.
PYRAMIDS = (
    ((3, 1, 4), (5, 4, 4), (7, 8, 4), (9, 16, 4)),
    ((3, 1, 4), (5, 4, 4), (7, 8, 2)),
    ((3, 1, 2), (5, 4, 2)),
    ((3, 1, 1),),
)
# Of the 3x3 convolutions of the atrous pyramid.
DILATIONS = (6, 12, 18)


def normalised(channels: int, outputs: int, side: int = 1) -> nn.Sequential:
    """A convolution that keeps the maps' size, and its normalisation."""
    return nn.Sequential(nn.Conv2d(channels, outputs, side, padding=side // 2, bias=False), nn.BatchNorm2d(outputs))


class PyramidalConvolution(nn.Module):
    """Convolutions of several sizes, side by side. levels: of each the side, the groups and the divisor of channels."""

    def __init__(self, channels: int, levels: Sequence[tuple[int, int, int]], stride: int):
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Conv2d(channels, channels // share, side, stride, padding=side // 2, groups=groups, bias=False)
            for side, groups, share in levels
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([level(maps) for level in self.levels], dim=1)


class Bottleneck(nn.Module):
    """A residual block whose middle convolution is a pyramid."""

    def __init__(self, channels: int, planes: int, levels: Sequence[tuple[int, int, int]], stride: int):
        super().__init__()
        outputs = planes * EXPANSION
        self.layers = nn.Sequential(
            *normalised(channels, planes),
            nn.ReLU(inplace=True),
            PyramidalConvolution(planes, levels, stride),
            nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True),
            *normalised(planes, outputs),
        )
        # only the first block of a stage changes anything, and each stage halves the maps
        self.shortcut = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), *normalised(channels, outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.layers(maps) + self.shortcut(maps))


class SqueezeExcitation(nn.Module):
    """Each map times a number that follows from the means of all (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // REDUCTION, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // REDUCTION, channels, bias=False),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps * self.gate(maps.mean(dim=(2, 3))).sigmoid()[:, :, None, None]


class BlockAttention(nn.Module):
    """CBAM (Woo et al., ECCV 2018): each map times a number, then each place."""

    def __init__(self, channels: int):
        super().__init__()
        self.channel_gate = nn.Sequential(
            nn.Linear(channels, channels // REDUCTION),
            nn.ReLU(inplace=True),
            nn.Linear(channels // REDUCTION, channels),
        )
        self.place_gate = normalised(2, 1, side=7)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        weights = self.channel_gate(maps.mean(dim=(2, 3))) + self.channel_gate(maps.amax(dim=(2, 3)))
        maps = maps * weights.sigmoid()[:, :, None, None]
        seen = torch.cat([maps.amax(dim=1, keepdim=True), maps.mean(dim=1, keepdim=True)], dim=1)
        return maps * self.place_gate(seen).sigmoid()


class ReplayAttention(nn.Module):
    """Attention that is used twice: its maps at half the resolution weigh the maps that it was made from, and all three
    are blended."""

    def __init__(self, channels: int):
        super().__init__()
        self.attention = BlockAttention(channels)
        self.estimate = nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), *normalised(channels, channels, side=3))
        self.fit = normalised(channels, channels, side=3)
        self.blend = normalised(3 * channels, channels, side=3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        attended = self.attention(maps)
        weights = functional.interpolate(self.estimate(attended), size=maps.shape[2:], mode="nearest").sigmoid()
        return self.blend(torch.cat([self.fit(maps) * weights, attended, maps], dim=1))


class AtrousPyramid(nn.Module):
    """What lies around each place at several distances, and the mean of all places, mixed; without normalisation."""

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.near = nn.Conv2d(channels, outputs, 1)
        self.far = nn.ModuleList(
            nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.everywhere = nn.Conv2d(channels, outputs, 1)
        self.mix = nn.Conv2d((2 + len(DILATIONS)) * outputs, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mean = self.everywhere(maps.mean(dim=(2, 3), keepdim=True))
        # one place, enlarged, is the same everywhere, whichever way it is enlarged
        parts = [self.near(maps), *(layer(maps) for layer in self.far), mean.expand(-1, -1, *maps.shape[2:])]
        return self.mix(torch.cat(parts, dim=1))


class AttentionTransformer(nn.Module):
    """RADAN's name for an atrous pyramid with half the channels and a residual squeeze-and-excitation block back."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 2
        self.pyramid = AtrousPyramid(channels, inner)
        self.layers = nn.Sequential(
            *normalised(inner, channels, side=3),
            nn.ReLU(inplace=True),
            *normalised(channels, channels, side=3),
            SqueezeExcitation(channels),
        )
        self.shortcut = normalised(inner, channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = self.pyramid(maps)
        return functional.relu(self.layers(maps) + self.shortcut(maps))


class Heads(nn.Module):
    """Dropout, then two linear layers for each group of outputs, with nothing between them."""

    def __init__(self, channels: int, outputs: Sequence[int]):
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.paths = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, HEAD_CHANNELS), nn.Linear(HEAD_CHANNELS, count)) for count in outputs
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.dropout(features)
        return torch.cat([path(features) for path in self.paths], dim=1)


class RadanNetwork(nn.Module):
    """(B, 3, S, S) images of levels (BGR - 127.5) / 128 to (B, sum of outputs) numbers; has a MobileNet's methods.

    outputs: numbers of the pose, of the shape and of the expression; blocks: of each stage, RADAN's are 3, 4, 6, 3;
    landmark_head: whether it has a second output layer, for 68 points, as 3DDFA_V2 has
    """

    def __init__(
        self, outputs: Sequence[int] = (12, 40, 10), landmark_head: bool = False, blocks: Sequence[int] = BLOCKS
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(inplace=True),
        )
        stages, channels = [], STEM_CHANNELS
        for number, (count, levels) in enumerate(zip(blocks, PYRAMIDS, strict=True)):
            planes = STEM_CHANNELS * 2**number
            layers = [Bottleneck(channels, planes, levels, stride=2)]
            channels = planes * EXPANSION
            layers += [Bottleneck(channels, planes, levels, stride=1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*layers, *self.attention(number, channels)))
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.fc = Heads(channels, outputs)
        self.fc_lm = nn.Linear(channels, LANDMARK_NUMBERS) if landmark_head else None

    @staticmethod
    def attention(stage: int, channels: int) -> list[nn.Module]:
        """What follows the blocks of a stage, the first of which is 0."""
        if stage == 0:
            return [ReplayAttention(channels)]
        if stage == 1:
            return [ReplayAttention(channels), AttentionTransformer(channels), AttentionTransformer(channels)]
        return [SqueezeExcitation(channels)]

    @property
    def output_layers(self) -> list[nn.Linear]:
        """The last ones, which give the numbers."""
        return [path[1] for path in self.fc.paths]

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 2048) means of the last maps."""
        return self.stages(self.stem(image)).mean(dim=(2, 3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(image))
