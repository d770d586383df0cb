"""Timing that stays comparable on a machine that others use too."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def in_turn(rounds: int, *measurements: Callable[[], float]) -> list[list[float]]:
    """Values of each measurement, taken A B A B ..., so that other work on the machine meets all of them alike.

    One more round comes first and is not counted.
    """
    for measure in measurements:
        measure()
    taken = [[measure() for measure in measurements] for _ in range(rounds)]
    return [list(values) for values in zip(*taken, strict=True)]


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Quotients of values that were measured one after the other."""
    return [a / b for a, b in zip(above, below, strict=True)]


def median_range(values: list[float], digits: int = 2) -> str:
    """The text "median (min-max)"."""
    middle, low, high = (f"{f(values):,.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({low}-{high})"


def seconds_per_call(operation: Callable[[], object], device: Any = "cpu", clock: str = "wall") -> float:
    """Mean seconds per call, see `now`, over calls that last 50 ms or more, after one that is not counted."""
    operation()
    calls, taken = 1, 0.0
    while taken < 0.05:
        calls, start = 2 * calls, now(device, clock)
        for _ in range(calls):
            operation()
        taken = now(device, clock) - start
    return taken / calls


def now(device: Any, clock: str = "wall") -> float:
    """Seconds on a clock, once the device has finished its queued work.

    Args:
        device: where the work runs.
        clock: "wall", or "processor" for the processor time of this process and of its child processes that have
            ended, which does not count time spent waiting on a shared machine. With one thread, that is the wall time
            of a machine of one's own.
    """
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() if clock == "wall" else _processor_seconds()


def _processor_seconds() -> float:
    import resource  # absent on Windows

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
