"""A step script as one rank of a team, with something that happens to it: rank_script.py SCENE STEP ARGUMENTS... [and
STEP ARGUMENTS...]. SCENE is EVENT:RANK:STEP, in training, or nothing."""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from unittest import mock

import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from tests.small_networks import use_small_networks
from util.errors import run_step
from util.training import TrainingState


def frozen(layer: _BatchNorm, images: Tensor) -> Tensor:
    """Batch normalisation as in evaluation: the only part of a network that sees other images of its share."""
    return functional.batch_norm(images, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps)


def spoil(batch: dict[str, Tensor]) -> None:
    batch["verts"][0] = torch.nan


EVENTS: dict[str, Callable[[dict[str, Tensor]], None]] = {
    "stop": lambda batch: os.kill(os.getpid(), signal.SIGTERM),
    "kill": lambda batch: os.kill(os.getpid(), signal.SIGKILL),
    "spoil": spoil,
}


def with_event(scene: str) -> Callable:
    """TrainingState.train_step, before whose given step something happens to the given rank."""
    event, rank, step = scene.split(":")
    train_step = TrainingState.train_step

    def eventful(state: TrainingState, batch: dict[str, Tensor]) -> dict[str, float]:
        if (state.team.rank, state.steps_done) == (int(rank), int(step)):
            EVENTS[event](batch)
        return train_step(state, batch)

    return eventful


rendezvous, meetings = distributed.rendezvous, count()


def meet_anew(url: str, **options) -> Iterator:
    """torch.distributed.rendezvous for a process that joins several teams one after the other."""
    for store, *place in rendezvous(url, **options):
        yield distributed.PrefixStore(str(next(meetings)), store), *place


def main() -> None:
    scene, *words = sys.argv[1:]
    if scene:
        TrainingState.train_step = with_event(scene)
    while words:
        end = words.index("and") if "and" in words else len(words)
        step, *arguments = words[:end]
        with mock.patch.object(sys, "argv", [f"{step}.py", *arguments]):
            importlib.import_module(step).main()
        words = words[end + 1 :]


if __name__ == "__main__":
    # Patched for this process, which has no other purpose.
    _BatchNorm.forward = frozen
    distributed.rendezvous = meet_anew
    use_small_networks()
    run_step(main)
