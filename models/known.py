"""Predictions that are there already, where a model stands: whatever scores and draws models takes them."""

import torch
from torch import nn

from models.base_model import Batch, Outputs
from util.predictions import Predictions


class KnownPredictions(nn.Module):
    """Looks predictions of a whole data set up by the batch's "index"; looks at no window and has no losses."""

    windows = ()

    def __init__(self, predictions: Predictions):
        super().__init__()
        # no buffers: a device has no need of them all
        self.verts, self.R_t = torch.from_numpy(predictions.verts), torch.from_numpy(predictions.R_t)

    def forward(self, batch: Batch) -> Outputs:
        return {}

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        return {}

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """As a model's."""
        index = batch["index"]
        return self.verts[index.cpu()].to(index.device), self.R_t[index.cpu()].to(index.device)
