"""Image encoders from torchvision, and how their weights are drawn."""

import torchvision
from torch import nn

from util.errors import InputError

RESNETS = {
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


def draw_normal(module: nn.Module) -> None:
    """Redraws one layer as the published baseline does; for nn.Module.apply."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
