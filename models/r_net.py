"""R-Net, the network of Deep3D: one ResNet, and small layers that read all of a face's coefficients from its features.

Parts have the names of Deep3DFaceRecon_pytorch's, so that its published weights fit (Deng et al., CVPRW 2019).
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from models.backbones import resnet


class ZeroLayer(nn.Module):
    """A 1x1 convolution of a pooled map, (B, features) to (B, size), that starts at zero. The size may be 0, of which
    torch's own layers warn."""

    def __init__(self, features: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size, features, 1, 1))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.linear(features, self.weight.flatten(1), self.bias)


class RNet(nn.Module):
    """Pictures (B, 3, S, S), RGB from 0 to 1, to one float32 tensor (B, size) for each of the sizes, which is zero
    before training: it starts from the mean face. pooling: see models.backbones.resnet; the published one averages."""

    def __init__(self, backbone: str, sizes: Iterable[int], pooling: str = "average"):
        super().__init__()
        self.backbone, features = resnet(backbone, "he", pooling)
        self.final_layers = nn.ModuleList(ZeroLayer(features, size) for size in sizes)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.backbone(pictures)
        return tuple(layer(features).float() for layer in self.final_layers)
