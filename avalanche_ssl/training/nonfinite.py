"""Losses, gradients and weights that are not finite: raise, or skip the step."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models import STATISTICS
from avalanche_ssl.training.attached import trained_modules

OnNan = Literal["raise", "skip"]

PATIENCE = 50
"""Consecutive skipped steps after which a run is stopped all the same."""


class DivergedError(UsageError):
    """The loss or the weights are not finite."""


class NonFiniteGuard:
    """Checks the loss and the gradient of every step of a strategy.

    Args:
        on_nan: "raise" raises at a loss that is not finite; on a GPU, where each look waits for the device, only every
            `EVERY` steps and before a checkpoint is written. "skip" skips such steps, and those whose gradient is not
            finite: weights, optimizer, memory and batch-norm statistics stay as they were.
        device: device of the strategy.
    """

    EVERY = 16
    """Steps between two looks at the loss on a GPU."""

    def __init__(self, on_nan: OnNan, device: torch.device) -> None:
        if on_nan not in get_args(OnNan):
            raise unknown_name("value for 'on_nan'", on_nan, get_args(OnNan))
        self.on_nan = on_nan
        self.skipped = 0
        """Steps skipped so far."""
        self.skipping = False
        """Whether the present step is skipped."""
        self._in_a_row = 0
        self._bad = torch.tensor(-1, device=device)  # first step whose loss was not finite
        self._statistics: list[tuple[Tensor, Tensor]] = []  # buffers, and their values before the step

    def begin(self, strategy: Any) -> None:
        """Prepare for a step, before its forward pass."""
        self.skipping = False
        if self.on_nan == "skip":
            self._statistics = [(b, b.clone()) for b in _statistics(strategy)]

    def admits_loss(self, strategy: Any) -> bool:
        """Whether the step may go on to its gradient.

        Raises:
            DivergedError: the loss is not finite, and `on_nan` is "raise".
        """
        finite = torch.isfinite(strategy.loss.detach()).all()
        if self.on_nan == "skip":
            if not finite:
                self._skip(strategy)
            return not self.skipping
        step = strategy.clock.train_iterations
        self._bad = torch.where((self._bad < 0) & ~finite, step + 1, self._bad)
        if strategy.loss.device.type == "cpu" or step % self.EVERY == 0:
            self._check_loss(strategy)
        return True

    def check_gradient(self, strategy: Any) -> None:
        """Skip the step if its gradient is not finite, and `on_nan` is "skip"."""
        if self.on_nan == "skip" and not self.skipping:
            gradients = [p.grad for p in _parameters(strategy) if p.grad is not None]
            if _all_finite(gradients):
                self._in_a_row = 0
            else:
                self._skip(strategy)

    def check(self, strategy: Any) -> None:
        """Refuse a state that is not finite.

        Raises:
            DivergedError: a loss was not finite, or a weight is not.
        """
        self._check_loss(strategy)
        weights = _parameters(strategy)
        if not _all_finite(weights):
            bad = sum(not _all_finite([w]) for w in weights)
            step = strategy.clock.train_iterations
            raise DivergedError(
                f"after step {step} {bad} of {len(weights)} weights are not finite: {_remedy(strategy)}"
            )

    def check_skipped(self, strategy: Any) -> None:
        """Refuse to end a training all of whose steps were skipped.

        Raises:
            DivergedError: there were steps, and none was finite.
        """
        steps = strategy.clock.train_iterations
        if 0 < steps <= self.skipped:
            raise DivergedError(f"none of {steps} steps was finite, so nothing was trained: {_remedy(strategy)}")

    def _check_loss(self, strategy: Any) -> None:
        if self.on_nan == "raise" and int(self._bad) >= 0:
            raise DivergedError(f"the loss of step {int(self._bad)} is not finite: {_remedy(strategy)}")

    def _skip(self, strategy: Any) -> None:
        """Undo the step so far. Gradients become zeros rather than None, since Avalanche's SI reads them."""
        self.skipping = True
        self.skipped += 1
        self._in_a_row += 1
        for buffer, before in self._statistics:
            buffer.copy_(before)
        for parameter in _parameters(strategy):
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
        if self._in_a_row >= PATIENCE:
            step = strategy.clock.train_iterations + 1
            raise DivergedError(f"{PATIENCE} steps up to step {step} were not finite: {_remedy(strategy)}")


def _parameters(strategy: Any) -> list[nn.Parameter]:
    """The parameters of the method and of the plugins that are modules."""
    return [parameter for module in trained_modules(strategy) for parameter in module.parameters()]


def _statistics(strategy: Any) -> list[Tensor]:
    """Their batch-norm statistics."""
    named = [item for module in trained_modules(strategy) for item in module.named_buffers()]
    return [buffer for name, buffer in named if name.rpartition(".")[2] in STATISTICS]


def _remedy(strategy: Any) -> str:
    rate = strategy.optimizer.defaults.get("lr")
    return f"lower lr ({rate}), raise temperature, or clip the gradient with --set max_grad_norm=1"


def _all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether every value is finite, by one synchronization with the device."""
    norms = torch._foreach_norm([t.detach() for t in tensors]) if tensors else ()
    return bool(torch.stack(list(norms)).isfinite().all()) if norms else True
