"""The state of a training run: everything that must survive a stop, and how it moves by one step."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from util.device import fastest_precision
from util.distributed import ALONE, Team
from util.schedule import rate_factor

Batch = dict[str, torch.Tensor]

# So many overflows of half-precision gradients in a row are none: each halves the scale.
MOST_SKIPPED = 30
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def averaging_weight(decay: float, count: int) -> float:
    """The share of the current weights in an exponential average that has seen `count` others: 1 - decay, but the
    average goes over the last tenth of a run that is shorter than that, so that the weights that training started with
    do not linger."""
    return 1.0 - min(decay, (1 + count) / (10 + count))


def split_batch(batch: Batch, parts: int) -> Iterator[Batch]:
    """The batch in at most so many parts of the same size, the last one perhaps smaller; whole sets, where images come
    in sets, in parts of nearly the same size."""
    size = len(next(iter(batch.values())))
    starts = list(range(0, size, -(-size // parts)))
    if "set" in batch and len(starts) > 1:
        sets = batch["set"]
        starts = torch.searchsorted(sets, sets[starts]).unique().tolist()
    for start, end in pairwise([*starts, size]):
        yield {name: tensor[start:end] for name, tensor in batch.items()}


def make_optimizer(model: torch.nn.Module, options: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Adam, whose weight decay is decoupled, or stochastic gradient descent, whose is a part of the gradient and whose
    momentum is `beta1`, Nesterov's where `nesterov` is true; see options/train_options.py."""
    settings = {"lr": options["lr"], "weight_decay": options["weight_decay"], "fused": True}
    if options["optimizer"] == "sgd":
        settings |= {"momentum": options["beta1"], "nesterov": options["nesterov"]}
        return torch.optim.SGD(model.parameters(), **settings)
    return torch.optim.AdamW(model.parameters(), betas=(options["beta1"], options["beta2"]), **settings)


def no_mark(phase: str) -> None:
    """What train_step does at the end of a phase where nobody takes the time."""


class TrainingState:
    """Model, optimizer and averaged weights, with the place in the run: `epoch` and `step` within it.

    options: plain training options (options/train_options.py).
    team: each rank trains on its share of each batch, and all take the same step
    network: the model as it is called in training, compiled where the options say so
    """

    def __init__(
        self,
        model: torch.nn.Module,
        options: Mapping[str, Any],
        steps_per_epoch: int,
        device: torch.device,
        team: Team = ALONE,
    ):
        self.options, self.steps_per_epoch, self.device, self.team = options, steps_per_epoch, device, team
        layout = torch.channels_last if options["channels_last"] else torch.contiguous_format
        self.model = model.to(device).to(memory_format=layout)
        self.parallel = None
        if team.size > 1:
            if options["sync_batch_norm"]:
                SyncBatchNorm.convert_sync_batchnorm(self.model)
            self.parallel = DistributedDataParallel(self.model)
        network = self.model if self.parallel is None else self.parallel
        self.network = torch.compile(network) if options["compile"] else network
        self.optimizer = make_optimizer(model, options)
        self.rate_factor = rate_factor(
            options["lr_policy"],
            options["epochs"],
            options["epochs_decay"],
            options["warmup_steps"],
            steps_per_epoch,
            options["lr_milestones"],
            options["lr_factor"],
        )
        self.averaged = copy.deepcopy(self.model).requires_grad_(False) if options["averaging"] > 0 else None
        precision = options["precision"]
        # by trial, which may come out differently on each rank
        self.set_precision(team.from_first(fastest_precision(device)) if precision == "auto" else precision)
        self.epoch, self.step, self.best_score, self.best_epoch = 0, 0, float("inf"), 0
        self.gradient_norm, self.own_loss, self.skipped = 0.0, 0.0, 0

    @property
    def steps_done(self) -> int:
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def epochs_done(self) -> int:
        """Epochs whose last step is done, though perhaps not their validation."""
        return self.steps_done // self.steps_per_epoch

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.options["lr"] * self.rate_factor(self.steps_done)

    @property
    def evaluated(self) -> torch.nn.Module:
        """The model that is scored and submitted: the averaged one where there is one."""
        return self.model if self.averaged is None else self.averaged

    def set_precision(self, precision: str) -> None:
        self.precision = precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

    def average(self) -> None:
        """Moves the averaged weights and buffers towards the present ones."""
        weight = averaging_weight(self.options["averaging"], self.steps_done) if self.steps_done else 1.0
        pairs = zip(self.averaged.state_dict().values(), self.model.state_dict().values(), strict=True)
        floats, counters = [], []
        for pair in pairs:
            (floats if pair[0].is_floating_point() else counters).append(pair)
        torch._foreach_lerp_(*map(list, zip(*floats, strict=True)), weight)
        for averaged, present in counters:
            averaged.copy_(present)

    def train_step(self, batch: Batch, mark: Callable[[str], None] = no_mark) -> dict[str, float]:
        """One step on a batch, or this rank's share of one, on the device. Returns the losses of the whole batch, their
        sum as "total"; `own_loss` is that of the share, `gradient_norm` the whole's.

        mark: called at the end of each phase, "forward", "backward" and "optimizer", with its name
        Raises FloatingPointError where the loss, or the gradient, is NaN or infinite; weights are as before then.
        """
        size = len(next(iter(batch.values())))
        # What a network draws is another thing for each step and rank, whenever training was last started.
        draws = np.random.SeedSequence([self.options["seed"], self.steps_done, self.team.rank])
        torch.manual_seed(int(draws.generate_state(1)[0]))
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, torch.Tensor | float] = {}
        dtype = AUTOCAST[self.precision]
        parts = list(split_batch(batch, self.options["accumulation"]))
        for number, part in enumerate(parts, start=1):
            share = len(next(iter(part.values()))) / size
            # the ranks add up their gradients once a step
            waits = self.parallel is not None and number < len(parts)
            with self.parallel.no_sync() if waits else nullcontext():
                with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
                    outputs = self.network(part)
                losses = self.model.losses(outputs, part)
                total = sum(losses.values())
                mark("forward")
                self.scaler.scale(total * share).backward()
            for name, loss in {"total": total, **losses}.items():
                sums[name] = sums.get(name, 0.0) + loss.detach() * share
            mark("backward")

        self.scaler.unscale_(self.optimizer)
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        norm = get_total_norm(gradients)
        # All that is asked of the device in a step, in one question: it waits for the answer once.
        *values, self.gradient_norm = torch.stack([*sums.values(), norm]).tolist()
        self.own_loss = values[0]
        losses = self.team.mean(dict(zip(sums, values, strict=True)))
        # Scaled gradients overflow now and then; the scaler leaves such a step out and lowers its scale.
        self.skipped = 0 if math.isfinite(self.gradient_norm) else self.skipped + 1
        overflows = self.scaler.is_enabled() and self.skipped < MOST_SKIPPED
        if not math.isfinite(losses["total"] + (0.0 if overflows else self.gradient_norm)):
            raise FloatingPointError(f"the loss is {losses}, the gradient's norm {self.gradient_norm}")
        if self.options["clip_gradients"] > 0:
            clip_grads_with_norm_(self.model.parameters(), self.options["clip_gradients"], norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            self.average()
        self.step += 1
        mark("optimizer")
        return losses

    def state(self) -> dict[str, Any]:
        """Everything as plain types, for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "precision": self.precision,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.set_precision(state["precision"])  # on another device, auto may have chosen another one
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])
