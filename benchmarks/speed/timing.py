"""How is time taken so that it can be compared on a machine that others use, too?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def in_turn(rounds: int, *measurements: Callable[[], float]) -> list[list[float]]:
    """Values of each measurement, taken A B A B ...: what else the machine does meets all of them alike.

    A round of its own comes first and is not counted.
    """
    for measure in measurements:
        measure()
    taken = [[measure() for measure in measurements] for _ in range(rounds)]
    return [list(values) for values in zip(*taken, strict=True)]


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Of the values that were measured one after the other."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(values: list[float], digits: int = 2) -> str:
    """Median (min-max)."""
    middle, low, high = (f"{f(values):,.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({low}-{high})"


def seconds(operation: Callable[[], object], device: Any = "cpu") -> float:
    """Seconds of one call: the mean over calls that last 50 ms or more, after one that is not counted."""
    operation()
    calls, taken = 1, 0.0
    while taken < 0.05:
        calls, start = 2 * calls, now(device)
        for _ in range(calls):
            operation()
        taken = now(device) - start
    return taken / calls


def now(device: Any, clock: str = "wall") -> float:
    """Seconds of a clock, after the device has done what it was asked to.

    "processor" counts the seconds of this process and of its processes that have ended, wherever a machine that others
    use has let them wait. With one thread, that is the wall time of a machine of one's own.
    """
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() if clock == "wall" else _busy()


def _busy() -> float:
    import resource  # absent on Windows

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def show(name: str, values: list[float]) -> None:
    """One row: median, min, max."""
    print(f"{name:32}{statistics.median(values):9.1f}{min(values):9.1f}{max(values):9.1f}")
