"""Small images of a page in one file, each once."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray

SIDE = 48
"""Pixels of an image side at most."""


class ThumbnailSheet:
    """A grid of images of one size, which grows as they are added."""

    def __init__(self) -> None:
        self._images: dict[bytes, NDArray[np.uint8]] = {}
        self._numbers: dict[bytes, int] = {}

    def add(self, image: NDArray[np.uint8]) -> int:
        """The number of an image (H, W, 3) or (H, W, 1) in the sheet, which the first image decides the size of."""
        key = str(image.shape).encode() + image.tobytes()
        self._images.setdefault(key, image)
        return self._numbers.setdefault(key, len(self._numbers))

    @property
    def columns(self) -> int:
        """Images in a row."""
        return max(1, math.ceil(math.sqrt(len(self._images))))

    @property
    def rows(self) -> int:
        """Rows of images."""
        return max(1, math.ceil(len(self._images) / self.columns))

    def position(self, number: int) -> str:
        """Where an image lies, as a CSS `background-position`."""
        row, column = divmod(number, self.columns)
        return f"{100 * column / max(1, self.columns - 1):.4g}% {100 * row / max(1, self.rows - 1):.4g}%"

    @property
    def url(self) -> str:
        """The sheet as a `data:` URL of a JPEG."""
        from PIL import Image

        images = list(self._images.values())
        side = min(SIDE, max(images[0].shape[:2])) if images else 1
        sheet = Image.new("RGB", (side * self.columns, side * self.rows))
        for number, image in enumerate(images):
            row, column = divmod(number, self.columns)
            small = Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).convert("RGB")
            sheet.paste(small.resize((side, side), Image.Resampling.LANCZOS), (side * column, side * row))
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=88, subsampling=0)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
