"""R-Net, the network of Deep3D: one ResNet, and small layers that read all of a face's coefficients from its features.

Parts have the names of Deep3DFaceRecon_pytorch's, so that its published weights fit (Deng et al., CVPRW 2019).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.backbones import resnet


class ZeroLayer(nn.Module):
    """A 1x1 convolution of a pooled map, (B, features) to (B, size), that starts at zero. The size may be 0, of which
    torch's own layers warn.

    State dicts have the weight of a convolution, (size, features, 1, 1). Here it is a matrix, as the gradients of a
    convolution's weight that is flattened lie otherwise in memory than the weight, once that is channels_last.
    """

    def __init__(self, features: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size, features))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_state_dict_post_hook(as_convolution)
        self.register_load_state_dict_pre_hook(as_matrix)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.linear(features, self.weight, self.bias)


def as_convolution(layer: ZeroLayer, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Gives the layer's weight in a state dict, which shares its memory, a convolution's shape."""
    name = f"{prefix}weight"
    state[name] = state[name][:, :, None, None]


def as_matrix(layer: ZeroLayer, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """The inverse of `as_convolution`. Other shapes stay, and torch tells of them."""
    name = f"{prefix}weight"
    if name in state and state[name].shape[2:] == (1, 1):
        state[name] = state[name][:, :, 0, 0]


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
