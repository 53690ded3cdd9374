"""A ResNet of a hundredth of the numbers, for what the steps do with any network: most of a tiny training's time would
go into checkpoints of hundreds of megabytes."""

from typing import ClassVar

from models.backbones import RESNETS, JmlrResNet


class SmallResNet(JmlrResNet):
    """Four blocks; layers, their names and how weights are drawn are those of the other ResNets."""

    BLOCKS: ClassVar = (1, 1, 1, 1)
    WIDTHS: ClassVar = (64, 16, 16, 32)


# By the name of the ResNet that it stands in for, which is the default of most models.
SMALL = {"resnet18": SmallResNet}


def use_small_networks() -> None:
    """For a process that has no other purpose than a test."""
    RESNETS.update(SMALL)
