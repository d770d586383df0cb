"""What a figure was measured on: processor, versions, peak memory, matrix products."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from speed.timing import in_turn, now


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
