"""Learning rates over a run."""

import math
from collections.abc import Callable, Sequence

POLICIES = ("linear", "cosine", "polynomial", "step", "constant")


def rate_factor(
    policy: str,
    epochs: int,
    epochs_decay: int,
    warmup_steps: int,
    steps_per_epoch: int,
    milestones: Sequence[int] = (),
    step_factor: float = 0.2,
) -> Callable[[int], float]:
    """The factor on the initial rate as a function of the number of steps done.

    "linear" is the published baseline's: constant, then over the last `epochs_decay` epochs e = 1, 2, ... the factor
    1 - e / (epochs_decay + 1), constant within an epoch. "cosine" goes from 1 to 0 over the whole run, "polynomial" as
    (1 - share)^2, JMLR's. "step" is multiplied by `step_factor` after each of the epochs in `milestones`. Each is
    multiplied by (step + 1) / warmup_steps in the first `warmup_steps` steps.
    Raises ValueError for an unknown policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"learning rate policy: wanted {', '.join(POLICIES)}, got {policy!r}")
    total = max(1, epochs * steps_per_epoch)

    def factor(step: int) -> float:
        rising = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        if policy == "cosine":
            return rising * (1.0 + math.cos(math.pi * min(step / total, 1.0))) / 2.0
        if policy == "polynomial":
            return rising * (1.0 - min(step / total, 1.0)) ** 2
        if policy == "linear":
            decaying = max(0, step // max(1, steps_per_epoch) + 1 - (epochs - epochs_decay))
            return rising * max(0.0, 1.0 - decaying / (epochs_decay + 1))
        if policy == "step":
            return rising * step_factor ** sum(step >= epoch * steps_per_epoch for epoch in milestones)
        return rising

    return factor
