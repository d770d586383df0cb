"""Image files of detection data, at their own size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from avalanche_ssl.detection.image_files import read_image
from avalanche_ssl.errors import UsageError


def test_any_mode_becomes_rgb(tmp_path: Path) -> None:
    Image.new("L", (5, 3), 7).save(tmp_path / "gray.png")
    image = read_image(tmp_path / "gray.png")
    assert image.dtype == torch.uint8
    assert torch.equal(image, torch.full((3, 3, 5), 7, dtype=torch.uint8))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UsageError, match=r"cannot read image '.*empty.jpg' \(.*\): repair it"):
        read_image(tmp_path / "empty.jpg")
