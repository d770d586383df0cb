"""Decode image files to uint8 pixels, on several threads."""

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

Pixels = NDArray[np.uint8]

CHUNK = 64  # images that a thread decodes at a time

TINY = 8192  # bytes of a file


class ImageDecodingError(Exception):
    """An image file cannot be decoded; the message is the reason, in one line."""


def decode_image(file: Path | IO[bytes], size: int) -> Pixels:
    """The image as (S, S, 3): RGB, upright, the shorter side resized to `size` (antialiased), then the center.

    Raises:
        ImageDecodingError: the file is damaged, or no image.
    """
    try:
        _check_png(file)
        with Image.open(file) as image:
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded no larger than useful
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise ImageDecodingError(" ".join(str(error).split()).partition(" <_io.")[0]) from error
    if upright.size != (size, size):
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(upright)


def _check_png(file: Path | IO[bytes]) -> None:
    """Check the checksums of a PNG, as Pillow does only when asked: it decodes one whose end is damaged."""
    with Image.open(file) as image:
        if image.format == "PNG":
            image.verify()
    if not isinstance(file, Path):
        file.seek(0)


def decode_files(paths: Sequence[Path], size: int, name: str) -> Pixels:
    """All images as one array (N, S, S, 3), with a progress bar of this name.

    Raises:
        UsageError: an image cannot be decoded (named).
    """
    images = np.empty((len(paths), size, size, 3), np.uint8)

    def fill(first: int) -> int:
        chunk = paths[first : first + CHUNK]
        for offset, path in enumerate(chunk):
            try:
                images[first + offset] = decode_image(path, size)
            except ImageDecodingError as error:
                raise UsageError(f"cannot read image '{path}' ({error}): repair or remove it") from error
        return len(chunk)

    sample = paths[:: max(1, len(paths) // 100)]
    with (
        ThreadPoolExecutor(decoding_threads([path.stat().st_size for path in sample])) as pool,
        tqdm(total=len(paths), desc=f"decode {name}", unit="image", disable=None) as bar,
    ):
        jobs = [pool.submit(fill, first) for first in range(0, len(paths), CHUNK)]
        try:
            for job in as_completed(jobs):
                bar.update(job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            bar.leave = False  # the error message stands alone
            raise
    return images


def decoding_threads(sizes: Sequence[int]) -> int | None:
    """The number of threads for files of these bytes; None for Python's choice.

    Pillow decodes without the GIL, but on tiny files threads only compete for it.
    """
    return 1 if sum(sizes) < TINY * len(sizes) else None


def check_memory(n: int, size: int) -> None:
    """Check that `n` images at `size` pixels a side fit into memory.

    Raises:
        UsageError: they need more than the machine has.
    """
    needed = n * size * size * 3 / 2**30
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # not known on every system
        return
    if needed > installed:
        raise UsageError(
            f"{n} images at size={size} need {needed:.0f} GiB and the machine has {installed:.0f} GiB: "
            "give a smaller size"
        )
