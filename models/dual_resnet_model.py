"""The published WCPA Track 2 baseline: vertices from the face crop, 6DoF from the image blackened around the face."""

from functools import partial

from models.base_model import Batch, Outputs
from models.regression import RegressionModel


class DualResNetModel(RegressionModel):
    """Shape is seen best close by, pose needs to know where in the picture the face is: one ResNet for each."""

    windows = ("local", "global")

    def forward(self, batch: Batch) -> Outputs:
        maps, shape_features = self.encode(batch, "local")
        _, six_features = self.encode(batch, "global")
        return self.outputs(batch, maps, partial(self.shape, shape_features), six_features)
