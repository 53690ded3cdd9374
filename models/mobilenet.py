"""MobileNetV1 as 3DDFA trains it, and its published checkpoints (Guo et al., ECCV 2020; Howard et al., 2017)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from util.errors import InputError

# 3DDFA's names of the blocks, their outputs at width 1, and their strides.
BLOCKS = (
    *(("dw2_1", 64, 1), ("dw2_2", 128, 2), ("dw3_1", 128, 1), ("dw3_2", 256, 2), ("dw4_1", 256, 1), ("dw4_2", 512, 2)),
    *((f"dw5_{number}", 512, 1) for number in range(1, 6)),
    *(("dw5_6", 1024, 2), ("dw6", 1024, 1)),
)
STEM_CHANNELS, LANDMARK_NUMBERS = 32, 136


class DepthwiseBlock(nn.Module):
    """A convolution of each channel by itself, then one that mixes them."""

    def __init__(self, channels: int, outputs: int, stride: int):
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
        self.bn_dw = nn.BatchNorm2d(channels)
        self.conv_sep = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.bn_dw(self.conv_dw(maps)))
        return functional.relu(self.bn_sep(self.conv_sep(maps)))


class MobileNet(nn.Module):
    """(B, 3, S, S) images of levels (BGR - 127.5) / 128 to (B, outputs) numbers; its parts have 3DDFA's names.

    width: share of the channels; landmark_head: whether it has a second output layer, for 68 points, which 3DDFA
    trains and then does without
    """

    def __init__(self, width: float = 1.0, outputs: int = 62, landmark_head: bool = False):
        super().__init__()
        channels = int(STEM_CHANNELS * width)
        self.conv1 = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, full, stride in BLOCKS:
            setattr(self, name, DepthwiseBlock(channels, int(full * width), stride))
            channels = int(full * width)
        self.fc = nn.Linear(channels, outputs)
        self.fc_lm = nn.Linear(channels, LANDMARK_NUMBERS) if landmark_head else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def output_layers(self) -> list[nn.Linear]:
        """The last one, which gives the numbers."""
        return [self.fc]

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """(B, channels) means of the last maps."""
        maps = functional.relu(self.bn1(self.conv1(image)))
        for name, _, _ in BLOCKS:
            maps = getattr(self, name)(maps)
        return maps.mean(dim=(2, 3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(image))


def load_mobilenet(path: Path, landmark_head: bool = False) -> MobileNet:
    """The network of a checkpoint of 3DDFA or 3DDFA_V2 (a .pth or .pth.tar file), in evaluation mode.

    landmark_head: keep the output layer for landmarks, which only checkpoints of 3DDFA_V2 have
    Raises FileNotFoundError, or InputError where it is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        weights = {renamed(name): tensor for name, tensor in weights.items()}
        if not landmark_head:
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith("fc_lm.")}
        network = MobileNet(*shape_of(weights), landmark_head)
        network.load_state_dict(weights)
    except Exception as error:  # whatever torch.load finds wrong with a file has a class of its own
        told = " ".join(str(error).split())
        raise InputError(f"checkpoint {path}: wanted a MobileNet of 3DDFA, got another file ({told})") from None
    return network.eval()


def renamed(name: str) -> str:
    """A weight's name as it is here: theirs are of a network within another, and V2 calls the output layer fc_param."""
    return name.removeprefix("module.").replace("fc_param.", "fc.")


def shape_of(weights: Mapping[str, torch.Tensor]) -> tuple[float, int]:
    """Width and number of outputs of a network with these weights."""
    return len(weights["conv1.weight"]) / STEM_CHANNELS, len(weights["fc.weight"])
