"""The state of a training run: everything that must survive a stop, and how it moves by one step."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from util.device import bfloat16_is_faster
from util.schedule import rate_factor


def running_average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """An averaging rule for AveragedModel: exponential with `decay`, but over the last tenth of a run that is shorter
    than that, so that the weights that training started with do not linger."""

    def average(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        if not averaged.is_floating_point():
            return current  # batch counters
        return torch.lerp(averaged, current, 1.0 - min(decay, float(1 + count) / float(10 + count)))

    return average


class TrainingState:
    """Model, optimizer, schedule and averaged weights, with the place in the run: `epoch` and `step` within it.

    options: plain training options (options/train_options.py).
    """

    def __init__(self, model: torch.nn.Module, options: Mapping[str, Any], steps_per_epoch: int, device: torch.device):
        self.model, self.device = model.to(device), device
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=options["lr"],
            betas=(options["beta1"], options["beta2"]),
            weight_decay=options["weight_decay"],
            fused=True,
        )
        factor = rate_factor(
            options["lr_policy"],
            options["epochs"],
            options["epochs_decay"],
            options["warmup_steps"],
            steps_per_epoch,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        self.averaged = None
        if options["averaging"] > 0:
            self.averaged = AveragedModel(model, avg_fn=running_average(options["averaging"]), use_buffers=True)
        precision = options["precision"]
        self.bfloat16 = bfloat16_is_faster(device) if precision == "auto" else precision == "bfloat16"
        self.epoch, self.step, self.best_score = 0, 0, float("inf")

    @property
    def evaluated(self) -> torch.nn.Module:
        """The model that is scored and submitted: the averaged one where there is one."""
        return self.model if self.averaged is None else self.averaged.module

    def train_step(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One step on a batch on the device. Returns the losses, the sum as "total".

        Raises FloatingPointError where the loss is NaN or infinite; weights are as before then.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            outputs = self.model(batch)
        losses = self.model.losses(outputs, batch)
        total = sum(losses.values())
        values = {"total": total.item(), **{name: loss.item() for name, loss in losses.items()}}
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss is {values}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        self.step += 1
        return values

    def state(self) -> dict[str, Any]:
        """Everything as plain types, for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best_score": self.best_score,
            "bfloat16": self.bfloat16,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.step, self.best_score = state["epoch"], state["step"], state["best_score"]
        self.bfloat16 = state["bfloat16"]
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and len(state["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random_cuda"])
