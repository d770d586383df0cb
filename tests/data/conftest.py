"""Fixtures of the tests of images on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.photos import pixels
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images in two folders."""
    for i in range(10):
        path = tmp_path / "photos" / "ab"[i // 5] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(i)).save(path)
    return tmp_path / "photos"
