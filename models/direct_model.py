"""The simplest solution: one ResNet regresses vertices and 6DoF from the whole image."""

from functools import partial

from models.base_model import Batch, Outputs
from models.regression import RegressionModel


class DirectModel(RegressionModel):
    """One ResNet on the whole image; both output layers read the same features."""

    windows = ("whole",)

    def forward(self, batch: Batch) -> Outputs:
        maps, features = self.encode(batch, "whole")
        return self.outputs(batch, maps, partial(self.shape, features), features)
