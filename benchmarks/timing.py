"""How is time taken so that it can be compared on a machine that others use, too?"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
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


def product_rate(device: Any, precision: str) -> float:
    """Floating-point operations a second of a matrix product: what is within reach here, by the library at hand.

    In fp32 on a GPU with the arithmetic of convolutions, which is TF32 unless the user says otherwise.
    """
    import torch

    size = 8192 if torch.device(device).type == "cuda" else 2048
    x = torch.ones(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)

    def product() -> float:
        start = now(device)
        x @ x
        return now(device) - start

    matmul, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.allow_tf32
    matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    (taken,) = in_turn(5, product)
    matmul.allow_tf32 = before
    return 2 * size**3 / min(taken)


def forget_peak(device: Any) -> None:
    """Begin to watch the most memory in use, by what is still referred to alone."""
    import torch

    from avalanche_ssl.training.malloc import give_back_freed_memory

    give_back_freed_memory()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (mark := Path("/proc/self/clear_refs")).exists():
        mark.write_text("5")


def peak_mib(device: Any) -> float | None:
    """The most memory in use since `forget_peak`, in MiB: of the GPU, or else of the process; None if unknown."""
    import torch

    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return float(peak[0]) / 2**10 if peak else None


def show(name: str, values: list[float]) -> None:
    """One row: median, min, max."""
    print(f"{name:32}{statistics.median(values):9.1f}{min(values):9.1f}{max(values):9.1f}")


def versions(*more: str) -> str:
    """What the figures depend on."""
    packages = ("torch", "torchvision", "Pillow", *more)
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def machine(device: Any) -> str:
    """Processor, threads and device."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{len(names)} x {names[0]}" if names else platform.processor()
    gpu = f", {torch.cuda.get_device_name(device)}" if torch.device(device).type == "cuda" else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}"
