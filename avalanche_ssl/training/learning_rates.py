"""Learning rates of the optimizer: set by the strategy's schedule, and not overruled by it without a word."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from avalanche_ssl.errors import UsageError


class LearningRates:
    """The rates that the groups of an optimizer had in the latest step.

    A rate that is set between two steps, by a scheduler of torch or by hand, would be overruled by the schedule in the
    next one, so that it is refused. What a plugin sets in `before_training_iteration` counts for the step, and a
    group's `initial_lr`, where the schedule starts from, may change at any time. Groups that
    `Optimizer.load_state_dict` has made are taken as they are.

    Args:
        optimizer: its groups get an `initial_lr` where they have none.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._latest: list[tuple[dict[str, Any], float]] = []
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.note(optimizer)

    def note(self, optimizer: Optimizer) -> None:
        """Take the rates as they are now for those of the step."""
        self._latest = [(group, float(group["lr"])) for group in optimizer.param_groups]

    def set(self, optimizer: Optimizer, factor: float) -> None:
        """Give each group its initial rate times a factor.

        Raises:
            UsageError: a rate was changed since `note`, and not back to the initial one.
        """
        for group, (known, rate) in zip(optimizer.param_groups, self._latest, strict=False):
            if group is known and float(group["lr"]) not in (rate, float(group["initial_lr"])):
                raise UsageError(
                    f"lr of the optimizer was set to {float(group['lr']):g}, which the strategy's schedule overrules: "
                    "give SelfSupervised(..., schedule=LRSchedule(...)) in the place of a scheduler, or set "
                    "group['initial_lr'], where the schedule starts from in each experience"
                )
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
