"""ArcFace's residual network, which tells people apart (Deng et al., CVPR 2019); for losses, never trained here.

Parts have the names and shapes of insightface's iresnet50, so that its published weights fit.
"""

from pathlib import Path

import torch
from torch import nn

from util.alignment import ARCFACE, FIVE_OF_68
from util.checkpoint import load_weights
from util.warping import move_pictures, similarities

SIZE, FEATURES = 112, 512
BLOCKS, WIDTHS = (3, 4, 14, 3), (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Two convolutions, normalised before, between and after."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn2, self.prelu = nn.BatchNorm2d(width), nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.prelu(self.bn2(self.conv1(self.bn1(maps))))
        return self.bn3(self.conv2(inner)) + self.downsample(maps)


class ArcFace(nn.Module):
    """Aligned faces (B, 3, 112, 112), RGB from -1 to 1, to features (B, 512); only their direction tells anything."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(WIDTHS[0]), nn.PReLU(WIDTHS[0])
        channels = WIDTHS[0]
        for number, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
            layers = [ResidualBlock(channels, width, 2), *(ResidualBlock(width, width, 1) for _ in range(blocks - 1))]
            setattr(self, f"layer{number}", nn.Sequential(*layers))
            channels = width
        self.bn2 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels * (SIZE // 16) ** 2, FEATURES)
        self.features = nn.BatchNorm1d(FEATURES)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        maps = self.prelu(self.bn1(self.conv1(faces)))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return self.features(self.fc(self.bn2(maps).flatten(1)))


class Recognition:
    """A frozen ArcFace that looks at pictures of faces. It is no module, so that it is no part of a model that has it:
    neither of its weights nor of its copies, which share it."""

    def __init__(self, network: ArcFace):
        self.network = network.eval().requires_grad_(False)
        self.targets = torch.from_numpy(ARCFACE * (2 / SIZE) - 1).float()

    @classmethod
    def read(cls, path: Path) -> "Recognition":
        """With the weights of a file with a state dict. Raises FileNotFoundError or InputError where it is missing or
        another network's."""
        network = ArcFace()
        load_weights(network, path)
        return cls(network)

    def __deepcopy__(self, memo: dict) -> "Recognition":
        return self

    def features(self, pictures: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """(B, 512) of the faces in pictures (B, 3, S, S), RGB from 0 to 1, with 68 points (B, 68, 2) from -1 to 1
        across them, through which there is no gradient."""
        self.network.to(pictures.device)
        five = points.detach()[:, torch.from_numpy(FIVE_OF_68).to(points.device)].mean(dim=2)
        moves = similarities(five, self.targets.to(five))
        return self.network(2 * move_pictures(moves, pictures, SIZE) - 1)
