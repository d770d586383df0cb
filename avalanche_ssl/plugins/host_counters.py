"""`HostCounters`: counters that decide in every step what is done, kept where reading them does not wait for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn


class HostCounters(nn.Module):
    """A module some of whose buffers stay on the CPU, whatever device it moves to.

    To read a number on a GPU, as `if` and `int` do, waits for all work that was queued there. Buffers of `on_host`
    can be read in every step.
    """

    on_host: ClassVar[tuple[str, ...]] = ()
    """Names of these buffers, of this module and not of those inside it; a class adds to those of its base."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HostCounters:
        """Move or convert everything else."""
        kept = {name: self._buffers[name] for name in self.on_host if name in self._buffers}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._buffers.update(kept)
        return self
