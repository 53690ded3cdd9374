"""From a checkpoint back to a model."""

from collections.abc import Mapping
from typing import Any

import torch

from models import get_model_class
from models.base_model import BaseModel
from util.checkpoint import unpack_arrays
from util.mesh import Topology
from util.statistics import LabelStatistics


def load_model(checkpoint: Mapping[str, Any]) -> BaseModel:
    """The trained model, with its averaged weights where the run kept them. See util.checkpoint.load_checkpoint."""
    model = untrained_model(checkpoint)
    averaged = checkpoint["averaged"]
    if averaged is None:
        model.load_state_dict(checkpoint["model"])
    else:
        weights = {name.removeprefix("module."): value for name, value in averaged.items() if name != "n_averaged"}
        model.load_state_dict(weights)
    return model


def untrained_model(checkpoint: Mapping[str, Any]) -> BaseModel:
    """The same model as its run found it before the first step: drawn with the run's seed."""
    options = checkpoint["options"]
    topology = unpack_arrays(Topology, checkpoint["topology"])
    statistics = unpack_arrays(LabelStatistics, checkpoint["statistics"])
    torch.manual_seed(options["seed"])
    return get_model_class(options["model"]).build(options, topology, statistics)
