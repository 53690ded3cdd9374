"""From a checkpoint back to a model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import get_model_class
from models.base_model import BaseModel
from models.flip_test import FlipTest
from models.morphable import FaceBases, unpack_bases
from util.checkpoint import load_checkpoint, unpack_arrays
from util.errors import InputError
from util.mesh import Topology, check_same_topology
from util.statistics import LabelStatistics


@dataclass(frozen=True)
class TrainedRun:
    """What a checkpoint says of its run: its options as plain types, what its meshes share, its labels' statistics,
    the camera (projection (4, 4), image_size width and height), the digest of its split, the whole state, which of the
    five folds it has not seen, which older checkpoints do not say, and the bases of models that need them."""

    path: Path
    options: dict[str, Any]
    topology: Topology
    statistics: LabelStatistics
    projection: np.ndarray
    image_size: tuple[int, int]
    split_digest: str
    state: dict[str, Any]
    fold: int | None = None
    bases: FaceBases | None = None

    @property
    def name(self) -> str:
        return self.path.parent.name

    def without_weights(self) -> "TrainedRun":
        """The same, but for what is large: its state is only what step02 found out about it."""
        return replace(self, state={name: self.state[name] for name in ("epoch", "best_score")})

    def check_fits(self, root: Path, topology: Topology, projection: np.ndarray) -> None:
        """Raises InputError where a data root has other meshes, or another camera, than the run was trained with."""
        check_same_topology(self.topology, topology, (f"checkpoint {self.path}", f"data root {root}"))
        self.check_camera(root, projection)

    def check_camera(self, root: Path, projection: np.ndarray) -> None:
        """Raises InputError where a data root has another camera than the run was trained with."""
        # the matrices come from text with nine digits
        if not np.allclose(self.projection, projection, rtol=1e-6):
            raise InputError(
                f"data root {root}: wanted the camera of checkpoint {self.path}, projection diagonal "
                f"{np.diag(self.projection).tolist()}, got {np.diag(projection).tolist()}"
            )

    def untrained_model(self) -> BaseModel:
        """The model as its run found it before the first step: drawn with the run's seed."""
        torch.manual_seed(self.options["seed"])
        world = self.topology, self.statistics, self.projection, self.image_size
        model_class = get_model_class(self.options["model"])
        return model_class.build(self.options, *world, *([self.bases] if model_class.needs_bases else []))

    def model(self) -> BaseModel:
        """The trained model, with its averaged weights where the run kept them."""
        model = self.untrained_model()
        try:
            model.load_state_dict(self.state["averaged"] or self.state["model"])
        except RuntimeError as error:
            raise InputError(f"checkpoint {self.path}: wanted the weights of this model ({one_line(error)})") from None
        return model

    def flipped(self, model: BaseModel) -> FlipTest:
        """A model of the run that looks at mirror images, too."""
        return FlipTest(model, self.topology, self.image_size[0])


def read_run(path: Path) -> TrainedRun:
    """Reads a checkpoint that step02 wrote. Raises FileNotFoundError or InputError as load_checkpoint does."""
    state = load_checkpoint(path)
    try:
        return TrainedRun(
            path,
            state["options"],
            unpack_arrays(Topology, state["topology"]),
            unpack_arrays(LabelStatistics, state["statistics"]),
            state["projection"].numpy(),
            tuple(state["image_size"]),
            state["split_digest"],
            state,
            state.get("fold"),
            unpack_bases(state["bases"]) if "bases" in state else None,
        )
    except (KeyError, InputError) as error:
        raise InputError(f"checkpoint {path}: of another version, or not whole ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())
