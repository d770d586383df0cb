"""A training step of several processes: its seconds, those of its parts, and what travels between processes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from speed.case import Case
from speed.timing import now
from speed.training_step import FullStep

from avalanche_ssl import distributed

COLLECTIVES = ("all_gather", "all_reduce")
"""Of `torch.distributed`, that a step calls."""


class Traffic:
    """Collectives so far, and the bytes that this process gave to them."""

    def __init__(self) -> None:
        self.calls = self.bytes = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A block whose collectives count."""
        import torch.distributed as dist

        own = {name: getattr(dist, name) for name in COLLECTIVES}
        try:
            for name, function in own.items():
                setattr(dist, name, self._counting(function, 1 if name == "all_gather" else 0))
            yield
        finally:
            for name, function in own.items():
                setattr(dist, name, function)

    def _counting(self, function: Any, place: int) -> Any:
        @wraps(function)
        def counting(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            self.bytes += arguments[place].nbytes
            return function(*arguments, **options)

        return counting


def measure_step(case: Case, steps: int, repeats: int) -> dict[str, Any]:
    """Medians of a step of this process in milliseconds: wall and processor time, its parts, and its traffic.

    Args:
        case: `batch` is that of all processes.
        steps: in each measurement.
        repeats: of the measurement, after one that does not count.
    """
    step = FullStep(case, steps)
    taken = []
    for _ in range(repeats + 1):
        start = now(case.device, "processor")
        taken.append((step(), (now(case.device, "processor") - start) / (steps + 1)))
    wall, processor = (statistics.median(seconds) for seconds in zip(*taken[1:], strict=True))
    parts = step.parts()
    traffic = Traffic()
    with traffic.counted():
        step()
    return {
        "wall": 1000 * wall,
        "processor": 1000 * processor,
        "parts": {name: 1000 * seconds for name, seconds in parts.items()},
        "collectives": traffic.calls / (steps + 1),
        "megabytes": traffic.bytes / (steps + 1) / 1e6,
    }


def of_processes(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of process 0, with the mean of all processes' times."""
    every = distributed.of_all(torch.tensor([found["wall"], found["processor"]], dtype=torch.float64)).mean(0)
    return found | {"wall": float(every[0]), "processor": float(every[1])}
