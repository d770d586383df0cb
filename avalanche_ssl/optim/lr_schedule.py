"""`LRSchedule`: the learning rate over an experience, in closed form, so that it can be resumed at any step."""

import math
from dataclasses import dataclass
from typing import Literal

from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class LRSchedule:
    """Factor of the base learning rate, as a function of the progress of the experience.

    Linear warm-up over the first `warmup` of the experience, then half a cosine down to `final` (SGDR, Loshchilov &
    Hutter 2017, eq. 5), restarted in each experience; or constant after the warm-up, for streams of unknown length.

    Args:
        kind: "cosine" or "constant".
        warmup: share of the experience, in [0, 1).
        final: factor at the end of the cosine, in [0, 1].

    Raises:
        UsageError: a value is out of its range.
    """

    kind: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("cosine", "constant"):
            raise UsageError(f"schedule kind '{self.kind}' is not known: give 'cosine' or 'constant'")
        if not 0 <= self.warmup < 1 or not 0 <= self.final <= 1:
            raise UsageError(f"schedule warmup {self.warmup} must be in [0, 1) and final {self.final} in [0, 1]")

    def factor(self, step: int, steps: int) -> float:
        """Factor for step 0, 1, ..., steps - 1 of an experience."""
        warm = self.warmup * steps
        if step < warm:
            return (step + 1) / (math.ceil(warm) + 1)
        if self.kind == "constant":
            return 1.0
        progress = (step - warm) / max(1.0, steps - warm)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2
