"""Where the time goes, on a clock that the test turns."""

import itertools

import pytest
import torch

from util.distributed import ALONE
from util.profiling import PHASES, WARM_UP, advise, describe_profile, profile_steps

OPTIONS = {"num_workers": 2, "data": "files", "channels_last": True, "compile": False}


class Clock:
    """Seconds that pass only where the test lets them."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("util.profiling.time.perf_counter", lambda: self.now)


class State:
    """Stands in for util.training.TrainingState: forward takes two seconds, backward four, the optimizer one."""

    def __init__(self, clock):
        self.clock, self.device, self.model, self.team = clock, torch.device("cpu"), torch.nn.Identity(), ALONE
        self.steps = 0

    def train_step(self, batch, mark):
        self.steps += 1
        for phase, seconds in (("forward", 2), ("backward", 4), ("optimizer", 1)):
            # what happens only at first shall not count
            self.clock.now += seconds * (100 if self.steps <= WARM_UP else 1)
            mark(phase)


def test_phases_are_told_apart_and_the_first_steps_are_left_out(monkeypatch):
    clock = Clock(monkeypatch)
    state = State(clock)

    def batches():
        for _ in itertools.count():
            clock.now += 3
            yield {"index": torch.arange(2)}

    seconds = profile_steps(state, batches(), steps=10)
    assert seconds == {"waiting for data": 3, "copy": 0, "forward": 2, "backward": 4, "optimizer": 1}
    assert state.steps == WARM_UP + 10
    text = describe_profile(seconds, 10, batch_size=20)
    assert text.startswith("10 steps of 20 images, 2.0 images/s\n")
    assert "backward   4000.00 ms   40.0%" in text


@pytest.mark.parametrize(
    ("seconds", "precision", "advice"),
    [
        ((3, 0, 2, 4, 1), "bf16", ["more --num_workers", "--data packed"]),
        ((0, 2, 2, 4, 1), "bf16", ["--img_size"]),
        ((0, 0, 1, 1, 1), "bf16", ["--batch_size"]),
        ((0, 0, 2, 4, 1), "fp32", ["--precision auto"]),
        ((0, 0, 2, 4, 1), "bf16", ["nothing is wasted"]),
    ],
)
def test_advice_goes_where_the_time_does(seconds, precision, advice):
    told = advise(dict(zip(PHASES, seconds, strict=True)), OPTIONS, precision, torch.device("cpu"))
    assert len(told) == len(advice)
    assert all(part in line for part, line in zip(advice, told, strict=True))


def test_packed_images_are_not_advised_to_who_has_them():
    told = advise(dict.fromkeys(PHASES, 1.0), OPTIONS | {"data": "packed"}, "bf16", torch.device("cpu"))
    assert not any("--pack" in line for line in told)
