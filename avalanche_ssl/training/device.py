"""The device of a name, as torch knows it."""

from __future__ import annotations

import torch

from avalanche_ssl.errors import UsageError


def get_device(name: str | torch.device) -> torch.device:
    """The device of a name such as "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: torch knows no such device, or has not so many here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise no_device(name) from None
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        raise UsageError(f"device '{name}': torch finds {found} CUDA devices here; give another, or cpu")
    return device


def no_device(name: str | torch.device) -> UsageError:
    """The error for a device that cannot be used."""
    return UsageError(f"no device '{name}': give cuda for a GPU, cuda:1 for the second one, or cpu")
