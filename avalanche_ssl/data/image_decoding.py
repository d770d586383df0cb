"""Decode image files to uint8 pixels, on several threads."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.data.pixels import SCALE_BY_OPTION, PixelError, Pixels, ValueRange, eight_bits, is_wide
from avalanche_ssl.errors import UsageError, unknown_name

CHUNK = 64  # images that a thread decodes at a time

TINY = 8192  # bytes of a file

ORIENTATION = 0x0112  # tag of EXIF

NAMED = 10
"""Damaged images that a message names, at most."""


class ImageDecodingError(Exception):
    """An image file cannot be decoded; the message is the reason, in one line."""


@dataclass
class Findings:
    """What pictures hold beyond their pixels: paths, or None where only the content was given."""

    several: list[Path | None] = field(default_factory=list)
    """Files of several images, of which the first is decoded."""
    transparent: list[Path | None] = field(default_factory=list)
    """Images whose transparent pixels were laid on white."""
    narrow: list[Path | None] = field(default_factory=list)
    """Images of 8 bits a channel where a value range was given."""

    def warn(self, total: int) -> None:
        """Say what became of `total` files."""
        for files, message in (
            (self.several, "several images in {}: the first is taken"),
            (self.transparent, "transparent pixels in {}: they are laid on white"),
            (self.narrow, "8 bits a channel in {}: value_range is for those of more bits"),
        ):
            if files:
                named = sorted(str(path) for path in files if path)[:1]
                first = f", first '{named[0]}'" if named else ""
                warnings.warn(message.format(f"{len(files):,} of {total:,} files{first}"), stacklevel=4)


def decode_image(
    file: Path | IO[bytes], size: int, value_range: ValueRange | None = None, findings: Findings | None = None
) -> Pixels:
    """The image as (S, S, 3): RGB, upright, the shorter side resized to `size` (antialiased), then the center.

    Args:
        file: its path, or its content.
        size: pixels a side.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
        findings: takes the file if it holds several images, of which the first is decoded, transparent pixels, or 8
            bits a channel where a `value_range` is given.

    Raises:
        ImageDecodingError: the file is damaged, or no image.
        PixelError: the range of its values is not known, or values lie outside `value_range`.
    """
    findings = findings or Findings()
    try:
        _check_png(file)
        with Image.open(file) as image:
            path = file if isinstance(file, Path) else None
            if getattr(image, "is_animated", False):
                findings.several.append(path)
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded no larger than useful
            if value_range and not is_wide(image):
                findings.narrow.append(path)
            picture = eight_bits(image, value_range)
            if picture.transparent:
                findings.transparent.append(path)
            upright = _upright(picture.image, image).convert("RGB")
    except PixelError:
        raise
    except Exception as error:  # Pillow raises many kinds for a damaged file
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        for name in (f" '{file}'", " <_io."):  # messages name the file by themselves
            reason = reason.partition(name)[0]
        raise ImageDecodingError(reason) from error
    if upright.size != (size, size):
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(upright)


def _upright(picture: Image.Image, image: Image.Image) -> Image.Image:
    """The picture made of an image, turned as its file says: Pillow cannot turn all images of 16 bits."""
    if picture is not image:
        picture.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(picture)


def _check_png(file: Path | IO[bytes]) -> None:
    """Check the checksums of a PNG, as Pillow does only when asked: it decodes one whose end is damaged."""
    with Image.open(file) as image:
        if image.format == "PNG":
            image.verify()
    if not isinstance(file, Path):
        file.seek(0)


def decode_files(
    paths: Sequence[Path],
    size: int,
    damaged: str = "refuse",
    value_range: ValueRange | None = None,
    findings: Findings | None = None,
) -> tuple[Pixels, Indices]:
    """The images as one array (K, S, S, 3), with a progress bar, and the position of each in `paths`.

    Of a file with several images, such as an animation, the first is taken, and transparent pixels are laid on white;
    a warning says so.

    Args:
        paths: of the files.
        size: pixels a side.
        damaged: "refuse", or "skip" images that cannot be decoded; a warning names them.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
        findings: takes what is warned of.

    Raises:
        UsageError: images cannot be decoded (all are counted, the first ones named), or the range of the values of one
            is not known.
    """
    images = np.empty((len(paths), size, size, 3), np.uint8)
    reasons: dict[int, ImageDecodingError] = {}
    findings = findings or Findings()

    def fill(first: int) -> int:
        chunk = paths[first : first + CHUNK]
        for position, path in enumerate(chunk, first):
            try:
                images[position] = decode_image(path, size, value_range, findings)
            except ImageDecodingError as error:
                reasons[position] = error
            except PixelError as error:
                raise error.of(f"image '{path}'", SCALE_BY_OPTION) from error
        return len(chunk)

    sample = paths[:: max(1, len(paths) // 100)]
    with (
        ThreadPoolExecutor(decoding_threads([_bytes(path) for path in sample])) as pool,
        tqdm(total=len(paths), desc="decode images", unit="image", disable=None) as bar,
    ):
        jobs = [pool.submit(fill, first) for first in range(0, len(paths), CHUNK)]
        try:
            for job in as_completed(jobs):
                bar.update(job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            bar.leave = False  # the error message stands alone
            raise
        bar.leave = not reasons  # the message stands alone
    findings.warn(len(paths))
    kept = np.setdiff1d(np.arange(len(paths)), list(reasons))
    if reasons:
        report_damaged({paths[position]: reasons[position] for position in sorted(reasons)}, damaged, len(kept))
        for row, position in enumerate(kept.tolist()):  # in place: a copy would need the memory twice
            images[row] = images[position]
    return images[: len(kept)], kept


def check_damaged_option(damaged: str) -> None:
    """Refuse what is no way with damaged images.

    Raises:
        UsageError: it is neither "refuse" nor "skip".
    """
    if damaged not in ("refuse", "skip"):
        raise unknown_name("way with a damaged image", damaged, ("refuse", "skip"))


def report_damaged(reasons: Mapping[Any, object], damaged: str, kept: int, option: str = "damaged=skip") -> None:
    """Refuse images that cannot be decoded, or warn that they are skipped.

    Args:
        reasons: why each cannot be decoded, by its path.
        damaged: "refuse" or "skip".
        kept: how many images can be decoded.
        option: what leaves them out, as the user gives it.

    Raises:
        UsageError: they are refused, or no image is left.
    """
    named = ", ".join(f"'{path}' ({reason})" for path, reason in islice(reasons.items(), NAMED))
    named += f" and {len(reasons) - NAMED:,} more" if len(reasons) > NAMED else ""
    images, them = ("image", "it") if len(reasons) == 1 else (f"{len(reasons):,} images:", "them")
    if damaged != "skip":
        raise UsageError(f"cannot read {images} {named}: repair or remove {them}, or leave {them} out with {option}")
    if not kept:
        raise UsageError(f"none of the {len(reasons):,} images can be read, first {named}: get them again")
    warnings.warn(f"left out {images} {named}, which cannot be read ({option})", stacklevel=4)


def _bytes(path: Path) -> int:
    """The size of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


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
