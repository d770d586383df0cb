"""Image files in folders and zip files."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avalanche_ssl.data.image_archive import ImageFiles, find_image_files

PATTERN = re.compile(r"(\w+/\d+\.png)$")


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)


def photo_files(path: Path) -> ImageFiles:
    return find_image_files(path, PATTERN, str)


def zipped(photos: Path) -> Path:
    path = photos.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for image in photos.rglob("*.png"):
            archive.write(image, f"top/{image.relative_to(photos)}")
    return path


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} if folder.exists() else set()


def damage(photos: Path, name: str = "a/3.png") -> None:
    (photos / name).write_bytes((photos / name).read_bytes()[:60])


def forbid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let listing a folder fail for lack of permission, also where tests run as root."""
    scan = os.scandir

    def denied(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)


def write_classes(root: Path, parts: dict[str, int], classes: int, side: int = 16) -> Path:
    """A folder PART/CLASS/*.png of so many noisy images, whose gray is that of their class."""
    rng = np.random.default_rng(0)
    for part, count in parts.items():
        for label in range(classes):
            folder = root / part / f"class{label:03d}"
            folder.mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(0, 60, (side, side, 3)) + 190 * label // classes
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{i:04d}.png")
    return root
