"""Where the time of a training step goes."""

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from tqdm import tqdm

from util.loader import Batch
from util.training import TrainingState

# Steps that are not counted: memory is fetched, kernels are chosen and compiled in them.
WARM_UP = 5
PHASES = ("waiting for data", "copy", "forward", "backward", "optimizer")


class PhaseClock:
    """Adds up the seconds between marks, by the name of the mark that ends them; waits for the device at each."""

    def __init__(self, device: torch.device):
        self.device = device
        self.start()

    def start(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.last = time.perf_counter()

    def mark(self, phase: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[phase] += now - self.last
        self.last = now


def profile_steps(state: TrainingState, batches: Iterator[Batch], steps: int) -> dict[str, float]:
    """Trains on batches from the CPU's memory, of which there must be WARM_UP more than `steps`. Returns the mean
    seconds a step by phase."""
    state.model.train()
    clock = PhaseClock(state.device)
    wanted = islice(batches, WARM_UP + steps)
    bar = {"total": WARM_UP + steps, "desc": "profile", "unit": "step", "leave": False}
    for number, batch in enumerate(tqdm(wanted, **bar, **state.team.bar)):
        clock.mark("waiting for data")
        batch = {name: tensor.to(state.device) for name, tensor in batch.items()}
        clock.mark("copy")
        state.train_step(batch, clock.mark)
        if number == WARM_UP - 1:
            clock.start()
    return {phase: seconds / steps for phase, seconds in clock.seconds.items()}


def describe_profile(seconds: Mapping[str, float], count: int, batch_size: int) -> str:
    """A table of milliseconds and shares."""
    whole = sum(seconds.values())
    lines = [f"{count} steps of {batch_size} images, {batch_size / whole:.1f} images/s"]
    lines += [f"{phase:>20}{1000 * value:10.2f} ms{value / whole:8.1%}" for phase, value in seconds.items()]
    return "\n".join([*lines, f"{'a step':>20}{1000 * whole:10.2f} ms"])


def advise(seconds: Mapping[str, float], options: Mapping[str, Any], precision: str, device: torch.device) -> list[str]:
    """What to change, the most promising first. options: plain training options; precision: the one in use."""
    whole = sum(seconds.values())
    share = {phase: value / whole for phase, value in seconds.items()}
    advice = []
    if share["waiting for data"] > 0.1:
        advice.append(f"data comes too slowly: more --num_workers (now {options['num_workers']}), as far as cores go")
        if options["data"] != "packed":
            advice.append("data comes too slowly: step01_preparation.py --pack, then --data packed")
    if share["copy"] > 0.1:
        advice.append("copying to the device takes long: smaller windows (--img_size)")
    if share["optimizer"] > 0.2:
        advice.append("the optimizer's time is the same for every batch: a larger --batch_size")
    if precision == "fp32":
        advice.append("--precision auto computes in 16 bits where that is faster")
    if not options["channels_last"]:
        advice.append("--channels_last: most convolutions are faster so")
    if not options["compile"] and device.type == "cuda":
        advice.append("--compile: faster steps after minutes of compiling")
    if not advice:
        advice.append("nothing is wasted: a smaller --backbone or --img_size, or more devices")
    return advice
