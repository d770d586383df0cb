"""The machine behind a figure: processor, package versions, peak memory, rate of a matrix product."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from speed.timing import in_turn, now


@lru_cache
def matmul_rate(device: Any, precision: str) -> float:
    """Floating-point operations per second of a large matrix product: what the library at hand can reach here.

    In fp32 on a GPU with the arithmetic of convolutions, which is TF32 unless the user has turned it off.
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


def reset_peak_memory(device: Any) -> None:
    """Start to record the peak of memory in use, from what is still referenced."""
    import torch

    from avalanche_ssl.training import give_back_freed_memory

    give_back_freed_memory()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (mark := Path("/proc/self/clear_refs")).exists():
        mark.write_text("5")


def peak_memory_mib(device: Any) -> float | None:
    """Peak memory since `reset_peak_memory`, in MiB, of the GPU or else of this process; None if unknown."""
    import torch

    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return float(peak[0]) / 2**10 if peak else None


def versions(*more: str) -> str:
    """Versions of Python and of the packages that figures depend on."""
    packages = ("torch", "torchvision", "Pillow", *more)
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def describe_machine(device: Any) -> str:
    """Processor, number of threads and GPU."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{len(names)} x {names[0]}" if names else platform.processor()
    gpu = f", {torch.cuda.get_device_name(device)}" if torch.device(device).type == "cuda" else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}"
