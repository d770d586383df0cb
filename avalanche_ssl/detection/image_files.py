"""Image files of detection data, decoded at their own size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from avalanche_ssl.errors import UsageError


def read_image(path: Path) -> Tensor:
    """The image as uint8 (3, H, W), at its own size and as it is stored: boxes are in those pixels.

    Raises:
        UsageError: it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds for a damaged file
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"cannot read image '{path}' ({reason}): repair it, or take it out of its list") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)
