"""What knowing nothing gets: the mean face at the mean pose, whatever the picture shows. A reference, not a method."""

import torch

from models.base_model import BaseModel, Batch, Outputs


class MeanFace(BaseModel):
    """Has no weights and no losses; reconstructs every image as the training labels' mean."""

    def forward(self, batch: Batch) -> Outputs:
        return {}

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        return {}

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        size = len(batch["index"])
        return self.verts_mean.expand(size, -1, -1), self.pose(self.six_mean.new_zeros(size, 6))
