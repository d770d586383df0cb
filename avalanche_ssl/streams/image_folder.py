"""How does a folder of images become a stream?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from avalanche.benchmarks import CLScenario
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from tqdm import tqdm

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.build import ArrayDataset, assemble
from avalanche_ssl.streams.increments import Increments

CHUNK = 64  # images that a thread decodes at a time
TINY = 8192  # bytes of a file


@dataclass
class Files:
    """Image files and their labels; `classes` is empty for a flat folder, whose labels are -1."""

    paths: list[Path]
    targets: list[int]
    classes: list[str]


def build(data: Path, size: int, increments: Increments) -> CLScenario:
    """Find every mistake that names and numbers can show, and only then decode."""
    try:
        train, test = _scan_both(data)
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}' ({error.strerror}): give a readable folder") from error
    if not train.classes and (increments.incremental != "data" or increments.imbalance != 1):
        raise UsageError(f"the images of '{data / 'train'}' have no classes: choose incremental=data and no imbalance")
    return assembled(train, test, size, increments)


def assembled(train: Files, test: Files | None, size: int, increments: Increments) -> CLScenario:
    """Check the options, then decode."""
    if size < 1:
        raise UsageError(f"cannot resize images to size={size}: give 1 or more")
    increments.check(len(train.classes))
    train_parts = increments.train(train.targets, len(train.classes))
    test_parts = increments.test(test.targets, len(train.classes)) if test else []
    _check_memory(len(train.paths) + (len(test.paths) if test else 0), size)
    return assemble(
        ArrayDataset(decode(train.paths, size, "train"), train.targets),
        train_parts,
        ArrayDataset(decode(test.paths, size, "test"), test.targets) if test else None,
        test_parts,
        train.classes or None,
    )


def _scan_both(data: Path) -> tuple[Files, Files | None]:
    if not data.is_dir():
        raise UsageError(f"no folder '{data}': give one that holds train/CLASS/* and test/CLASS/*")
    train = _scan(data / "train")
    if not train.classes and not (data / "test").is_dir():
        return train, None
    test = _scan(data / "test")
    _check_classes(data, train, test)
    return train, test


def _scan(root: Path) -> Files:
    if not root.is_dir():
        raise UsageError(f"no folder '{root}': make it, with one folder of images for each class")
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    folders, loose = [e for e in entries if e.is_dir()], [e for e in entries if _is_image(e)]
    if folders and loose:
        raise UsageError(f"'{loose[0]}' lies beside class folders: move it into one of them")
    if loose:
        return Files(loose, [-1] * len(loose), [])
    paths: list[Path] = []
    targets: list[int] = []
    for label, folder in enumerate(folders):
        images = sorted(path for path in folder.rglob("*") if _is_image(path))
        if not images:
            raise UsageError(f"no image in '{folder}': add some ({', '.join(IMG_EXTENSIONS)}) or remove it")
        paths += images
        targets += [label] * len(images)
    if not paths:
        raise UsageError(f"no image in '{root}': add some ({', '.join(IMG_EXTENSIONS)})")
    return Files(paths, targets, [folder.name for folder in folders])


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMG_EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _check_classes(data: Path, train: Files, test: Files) -> None:
    if bool(train.classes) != bool(test.classes):
        flat, other = ("test", "train") if train.classes else ("train", "test")
        raise UsageError(f"'{data / flat}' has no class folders but '{data / other}' has: sort it into classes")
    for name in train.classes:
        if name not in test.classes:
            raise UsageError(f"class '{name}' has no test image: add some to '{data / 'test' / name}'")
    for name in test.classes:
        if name not in train.classes:
            raise UsageError(f"class '{name}' is in '{data / 'test'}' only: add training images or remove it")


def _check_memory(n: int, size: int) -> None:
    needed = n * size * size * 3 / 2**30
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > installed:
        raise UsageError(
            f"{n} images at size={size} need {needed:.0f} GiB and the machine has {installed:.0f} GiB: "
            "give a smaller size"
        )


def decode(paths: Sequence[Path], size: int, name: str) -> NDArray[np.uint8]:
    """All images as one array (N, size, size, 3), by threads: the decoders of Pillow run without the GIL."""
    images = np.empty((len(paths), size, size, 3), np.uint8)

    def fill(first: int) -> int:
        chunk = paths[first : first + CHUNK]
        for offset, path in enumerate(chunk):
            images[first + offset] = np.asarray(read_image(path, size, str(path)))
        return len(chunk)

    with (
        ThreadPoolExecutor(_threads(paths)) as pool,
        tqdm(total=len(paths), desc=f"decode {name}", unit="image") as bar,
    ):
        jobs = [pool.submit(fill, first) for first in range(0, len(paths), CHUNK)]
        try:
            for job in as_completed(jobs):
                bar.update(job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            bar.leave = False  # what is said next stands alone
            raise
    return images


def _threads(paths: Sequence[Path]) -> int | None:
    """One for tiny files, on which threads only fight for the GIL; else Python's choice."""
    sample = paths[:: max(1, len(paths) // 100)]
    return 1 if sum(path.stat().st_size for path in sample) < TINY * len(sample) else None


def read_image(file: Path | IO[bytes], size: int, name: str) -> Image.Image:
    """RGB, upright, the shorter side resized to `size` (antialiased), then the centre.

    Raises:
        UsageError: it cannot be decoded; the message calls it `name`.
    """
    try:
        with Image.open(file) as image:
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded no larger than useful
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # Pillow raises many kinds for a damaged file
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot read image '{name}' ({reason}): repair or remove it") from error
    if upright.size == (size, size):
        return upright
    return ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
