"""The floating-point precision that suits this machine."""

import time
from collections.abc import Callable
from math import inf
from typing import Literal, get_args

import torch
from torch.nn import functional as F

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def fastest_precision(device: torch.device) -> Precision:
    """The precision in which convolutions are trained fastest on this machine: "bf16" or "fp32".

    A GPU uses bf16 if it computes it natively. A processor that computes bf16 natively need not be faster in it: one
    kind was 2.2 times as fast as in fp32, another took 1.3 times as long. So it is measured, in less than a second.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private in torch; absent: assume no
        native = any(getattr(torch.cpu, check, bool)() for check in checks)
        return "bf16" if native and _faster_in_bf16() else "fp32"
    return "fp32"


def _faster_in_bf16() -> bool:
    """Whether the best of up to 4 alternating steps is faster by a tenth, which casts may cost; the first warm up.

    Two steps suffice where the answer is clear, by half as much again either way: so it is on most machines.
    """
    fp32, bf16 = _convolution(torch.float32), _convolution(torch.bfloat16)
    best = [inf, inf]
    for number in range(1, 5):
        best = [min(old, _seconds(step)) for old, step in zip(best, (fp32, bf16), strict=True)]
        gain = best[0] / best[1] / 1.1
        if number > 1 and not 1 / 1.5 < gain < 1.5:
            break
    return gain > 1


def _convolution(dtype: torch.dtype) -> Callable[[], object]:
    """Forward and backward pass of a 3x3 convolution as in a ResNet on 32x32 images; draws no random numbers."""
    x = torch.zeros(32, 128, 16, 16, dtype=dtype).contiguous(memory_format=torch.channels_last)
    inputs = x.clone().requires_grad_(), torch.zeros(128, 128, 3, 3, dtype=dtype, requires_grad=True)
    return lambda: torch.autograd.grad(F.conv2d(*inputs, padding=1), inputs, x)


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
