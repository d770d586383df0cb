"""Decode image files into one uint8 array, on several threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from avalanche_ssl.errors import UsageError

CHUNK = 64  # images that a thread decodes at a time

TINY = 8192  # bytes of a file


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
