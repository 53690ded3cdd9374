"""The published WCPA Track 2 baseline: vertices from the face crop, 6DoF from the image blackened around the face."""

from models.base_model import Batch, Outputs
from models.regression import RegressionModel


class DualResNetModel(RegressionModel):
    """Shape is seen best close by, pose needs to know where in the picture the face is: one ResNet for each."""

    windows = ("local", "global")

    def forward(self, batch: Batch) -> Outputs:
        return self.outputs(batch, self.features(batch, "local"), self.features(batch, "global"))
