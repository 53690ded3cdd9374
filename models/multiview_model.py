"""One mesh from up to three pictures of a face, and a pose of each (CVPR 2021 PIC challenge, rank 3)."""

import argparse
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from models.backbones import PointLayers, draw_normal, resnet
from models.base_model import DECIMETRES, Batch, Outputs
from models.heads import HEADS
from models.regression import PUBLISHED as BASELINE
from models.regression import STANDARD as BASELINE_STANDARD
from models.regression import RegressionModel
from models.views import FUSIONS, Sets, sets_of
from util.errors import InputError
from util.landmarks import NUM_VIEWS
from util.statistics import LabelStatistics

# The published recipe as far as it is told, with a ResNet here for theirs; warm restarts of the rate are not there.
PUBLISHED = {
    **BASELINE,
    "dataset": "multiview",
    "img_size": 384,
    "batch_size": 48,
    "epochs": 192,
    "lr": 3e-4,
    "beta1": 0.9,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "precision": "auto",
    "backbone": "resnet50",
    "initialisation": "he",
    "fusion": "levels",
    "head": "linear",
    "head_dropout": 0.1,
    "view_dropout": 0.0,
}
# Ours: dual_resnet's, which sees one picture.
STANDARD = {
    **BASELINE_STANDARD,
    "dataset": "multiview",
    "batch_size": 30,
    "fusion": "levels",
    "head": "linear",
    "head_dropout": 0.1,
    "view_dropout": 0.2,
}


class MultiviewModel(RegressionModel):
    """The shape from the face crops of all images of a set, the pose from each one's image blackened around the face,
    as in dual_resnet, which this is but for the sets. Outputs are those of RegressionModel; "verts" are the same for
    all images of a set, but for `head` "average" in training, where each image is to give the shape by itself.

    Batches without "set" are of images that are seen alone.

    fusion: name in models.views.FUSIONS; head: name in models.heads.HEADS, or "average", which does without fusion;
    head_dropout: of the head's layers; view_dropout: the chance in training that a set is without one of its images.
    """

    windows = ("local", "global")
    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED}
    option_names = (*RegressionModel.option_names, "fusion", "head", "head_dropout", "view_dropout")
    exportable = False
    dataset = "multiview"

    def __init__(
        self,
        statistics: LabelStatistics,
        backbone: str = "resnet18",
        initialisation: str = "he",
        pooling: str = "grid",
        start: str = "mean",
        fusion: str = "levels",
        head: str = "linear",
        head_dropout: float = 0.1,
        view_dropout: float = 0.2,
        **options: Any,
    ):
        for name, value, known in (("fusion", fusion, FUSIONS), ("head", head, ("average", *HEADS))):
            if value not in known:
                raise InputError(f"--{name}: unknown {value!r}; known are {', '.join(sorted(known))}")
        super().__init__(statistics, backbone, initialisation, pooling, start, **options)
        self.view_dropout, self.fuses = view_dropout, head != "average"
        if not self.fuses:
            return
        others = [resnet(backbone, initialisation, pooling) for _ in range(NUM_VIEWS - 1)]
        trunks = FUSIONS[fusion]([self.branches["local_window"], *(network for network, _ in others)])
        if initialisation == "normal":
            trunks.apply(draw_normal)
        self.branches["local_window"] = trunks
        # A set's maps become as many features as an image's; what the 68 points say is there of each view.
        _, features = others[0]
        inputs = features + NUM_VIEWS * (self.verts_layer.in_features - features)
        values = None if self.components else self.verts_mean * DECIMETRES
        make = partial(HEADS[head], inputs, self.verts_layer.out_features, start, values, head_dropout)
        self.verts_layer = make()
        if self.landmark_layers is not None:
            self.found_verts_layer = make()
            self.point_layers = PointLayers(trunks.map_channels, 68)

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        RegressionModel.add_options(group)
        group.add_argument(
            "--fusion",
            choices=sorted(FUSIONS),
            default="levels",
            help="levels: an encoder a view, fused on three levels of features; early: shallow layers of each view, "
            "merged into one encoder",
        )
        group.add_argument(
            "--head",
            choices=sorted(["average", *HEADS]),
            default="linear",
            help="linear: three fully connected layers; attention: the points as a sequence, for a recurrent network "
            "and self-attention; average: no fusion, the mean of the shapes that dual_resnet gives of each image",
        )
        group.add_argument("--head_dropout", type=dropout, default=0.1, metavar="P", help="of what the head computes")
        group.add_argument(
            "--view_dropout",
            type=dropout,
            default=0.2,
            metavar="P",
            help="chance in training that an image is kept from the shape of its set, so that sets may lack views",
        )

    def forward(self, batch: Batch) -> Outputs:
        sets = sets_of(batch, self.view_dropout if self.training else 0.0)
        _, six_features = self.encode(batch, "global")
        if self.fuses:
            maps, features = self.branches["local_window"](self.pixels(batch, "local"), sets)
            shape = partial(self.set_shape, features, sets)
        else:
            maps, features = self.encode(batch, "local")
            shape = partial(self.shape if self.training else partial(self.mean_shape, sets), features)
        return self.outputs(batch, maps, shape, six_features)

    def set_shape(
        self, features: torch.Tensor, sets: Sets, layer: nn.Module, points: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, N, 3) decimetres, of each image those of its set, which a layer gives of the set's features (S,
        features), and those of the 68 points of each of its views where they are read."""
        if points is not None:
            points = sets.by_view(points, points.new_zeros(NUM_VIEWS, 1)).flatten(1)
        return self.shape(features, layer, points).index_select(0, sets.number)

    def mean_shape(
        self, sets: Sets, features: torch.Tensor, layer: nn.Module, points: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, N, 3) decimetres, the mean over each image's set of what `shape` gives."""
        return sets.mean(self.shape(features, layer, points))

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        if "landmarks_known" in batch:
            # The points of a set are known where those of all of its images are.
            share = sets_of(batch, 0.0).mean(batch["landmarks_known"].float())
            batch = {**batch, "landmarks_known": share == 1}
        return super().reconstruct(outputs, batch)


def dropout(text: str) -> float:
    """An argparse type: a chance below 1."""
    chance = float(text)
    if not 0 <= chance < 1:
        raise argparse.ArgumentTypeError(f"wanted a number from 0 to below 1, got {text}")
    return chance
