"""Sets of images of one face: who belongs together, and networks that see the images of a set at once."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from models.backbones import channels_of, stages
from util.landmarks import NUM_VIEWS, view_of


class Sets(NamedTuple):
    """Which images of a batch belong together.

    number: (B,) int64, of each image's set, 0..count - 1; view: (B,) int64, 0..NUM_VIEWS - 1; seen: (B,) bool, whether
    the others of the set shall know of the image, at least one of each set; count: of sets
    """

    number: torch.Tensor
    view: torch.Tensor
    seen: torch.Tensor
    count: int

    def by_view(self, values: torch.Tensor, absent: torch.Tensor) -> torch.Tensor:
        """(count, NUM_VIEWS, ...) the values (B, ...) of each set's images by view, the mean where several have the
        same one, and `absent` (NUM_VIEWS, ...) where none has it."""
        place = self.number * NUM_VIEWS + self.view
        size, around = self.count * NUM_VIEWS, [1] * (values.dim() - 1)
        weight = self.seen.to(values.dtype)
        counts = weight.new_zeros(size).index_add(0, place, weight).reshape(-1, *around)
        sums = values.new_zeros(size, *values.shape[1:]).index_add(0, place, values * weight.reshape(-1, *around))
        means = (sums / counts.clamp(min=1)).unflatten(0, (-1, NUM_VIEWS))
        return torch.where(counts.unflatten(0, (-1, NUM_VIEWS)) > 0, means, absent.to(values.dtype))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """(B, ...) the mean of the values (B, ...) over each image's set, whether they are seen or not."""
        ones = values.new_ones(len(values), *[1] * (values.dim() - 1))
        sums, counts = (
            each.new_zeros(self.count, *each.shape[1:]).index_add(0, self.number, each) for each in (values, ones)
        )
        return (sums / counts)[self.number]


def sets_of(batch: Mapping[str, torch.Tensor], dropped: float) -> Sets:
    """The sets of a batch (models/base_model.py), in which each image is a set of its own where it says nothing of
    them. dropped: the chance of an image that the others of its set do not see it; one of each set is always seen."""
    landmarks = batch["landmarks68"]
    if "set" not in batch:
        number = torch.arange(len(landmarks), device=landmarks.device)
        return Sets(number, view_of(landmarks), torch.ones_like(number, dtype=torch.bool), len(number))
    names, number = batch["set"].unique(return_inverse=True)
    if dropped == 0:
        return Sets(number, batch["view"], torch.ones_like(number, dtype=torch.bool), len(names))
    luck = torch.rand(len(number), device=number.device)
    best = luck.new_zeros(len(names)).scatter_reduce(0, number, luck, "amax")
    return Sets(number, batch["view"], (luck >= dropped) | (luck == best[number]), len(names))


def of_each_view(modules: Sequence[nn.Module], values: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """(B, ...) of each image what the module of its view makes of it. modules: NUM_VIEWS; values: (B, ...)."""
    places = [torch.nonzero(view == number).flatten() for number in range(NUM_VIEWS)]
    busy = [(module, place) for module, place in zip(modules, places, strict=True) if len(place)]
    results = torch.cat([module(values.index_select(0, place)) for module, place in busy])
    results = results.index_select(0, torch.cat(places).argsort())
    if len(busy) < NUM_VIEWS and torch.is_grad_enabled():
        # Gradients of nothing rather than none: processes that train together wait for those of all weights.
        idle = [module for module, place in zip(modules, places, strict=True) if not len(place)]
        results = results + 0.0 * sum(weight.sum() for module in idle for weight in module.parameters())
    return results


def merging(channels: int) -> nn.Sequential:
    """(S, NUM_VIEWS * channels, h, w) maps of all views, side by side, to (S, channels, h, w)."""
    convolution = nn.Conv2d(NUM_VIEWS * channels, channels, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class LevelFusion(nn.Module):
    """A whole network for each view; on three levels of features the maps of a set's views are merged, and what was
    merged before is added, brought to that level.

    networks: NUM_VIEWS of models.backbones.resnet; the first one's pooling is that of what is merged last
    Gives maps of each image (B, map_channels, h, w), and features of each set (S, features).
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        channels = channels_of(networks[0])
        self.trunks = nn.ModuleList(nn.ModuleList(level) for level in zip(*map(stages, networks), strict=True))
        self.absent = nn.ParameterList(torch.zeros(NUM_VIEWS, count) for count in channels)
        self.merging = nn.ModuleList(map(merging, channels))
        self.down = nn.ModuleList(nn.Conv2d(*pair, 3, stride=2, padding=1) for pair in pairwise(channels))
        self.pool, self.map_channels = networks[0].avgpool, channels[1]

    def forward(self, images: torch.Tensor, sets: Sets) -> tuple[torch.Tensor, torch.Tensor]:
        maps, merged = [], []
        for trunk, absent, merging in zip(self.trunks, self.absent, self.merging, strict=True):
            maps.append(of_each_view(trunk, maps[-1] if maps else images, sets.view))
            merged.append(merging(sets.by_view(maps[-1], absent[:, :, None, None]).flatten(1, 2)))
        fused = merged[0]
        for down, level in zip(self.down, merged[1:], strict=True):
            fused = level + down(fused)
        return maps[1], self.pool(fused).flatten(1)


class EarlyFusion(nn.Module):
    """Parallel shallow layers, those of each view, whose maps are merged early into one trunk.

    Arguments and results as LevelFusion's; what is left of the other networks beside their shallow layers is not used.
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.map_channels = channels_of(networks[0])[0]
        self.shallow = nn.ModuleList(stages(network)[0] for network in networks)
        self.absent = nn.Parameter(torch.zeros(NUM_VIEWS, self.map_channels))
        self.merging = merging(self.map_channels)
        self.trunk = nn.Sequential(*stages(networks[0])[1:], networks[0].avgpool)

    def forward(self, images: torch.Tensor, sets: Sets) -> tuple[torch.Tensor, torch.Tensor]:
        maps = of_each_view(self.shallow, images, sets.view)
        merged = self.merging(sets.by_view(maps, self.absent[:, :, None, None]).flatten(1, 2))
        return maps, self.trunk(merged).flatten(1)


FUSIONS: dict[str, type[LevelFusion | EarlyFusion]] = {"levels": LevelFusion, "early": EarlyFusion}
