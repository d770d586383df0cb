"""What does a training step cost: whole, from raw images to updated memory, and the bare network's part of it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from speed.case import Case, experience
from speed.timing import now
from torch.utils.flop_counter import FlopCounterMode

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.evaluation.cost import views_an_image

PARTS = ("data", "views", "forward", "loss", "backward", "optimiser", "memory")


class Whole:
    """The strategy as a user runs it, on images in memory; between two steps everything counts.

    What comes once an experience or an epoch does not count: no clustering, no probes. The first step of each
    measurement is not counted either.
    """

    def __init__(self, case: Case, steps: int, settings: Mapping[str, Any] = {}) -> None:
        self.laps = Laps(case)
        self.strategy = case.build(settings, plugins=[self.laps])
        self.strategy.train_epochs = 1
        images = case.images(case.batch * (steps + 1))
        self.experience = experience(ArrayDataset(images, [0] * len(images)))
        self.steps = steps

    def __call__(self) -> float:
        """Seconds of a step."""
        self.strategy.train(self.experience, eval_streams=[])
        return self.laps.seconds / self.steps

    def shares(self) -> dict[str, float]:
        """Seconds a step by part, measured by clocks around each; "rest" is what lies between them."""
        clock = _Clock(self.laps)
        model, strategy = self.strategy.model, self.strategy
        owners = {
            "views": (model, "views"),
            "forward": (model, "embed"),
            "loss": (model, "loss"),
            "backward": (strategy, "backward"),
            "optimiser": (strategy, "optimizer_step"),
            "memory": (model, "update"),
        }
        for part, (owner, name) in owners.items():
            object.__setattr__(owner, name, clock.around(part, getattr(owner, name)))
        total = self()
        for owner, name in owners.values():
            owner.__dict__.pop(name)
        parts = clock.parts | {"data": self.laps.waiting}
        shares = {part: parts[part] / self.steps for part in PARTS}
        return shares | {"rest": max(0.0, total - sum(shares.values()))}


class Bare:
    """Forward, backward and optimiser of the same networks, on views that are ready and laid out as they like them.

    The loss is the sum of the outputs; the learning rate is 0, so that the network stays as it is.
    """

    def __init__(self, case: Case, steps: int, settings: Mapping[str, Any] = {}) -> None:
        self.case, self.steps = case, steps
        self.strategy = case.build(settings)
        x = torch.from_numpy(case.images(case.batch)).permute(0, 3, 1, 2).contiguous().to(case.device)
        self.views_an_image = views_an_image(self.strategy.model, x)
        with torch.no_grad():
            views = self.strategy.model.views(x)
        self.views = {
            n: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for n, v in views.items()
        }
        for group in self.strategy.optimizer.param_groups:
            group["lr"] = 0.0

    def __call__(self) -> float:
        """Seconds of a step."""
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
        learnt = [z.float().sum() for z in outputs.values() if z.requires_grad]
        torch.stack(learnt).sum().backward()
        self.strategy.optimizer.step()


class Laps(SupervisedPlugin):  # type: ignore[misc]
    """Notes the time of the steps after the first ones, and that spent waiting for data.

    A GPU is waited for at the two ends only.

    Args:
        case: whose device and clock.
        uncounted: steps before.
        counted: steps that are, or all to the end of the epoch.
    """

    def __init__(self, case: Case, uncounted: int = 1, counted: int | None = None) -> None:
        super().__init__()
        self.last = None if counted is None else uncounted + counted
        self.now = partial(now, case.device, case.clock)
        self.tick = partial(now, "cpu", case.clock)
        self.uncounted = uncounted
        self.counting = False
        self.seconds = self.waiting = 0.0
        self._start = self._end = 0.0
        self._steps = 0

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Begin anew."""
        self.counting = False
        self.waiting = 0.0
        self._steps = 0

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """The batch is there."""
        if self.counting:
            self.waiting += self.tick() - self._end

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """A step is complete."""
        self._steps += 1
        if self._steps == self.uncounted:
            self.counting, self._start = True, self.now()
        if self._steps == self.last:
            self.seconds = self.now() - self._start
        self._end = self.tick()

    def after_training_epoch(self, strategy: Any, **kwargs: Any) -> None:
        """All are."""
        if self.last is None:
            self.seconds = self.now() - self._start


class _Clock:
    """Adds up the seconds spent in functions, but for those of the first step."""

    def __init__(self, laps: Laps) -> None:
        self.laps = laps
        self.parts = dict.fromkeys(PARTS, 0.0)

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        @wraps(function)
        def timed(*given: Any, **options: Any) -> Any:
            start = self.laps.now()
            result = function(*given, **options)
            self.parts[part] += (self.laps.now() - start) * self.laps.counting
            return result

        return timed
