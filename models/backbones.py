"""Image encoders, torchvision's and JMLR's, and how their weights are drawn."""

import argparse
from typing import ClassVar

import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from util.errors import InputError


class JmlrResNet(nn.Module):
    """The ResNet-D of JMLR: three convolutions before the first pooling, and shortcuts that are pooled before they are
    convolved (He et al., CVPR 2019); its parts have the names of torchvision's, and weights are drawn as there."""

    BLOCKS: ClassVar = (5, 3, 4, 2)
    WIDTHS: ClassVar = (64, 160, 272, 512)

    def __init__(self, weights: None = None, zero_init_residual: bool = True):
        super().__init__()
        self.conv1 = nn.Sequential(
            *convolution(3, 32, 2),
            nn.ReLU(inplace=True),
            *convolution(32, 32),
            nn.ReLU(inplace=True),
            convolution(32, 64)[0],
        )
        self.bn1, self.relu = nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for number, (blocks, width) in enumerate(zip(self.BLOCKS, self.WIDTHS, strict=True), start=1):
            stride = 1 if number == 1 else 2
            layers = [BasicBlock(channels, width, stride, pooled_shortcut(channels, width) if stride == 2 else None)]
            layers += [BasicBlock(width, width) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*layers))
            channels = width
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock) and zero_init_residual:
                nn.init.zeros_(module.bn2.weight)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return encode(self, image)[1]


def convolution(channels: int, width: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A 3x3 convolution and its normalisation."""
    return nn.Conv2d(channels, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)


def pooled_shortcut(channels: int, width: int) -> nn.Sequential:
    """What a block of stride 2 adds to what it computes."""
    pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))


RESNETS = {
    "resnet_jmlr": JmlrResNet,
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
}


# The grid pooling keeps this many channels on a square of this many cells.
GRID_CHANNELS, GRID_CELLS = 64, 4


def resnet(name: str, initialisation: str, pooling: str) -> tuple[nn.Module, int]:
    """A ResNet without its classifier: (B, 3, S, S) to (B, features). Returns it and its number of features.

    pooling: "average" over the whole last map, as published, or "grid", which keeps where on a coarse grid features
    were seen: shape and pose are about places, and the average has to learn to smuggle them through.
    initialisation: "he", torchvision's own for training from scratch, or "normal", that of the published baseline
    (convolutions from N(0, 0.02), batch norm weights from N(1, 0.02), biases 0).
    Raises InputError for an unknown name.
    """
    if name not in RESNETS:
        raise InputError(f"backbone: unknown {name!r}; known are {', '.join(RESNETS)}")
    network = RESNETS[name](weights=None, zero_init_residual=initialisation == "he")
    features = network.fc.in_features
    network.fc = nn.Identity()
    if pooling == "grid":
        squeeze = nn.Conv2d(features, GRID_CHANNELS, kernel_size=1)
        network.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(GRID_CELLS), squeeze, nn.ReLU())
        features = GRID_CHANNELS * GRID_CELLS**2
    if initialisation == "normal":
        network.apply(draw_normal)
    return network, features


def add_encoder_options(group: argparse._ArgumentGroup) -> None:
    """What `resnet` can be told."""
    add_backbone_options(group)
    add_initialisation(group)


def add_initialisation(group: argparse._ArgumentGroup) -> None:
    """How a `resnet`'s weights are drawn."""
    group.add_argument(
        "--initialisation",
        choices=["he", "normal"],
        default="he",
        help="of the encoders: torchvision's for training from scratch, or the published N(0, 0.02)",
    )


def add_backbone_name(group: argparse._ArgumentGroup) -> None:
    """Which network a `resnet` is."""
    group.add_argument("--backbone", choices=sorted(RESNETS), default="resnet18", help="the encoder of each branch")


def add_backbone_options(group: argparse._ArgumentGroup) -> None:
    """Which `resnet` it is, and what becomes of its last map."""
    add_backbone_name(group)
    group.add_argument(
        "--pooling",
        choices=["average", "grid"],
        default="grid",
        help="of the last map: its average, as published, or a 4x4 grid that keeps where things were seen",
    )


def encode(network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A `resnet`'s last but one maps, (B, channels, S / 16, S / 16), and its features (B, features)."""
    maps = network.maxpool(network.relu(network.bn1(network.conv1(image))))
    maps = network.layer3(network.layer2(network.layer1(maps)))
    return maps, network.fc(torch.flatten(network.avgpool(network.layer4(maps)), 1))


def pyramid(network: nn.Module, image: torch.Tensor) -> list[torch.Tensor]:
    """The maps of a `resnet`'s four stages: (B, channels, S / 4, S / 4) to (B, channels, S / 32, S / 32)."""
    maps = [network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(image)))))]
    for layer in (network.layer2, network.layer3, network.layer4):
        maps.append(layer(maps[-1]))
    return maps


def pyramid_channels(network: nn.Module) -> tuple[int, int, int, int]:
    """Of the maps that `pyramid` gives."""
    return network.layer2[0].conv1.in_channels, *channels_of(network)


def stages(network: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
    """A `resnet` up to its last maps, in three parts: to maps (B, channels, S / 8, S / 8), then S / 16, then S / 32."""
    first = (network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2)
    return nn.Sequential(*first), network.layer3, network.layer4


def channels_of(network: nn.Module) -> tuple[int, int, int]:
    """Of the maps that a `resnet`'s `stages` give."""
    last = [module for module in network.layer4.modules() if isinstance(module, nn.Conv2d)][-1]
    return network.layer3[0].conv1.in_channels, network.layer4[0].conv1.in_channels, last.out_channels


class PointLayers(nn.Module):
    """Finds points in maps (B, channels, h, w): (B, points, 2) from -1 to 1 across them, x and y.

    Each point is the mean of the cells' centres under a probability of its own (integral regression: Sun et al.,
    ECCV 2018), which knows where it is to a fraction of a cell.
    """

    def __init__(self, channels: int, points: int):
        super().__init__()
        hidden = channels // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, points, 1),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        heat = self.layers(maps).float()
        across, down = (
            (2 * torch.arange(cells, device=heat.device) + 1) / cells - 1 for cells in (heat.shape[3], heat.shape[2])
        )
        share = heat.flatten(2).softmax(dim=2).unflatten(2, heat.shape[2:])
        return torch.stack([share.sum(dim=2) @ across, share.sum(dim=3) @ down], dim=2)


def draw_normal(module: nn.Module) -> None:
    """Redraws one layer as the published baseline does; for nn.Module.apply."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
