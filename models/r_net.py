"""R-Net, the network of Deep3D: one ResNet, and small layers that read all of a face's coefficients from its features.

Parts have the names of Deep3DFaceRecon_pytorch's, so that its published weights fit (Deng et al., CVPRW 2019).
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.backbones import resnet


class RNet(nn.Module):
    """Pictures (B, 3, S, S), RGB from 0 to 1, to one tensor (B, size) for each of the sizes.

    Each comes from a 1x1 convolution of the pooled map that starts at zero: training starts from the mean face.
    """

    def __init__(self, backbone: str, sizes: Sequence[int]):
        super().__init__()
        self.backbone, features = resnet(backbone, "he", "average")
        self.final_layers = nn.ModuleList(
            nn.Conv2d(features, size, kernel_size=1) if size else NoNumbers() for size in sizes
        )
        for parameter in self.final_layers.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.backbone(pictures)[:, :, None, None]
        return tuple(layer(features).flatten(1).float() for layer in self.final_layers)


class NoNumbers(nn.Module):
    """(B, 0, 1, 1) of features (B, features, 1, 1), for what a face model has no numbers of."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features[:, :0]
