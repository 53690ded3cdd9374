import copy
import math
import os
import signal

import pytest
import torch

from util.device import choose_device, fastest_precision, out_of_memory
from util.distributed import Team
from util.interrupt import StopRequest
from util.schedule import rate_factor
from util.training import MOST_SKIPPED, TrainingState, averaging_weight, split_batch


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


def test_polynomial_is_quadratic():
    factor = rate_factor("polynomial", epochs=4, epochs_decay=0, warmup_steps=2, steps_per_epoch=25)
    assert [factor(0), factor(50), factor(90), factor(100)] == pytest.approx([0.5, 0.25, 0.01, 0])


def test_stairs_after_epochs():
    stairs = {"milestones": [15, 25, 30], "step_factor": 0.2}
    factor = rate_factor("step", 40, epochs_decay=0, warmup_steps=0, steps_per_epoch=3, **stairs)
    # the first step of the sixteenth epoch is the first of the lower rate
    by_step = [factor(step) for step in (0, 44, 45, 74, 75, 89, 90, 119)]
    assert by_step == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008])


def test_unknown_policy_is_told():
    with pytest.raises(ValueError, match="'stair'"):
        rate_factor("stair", 1, 1, 1, 1)


def test_averaging_weight_by_hand():
    # early: (1 + 1) / (10 + 1) of the old; late: 0.9 of it
    assert averaging_weight(0.9, 1) == pytest.approx(9 / 11)
    assert averaging_weight(0.9, 10_000) == pytest.approx(0.1)


def test_no_gpu_is_told_in_one_line():
    device, line = choose_device([])
    assert device.type == "cpu"
    assert "CPU" in line
    if not torch.cuda.is_available():
        device, line = choose_device([0])
        assert device.type == "cpu"
        assert "no GPU found" in line


@pytest.mark.parametrize(("float32_seconds", "fastest"), [(2.0, "bf16"), (0.5, "fp32")])
def test_precision_trial_decides(monkeypatch, float32_seconds, fastest):
    clock = [0.0]

    def convolve(image, weight, padding):
        clock[0] += 1.0 if image.dtype == torch.bfloat16 else float32_seconds

    monkeypatch.setattr("util.device.functional.conv2d", convolve)
    monkeypatch.setattr("util.device.time.perf_counter", lambda: clock[0])
    assert fastest_precision(torch.device("cpu")) == fastest


def test_signals_ask_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            stop.handle(signal.SIGINT, None)
    assert signal.getsignal(signal.SIGTERM) == before


class Line(torch.nn.Module):
    """y = weight x + bias with a squared loss; `steps` counts calls, as batch norm's counter does."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        torch.nn.init.ones_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, batch):
        self.steps += 1
        return {"y": self.layer(batch["x"])[:, 0]}

    def losses(self, outputs, batch):
        return {"square": ((outputs["y"].float() - batch["y"]) ** 2).mean()}


OPTIONS = {
    "lr": 0.1,
    "optimizer": "adam",
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.0,
    "nesterov": False,
    "lr_policy": "constant",
    "lr_milestones": [],
    "lr_factor": 0.2,
    "epochs": 2,
    "epochs_decay": 0,
    "warmup_steps": 0,
    "averaging": 0.0,
    "precision": "fp32",
    "channels_last": True,
    "compile": False,
    "accumulation": 1,
    "clip_gradients": 0.0,
    "seed": 0,
}


def line_state(**options):
    return TrainingState(Line(), OPTIONS | options, steps_per_epoch=4, device=torch.device("cpu"))


def line_batch(size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(size, 3, generator=generator), "y": torch.randn(size, generator=generator)}


def test_batches_are_split_whole_and_in_order():
    batch = {"index": torch.arange(7)}
    assert [part["index"].tolist() for part in split_batch(batch, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [part["index"].tolist() for part in split_batch(batch, 1)] == [list(range(7))]
    assert len(list(split_batch(batch, 100))) == 7
    sets = {**batch, "set": torch.tensor([0, 0, 0, 1, 2, 2, 2])}
    assert [part["index"].tolist() for part in split_batch(sets, 2)] == [[0, 1, 2, 3], [4, 5, 6]]
    assert [part["index"].tolist() for part in split_batch(sets, 3)] == [[0, 1, 2], [3], [4, 5, 6]]
    assert [part["index"].tolist() for part in split_batch(sets, 100)] == [[0, 1, 2], [3], [4, 5, 6]]


@pytest.mark.parametrize("parts", [2, 3, 4, 6])  # 4 parts of 6 images are of two, two and two
def test_accumulated_parts_make_the_step_of_the_whole_batch(parts):
    whole, accumulated = line_state(), line_state(accumulation=parts)
    for seed in range(3):
        batch = line_batch(7, seed)  # 7: the last part is smaller
        losses = whole.train_step(batch), accumulated.train_step(batch)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # float32 sums in another order
        assert whole.gradient_norm == pytest.approx(accumulated.gradient_norm, rel=1e-5)
    # Adam divides by the gradient's size, in which rounding counts for more
    torch.testing.assert_close(whole.model.layer.weight, accumulated.model.layer.weight, rtol=1e-4, atol=1e-5)


def test_the_first_step_is_adams_by_hand():
    state, batch = line_state(), line_batch()
    y = batch["x"].sum(1)
    gradient = (2 * (y - batch["y"])[:, None] * batch["x"]).mean(0)
    bias = (2 * (y - batch["y"])).mean()
    losses = state.train_step(batch)
    assert losses["total"] == losses["square"] == pytest.approx(((y - batch["y"]) ** 2).mean().item())
    assert state.gradient_norm == pytest.approx(torch.cat([gradient, bias[None]]).norm().item(), rel=1e-5)
    # bias-corrected first step: rate times the gradient's sign
    torch.testing.assert_close(state.model.layer.weight[0].detach(), 1 - 0.1 * gradient.sign(), atol=1e-5, rtol=0)
    assert (state.steps_done, state.epochs_done) == (1, 0)


def test_clipping_shortens_long_gradients_only():
    batch, kept = line_batch(), []
    free = line_state()
    free.train_step(batch)
    for limit in (free.gradient_norm / 3, free.gradient_norm * 3):
        state = line_state(clip_gradients=limit)
        state.train_step(batch)
        assert state.gradient_norm == pytest.approx(free.gradient_norm)  # as it was before
        kept.append(torch.cat([weight.grad.flatten() for weight in state.model.parameters()]).norm().item())
    assert kept == pytest.approx([free.gradient_norm / 3, free.gradient_norm], rel=1e-4)  # clipping adds 1e-6


def test_running_average_by_hand():
    state = line_state(averaging=0.5)
    wanted = None
    for count in range(4):
        state.train_step(line_batch(seed=count))
        current = state.model.layer.weight.detach().clone()
        old = min(0.5, (1 + count) / (10 + count))
        wanted = current if wanted is None else old * wanted + (1 - old) * current
        torch.testing.assert_close(state.evaluated.layer.weight.detach(), wanted)
    assert state.evaluated.steps == 4
    assert state.evaluated is not state.model


def test_a_gradient_that_is_not_finite_changes_no_weight():
    state, batch = line_state(), line_batch()
    state.train_step(batch)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    # the loss is finite, what it asks of the first weight is not
    state.model.layer.weight.register_hook(lambda gradient: gradient * torch.tensor([[math.inf, 1, 1]]))
    with pytest.raises(FloatingPointError, match="gradient's norm inf"):
        state.train_step(batch)
    with pytest.raises(FloatingPointError, match=r"the loss is \{'total': nan"):
        state.train_step(batch | {"y": torch.full((6,), math.nan)})
    for name in ("layer.weight", "layer.bias"):
        assert torch.equal(state.model.state_dict()[name], before[name])
    assert state.steps_done == 1


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 2**-7), ("fp16", 2**-10)])
def test_sixteen_bits_come_near_to_the_whole_step(precision, tolerance):
    whole, half, batch = line_state(), line_state(precision=precision), line_batch()
    losses = whole.train_step(batch)["total"], half.train_step(batch)["total"]
    assert losses[1] == pytest.approx(losses[0], rel=4 * tolerance)  # a few roundings
    assert half.model.layer.weight.dtype == torch.float32
    assert half.scaler.is_enabled() == (precision == "fp16")


def test_an_overflow_in_half_precision_leaves_the_step_out_and_goes_on():
    state, batch = line_state(precision="fp16"), line_batch()
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    weight = state.model.layer.weight.detach().clone()
    state.train_step(batch)  # float16 ends at 65504
    assert torch.equal(state.model.layer.weight, weight)
    assert state.scaler.get_scale() == 2.0**23
    for _ in range(12):
        state.train_step(batch)
    assert not torch.equal(state.model.layer.weight, weight)


def test_overflows_that_do_not_end_are_no_overflows():
    state, batch = line_state(precision="fp16"), line_batch()
    state.model.layer.weight.register_hook(lambda gradient: gradient * math.nan)
    for _ in range(MOST_SKIPPED - 1):
        state.train_step(batch)
    with pytest.raises(FloatingPointError, match="gradient's norm nan"):
        state.train_step(batch)


@pytest.mark.parametrize(("before", "here"), [("fp32", "fp16"), ("fp16", "bf16"), ("bf16", "fp32")])
def test_a_run_goes_on_in_its_precision_where_another_would_be_chosen(monkeypatch, before, here):
    first = line_state(precision=before)
    first.train_step(line_batch())
    monkeypatch.setattr("util.training.fastest_precision", lambda device: here)
    resumed = line_state(precision="auto")
    assert resumed.precision == here
    resumed.restore(copy.deepcopy(first.state()))
    assert (resumed.precision, resumed.scaler.is_enabled()) == (before, before == "fp16")
    assert resumed.scaler.state_dict() == first.scaler.state_dict()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_restored_state_goes_on_as_the_other(precision):
    options = {"averaging": 0.9, "precision": precision, "lr_policy": "cosine", "warmup_steps": 2}
    through = line_state(**options)
    for seed in range(3):
        through.train_step(line_batch(seed=seed))
    resumed = line_state(**options)
    resumed.restore(copy.deepcopy(through.state()))  # as a file keeps it
    assert (resumed.epoch, resumed.step, resumed.rate) == (through.epoch, through.step, through.rate)
    for state in (through, resumed):
        for seed in range(3, 6):
            state.train_step(line_batch(seed=seed))
    for name, tensor in through.averaged.state_dict().items():
        assert torch.equal(tensor, resumed.averaged.state_dict()[name])
    for name, tensor in through.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])


class DrawingLine(Line):
    """Keeps what it drew."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def forward(self, batch):
        self.drawn.append(torch.rand(1).item())
        return super().forward(batch)


def drawn(rank, stop):
    """What a rank draws in four steps, the last of which are another process's, that knows of the first by rank 0's
    checkpoint."""
    first, second = (TrainingState(DrawingLine(), OPTIONS, 4, torch.device("cpu"), Team(rank=rank)) for _ in range(2))
    for _ in range(stop):
        first.train_step(line_batch())
    torch.manual_seed(7)
    second.restore(copy.deepcopy(first.state()))
    for _ in range(stop, 4):
        second.train_step(line_batch())
    return first.model.drawn + second.model.drawn


def test_what_networks_draw_is_each_rank_s_own_and_the_same_after_a_stop():
    ranks = [drawn(rank, stop=4) for rank in range(2)]
    assert len({*ranks[0], *ranks[1]}) == 8
    for rank, whole in enumerate(ranks):
        assert drawn(rank, stop=3) == whole


def test_a_compiled_network_makes_the_same_steps_under_the_same_names():
    plain, compiled = line_state(averaging=0.9), line_state(averaging=0.9, compile=True)
    for seed in range(3):
        plain.train_step(line_batch(seed=seed))
        compiled.train_step(line_batch(seed=seed))
    for name, tensor in plain.averaged.state_dict().items():
        torch.testing.assert_close(compiled.averaged.state_dict()[name], tensor)
    assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()


def test_phases_are_marked_in_their_order():
    marks = []
    line_state(accumulation=2).train_step(line_batch(), marks.append)
    assert marks == ["forward", "backward", "forward", "backward", "optimizer"]


def test_lack_of_memory_is_told_from_other_errors():
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("size mismatch"))


def test_work_that_may_be_given_up_ends_where_it_is():
    done = []
    with StopRequest() as stop:
        with stop.at_once():
            done.append(1)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append(2)
        assert (stop.asked, done) == (True, [1])
        os.kill(os.getpid(), signal.SIGTERM)  # outside of it a second one changes nothing


@pytest.mark.parametrize("nesterov", [False, True])
def test_gradient_descent_by_hand(nesterov):
    """Two steps on y = weight x: momentum 0.9, and weight decay as a part of the gradient; Nesterov's steps are by the
    gradient and 0.9 of the new momentum."""
    options = {**OPTIONS, "optimizer": "sgd", "weight_decay": 0.5, "nesterov": nesterov}
    state = TrainingState(Line(), options, 2, torch.device("cpu"))
    batch = {"x": torch.tensor([[1.0, 0, 0]]), "y": torch.tensor([0.0])}
    weight, velocity, bias, bias_velocity = 1.0, 0.0, 0.0, 0.0
    for _ in range(2):
        state.train_step(batch)
        gradients = [2 * (weight + bias) + 0.5 * value for value in (weight, bias)]
        velocity, bias_velocity = 0.9 * velocity + gradients[0], 0.9 * bias_velocity + gradients[1]
        steps = velocity, bias_velocity
        if nesterov:
            steps = gradients[0] + 0.9 * velocity, gradients[1] + 0.9 * bias_velocity
        weight, bias = weight - 0.1 * steps[0], bias - 0.1 * steps[1]
    assert state.model.layer.weight[0, 0].item() == pytest.approx(weight, rel=1e-6)  # float32
    assert state.model.layer.bias.item() == pytest.approx(bias, rel=1e-6)
