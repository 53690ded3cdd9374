import math
import os
import signal

import pytest
import torch

from util.device import bfloat16_is_faster, choose_device
from util.interrupt import StopRequest
from util.schedule import rate_factor
from util.training import running_average


def test_linear_is_the_published_schedule():
    factor = rate_factor("linear", epochs=10, epochs_decay=5, warmup_steps=0, steps_per_epoch=3)
    by_epoch = [factor(3 * epoch) for epoch in range(10)]
    # 1 - max(0, epoch + 1 - 5) / 6
    assert by_epoch == pytest.approx([1, 1, 1, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert factor(3 * 6 + 2) == factor(3 * 6)


def test_cosine_and_warmup():
    factor = rate_factor("cosine", epochs=4, epochs_decay=0, warmup_steps=0, steps_per_epoch=25)
    assert [factor(0), factor(50), factor(100)] == pytest.approx([1, 0.5, 0])
    assert factor(25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    warm = rate_factor("constant", epochs=4, epochs_decay=0, warmup_steps=4, steps_per_epoch=25)
    assert [warm(step) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]


def test_unknown_policy_is_told():
    with pytest.raises(ValueError, match="'stair'"):
        rate_factor("stair", 1, 1, 1, 1)


def test_running_average_by_hand():
    average = running_average(0.9)
    old, new = torch.tensor([1.0]), torch.tensor([2.0])
    # early: (1 + 1) / (10 + 1) of the old; late: 0.9 of it
    assert average(old, new, torch.tensor(1)).item() == pytest.approx(2 / 11 + 2 * 9 / 11)
    assert average(old, new, torch.tensor(10_000)).item() == pytest.approx(0.9 + 0.2)
    assert average(torch.tensor(3), torch.tensor(4), torch.tensor(1)).item() == 4


def test_no_gpu_is_told_in_one_line():
    device, line = choose_device([])
    assert device.type == "cpu"
    assert "CPU" in line
    if not torch.cuda.is_available():
        device, line = choose_device([0])
        assert device.type == "cpu"
        assert "no GPU found" in line


@pytest.mark.parametrize(("float32_seconds", "faster"), [(2.0, True), (0.5, False)])
def test_precision_trial_decides(monkeypatch, float32_seconds, faster):
    clock = [0.0]

    def convolve(image, weight, padding):
        clock[0] += 1.0 if image.dtype == torch.bfloat16 else float32_seconds

    monkeypatch.setattr("util.device.functional.conv2d", convolve)
    monkeypatch.setattr("util.device.time.perf_counter", lambda: clock[0])
    assert bfloat16_is_faster(torch.device("cpu")) is faster


def test_signals_ask_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            stop.handle(signal.SIGINT, None)
    assert signal.getsignal(signal.SIGTERM) == before
