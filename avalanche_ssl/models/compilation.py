"""Compiled training passes of all encoders of a method."""

import time

import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder


def compile_encoders(model: nn.Module, device: torch.device) -> None:
    """Compile every encoder of a method, momentum encoders included; see `Encoder.compile`.

    Compilation happens at the first batch and takes tens of seconds.

    Raises:
        UsageError: `torch.compile` does not work on this machine, or the method has no `Encoder`.
    """
    encoders = [module for module in model.modules() if isinstance(module, Encoder)]
    if not encoders:
        raise UsageError(
            f"{type(model).__name__} has no Encoder to compile: wrap the network, "
            "avalanche_ssl.models.wrap(network, out_features), or compile it yourself"
        )
    _check_compiler(device)
    for encoder in encoders:
        encoder.compile()


def _check_compiler(device: torch.device) -> None:
    """Compile a trivial function, for a size that is in no cache."""
    try:
        torch.compile(lambda x: x * x + 1, dynamic=False)(torch.ones(2 + time.time_ns() % 99_991, device=device))
    except (RuntimeError, ImportError, OSError) as error:
        reason = " ".join(str(error).split()).partition(" Set TORCHDYNAMO")[0][:200]
        remedy = "a C++ compiler such as g++" if device.type == "cpu" else "triton and a C compiler such as gcc"
        raise UsageError(f"torch.compile does not work here ({reason}): install {remedy}, or do not compile") from error
