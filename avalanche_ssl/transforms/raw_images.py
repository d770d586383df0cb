"""The range of raw images: where a batch enters, its values must be those of pixels.

Views clip to [0, 1] and normalize: of images that are normalized already, or lie in 0 to 255, they would leave little,
and training would go on without a word.
"""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from avalanche_ssl.errors import UsageError

ROUNDING = 1e-3
"""How far pixels may lie outside [0, 1]: a resized image of 16-bit floats does."""

OVERSHOOT = 0.3
"""How far those of an image that was resized bicubically do."""


def check_range(x: Tensor) -> None:
    """Check that a batch of raw images is uint8, or float in [0, 1]; for floats this waits for the device.

    Raises:
        UsageError: it is of another type, or values lie outside.
    """
    if x.dtype == torch.uint8:
        return
    if not x.is_floating_point():
        raise UsageError(
            f"images are uint8 or float in [0, 1], not {x.dtype}: convert them with avalanche_ssl.data.to_uint8"
        )
    if fault := range_fault(x):
        reason, remedy = fault
        raise UsageError(f"a batch of images {reason}: {remedy}")


def range_fault(x: Tensor) -> tuple[str, str] | None:
    """What is wrong with the values of float images, beginning with a verb, and the remedy; None if nothing is."""
    if x.numel() == 0:
        return None
    low, high = torch.stack(x.detach().float().aminmax()).tolist()
    if low >= -ROUNDING and high <= 1 + ROUNDING:  # not so if a value is NaN
        return None
    reason = f"holds float values from {low:g} to {high:g}, where raw pixels are in [0, 1]"
    if not isfinite(high - low):
        return reason, "find the image whose values are not finite"
    if low >= 0 and high > 10:
        return reason, "divide them by 255, or by the value that is white"
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return reason, "clip them after resizing, x.clamp(0, 1)"
    return reason, "remove Normalize from the transforms of the dataset, because the views normalize"
