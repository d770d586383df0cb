"""Time of a training step: the full step from raw images to updated memory, and the bare network's part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from speed.case import Case
from speed.timing import now
from torch.utils.flop_counter import FlopCounterMode

from avalanche_ssl.evaluation import views_per_image

PARTS = ("data", "views", "forward", "loss", "backward", "optimizer", "memory")


class FullStep:
    """The strategy as a user runs it, on images in memory; everything between two steps counts.

    What happens once per experience or epoch does not count: no clustering, no probes. The first step of each
    measurement is not counted either.
    """

    def __init__(self, case: Case, steps: int, settings: Mapping[str, Any] = {}, plugins: Sequence[Any] = ()) -> None:
        self.timer = StepTimer(case)
        self.strategy = case.build(settings, plugins=[self.timer, *plugins])
        self.strategy.train_epochs = 1
        self.experience = case.experience(case.batch * (steps + 1))
        self.steps = steps

    def __call__(self) -> float:
        """Seconds per step."""
        self.strategy.train(self.experience, eval_streams=[])
        return self.timer.seconds / self.steps

    def parts(self) -> dict[str, float]:
        """Seconds per step by part, each timed by itself; "rest" is what lies between them."""
        timer = _PartTimer(self.timer)
        model, strategy = self.strategy.model, self.strategy
        owners = {
            "views": (model, "views"),
            "forward": (model, "embed"),
            "loss": (model, "loss"),
            "backward": (strategy, "backward"),
            "optimizer": (strategy, "optimizer_step"),
            "memory": (model, "update"),
        }
        for part, (owner, name) in owners.items():
            object.__setattr__(owner, name, timer.around(part, getattr(owner, name)))
        total = self()
        for owner, name in owners.values():
            owner.__dict__.pop(name)
        sums = timer.seconds | {"data": self.timer.waiting}
        seconds = {part: sums[part] / self.steps for part in PARTS}
        return seconds | {"rest": max(0.0, total - sum(seconds.values()))}


class BareStep:
    """Forward, backward and optimizer step of the same networks, on views that are ready in their memory layout.

    The loss is the sum of the outputs; the learning rate is 0, so that the weights stay as they are.
    """

    def __init__(self, case: Case, steps: int, settings: Mapping[str, Any] = {}) -> None:
        self.case, self.steps = case, steps
        self.strategy = case.build(settings)
        x = torch.from_numpy(case.images(case.batch)).permute(0, 3, 1, 2).contiguous().to(case.device)
        self.views_per_image = views_per_image(self.strategy.model, x)
        with torch.no_grad():
            views = self.strategy.model.views(x)
        self.views = {
            n: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for n, v in views.items()
        }
        for group in self.strategy.optimizer.param_groups:
            group["lr"] = 0.0

    def __call__(self) -> float:
        """Seconds per step."""
        start = now(self.case.device, self.case.clock)
        for _ in range(self.steps):
            self._step()
        return (now(self.case.device, self.case.clock) - start) / self.steps

    def flops(self) -> int:
        """Floating-point operations of a step, of convolutions and matrix products only."""
        with FlopCounterMode(display=False) as counter:
            self._step()
        return int(counter.get_total_flops())

    def _step(self) -> None:
        self.strategy.optimizer.zero_grad()
        device = torch.device(self.case.device).type
        with torch.autocast(device, torch.bfloat16, enabled=self.case.precision == "bf16"):
            outputs = self.strategy.model.embed(self.views)
        sums = [z.float().sum() for z in outputs.values() if z.requires_grad]
        torch.stack(sums).sum().backward()  # type: ignore[no-untyped-call]
        self.strategy.optimizer.step()


class StepTimer(SupervisedPlugin):  # type: ignore[misc]
    """Records the time of the steps after the first ones, and the part of it spent waiting for data.

    Waits for a GPU at the two ends only.

    Args:
        case: gives device and clock.
        uncounted: steps at the start that are not counted.
        counted: steps that are, or None for all to the end of the epoch.
    """

    def __init__(self, case: Case, uncounted: int = 1, counted: int | None = None) -> None:
        super().__init__()
        self.last = None if counted is None else uncounted + counted
        self.now = partial(now, case.device, case.clock)
        self.host_now = partial(now, "cpu", case.clock)
        self.uncounted = uncounted
        self.counting = False
        self.seconds = self.waiting = 0.0
        self._start = self._end = 0.0
        self._steps = 0

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Start again from zero."""
        self.counting = False
        self.waiting = 0.0
        self._steps = 0

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Count the wait for the batch, which is there now."""
        if self.counting:
            self.waiting += self.host_now() - self._end

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Start after the uncounted steps, stop after the last counted one."""
        self._steps += 1
        if self._steps == self.uncounted:
            self.counting, self._start = True, self.now()
        if self._steps == self.last:
            self.seconds = self.now() - self._start
        self._end = self.host_now()

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """Stop, where all steps of the epoch count."""
        if self.last is None:
            self.seconds = self.now() - self._start


class _PartTimer:
    """Sums the seconds spent in functions during counted steps."""

    def __init__(self, timer: StepTimer) -> None:
        self.timer = timer
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed as that part."""

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self.timer.now()
            result = function(*args, **kwargs)
            self.seconds[part] += (self.timer.now() - start) * self.timer.counting
            return result

        return timed
