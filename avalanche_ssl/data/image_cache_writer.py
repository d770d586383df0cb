"""Write decoded images to an array on disk; an interrupted conversion continues, a failed one leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_decoding import (
    Findings,
    ImageDecodingError,
    decode_image,
    decoding_threads,
    report_damaged,
)
from avalanche_ssl.data.image_sources import first_change
from avalanche_ssl.data.pixels import PixelError, Pixels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

VERSION = 2
"""Version of the index; 1 did not have `crcs` and `mtimes`."""

HEADER = 128  # bytes before the images of a .npy file; numpy pads them to a multiple of 64

CHUNK = 256  # images that are decoded together

SAVED = 4096  # images, after which the progress is saved


@dataclass(frozen=True)
class CachePaths:
    """The files of the images at `size` pixels a side: the array and its index, and two while they are written."""

    folder: Path
    name: str
    size: int

    @property
    def array(self) -> Path:
        """The images."""
        return self.folder / f"{self.name}-{self.size}.npy"

    @property
    def index(self) -> Path:
        """The names of the images, and which content of their files was decoded."""
        return self.array.with_suffix(".json")

    @property
    def part(self) -> Path:
        """The images written so far."""
        return self.array.with_suffix(".npy.part")

    @property
    def progress(self) -> Path:
        """How much of `part` is on disk for certain."""
        return self.array.with_suffix(".progress")

    def bytes(self, images: int) -> int:
        """The bytes of so many images."""
        return images * self.size * self.size * 3

    def remove_unfinished(self) -> None:
        """Remove what a conversion leaves while it runs."""
        for path in (self.part, self.progress):
            path.unlink(missing_ok=True)


@dataclass
class Progress:
    """How many images of the files with this fingerprint are written, and the names of those left out.

    Of each of these files, in order, `crcs` has the CRC-32 (None: it could not be read), and `mtimes` the modification
    time in nanoseconds (None: in a zip file).
    """

    fingerprint: str
    written: int = 0
    skipped: list[str] = field(default_factory=list)
    crcs: list[int | None] = field(default_factory=list)
    mtimes: list[int | None] = field(default_factory=list)


def write_cache(files: ImageFiles, paths: CachePaths, damaged: str) -> list[str]:
    """Decode the images that an interrupted process has not, then put array and index in place; the images' names.

    Raises:
        UsageError: images are damaged and `damaged` is not "skip", all are, or the disk has no room.
        OSError: the disk cannot be written.
    """
    progress = _start(files, paths)
    try:
        with paths.part.open("r+b") as out:
            out.truncate(HEADER + paths.bytes(progress.written))
            out.seek(0, os.SEEK_END)
            reasons = _decode(files, paths, out, progress, damaged)
            kept = [name for name in files.members if name not in reasons]
            if reasons:
                report_damaged({files.location(name): reason for name, reason in reasons.items()}, damaged, len(kept))
            out.seek(0)
            out.write(_header(progress.written, paths.size))
            _sync(out)
        paths.index.unlink(missing_ok=True)
        os.replace(paths.part, paths.array)
        write_index(paths, {"version": VERSION, **vars(progress), "names": kept})
    except (UsageError, OSError):
        paths.remove_unfinished()
        raise
    paths.remove_unfinished()
    return kept


def _start(files: ImageFiles, paths: CachePaths) -> Progress:
    """The progress of an interrupted conversion of the same files, or a new start."""
    fingerprint, saved = files.fingerprint(), read_index(paths.progress)
    progress = Progress(fingerprint)
    if saved and paths.part.exists() and saved.keys() == vars(progress).keys() and saved["fingerprint"] == fingerprint:
        progress = Progress(**saved)
    if first_change(files, progress.crcs, progress.mtimes):
        progress = Progress(fingerprint)
    if not progress.crcs:
        paths.remove_unfinished()
    missing = paths.bytes(len(files.members) - progress.written)
    free = shutil.disk_usage(paths.folder).free
    if free < missing:
        raise UsageError(
            f"the decoded images need {missing / 2**20:,.0f} MiB in '{paths.folder}', where {free / 2**20:,.0f} are "
            "free: make room, or give cache=DIR"
        )
    paths.part.touch()
    return progress


def _decode(
    files: ImageFiles, paths: CachePaths, out: IO[bytes], progress: Progress, damaged: str
) -> dict[str, object]:
    """Append the images that are missing; why others cannot be decoded, by name.

    If damaged images are refused nothing is written after the first, but all are found.
    """
    names = list(files.members)
    done = progress.written + len(progress.skipped)
    reasons: dict[str, object] = dict.fromkeys(progress.skipped, "damaged")
    findings = Findings()
    with (
        files.reader() as read,
        ThreadPoolExecutor(decoding_threads(list(files.sizes.values()))) as pool,
        tqdm(total=len(names), initial=done, desc=f"decode {paths.array.name}", unit="image", disable=None) as bar,
    ):
        for number, first in enumerate(range(done, len(names), CHUNK), 1):
            chunk = names[first : first + CHUNK]
            contents = [_content(read, name) for name in chunk]
            locations = [files.location(name) for name in chunk]
            images = list(pool.map(partial(_pixels, paths.size, findings), contents, locations))
            failed = {n: i for n, i in zip(chunk, images, strict=True) if isinstance(i, ImageDecodingError)}
            reasons |= failed
            bar.update(len(chunk))
            bar.leave = not reasons  # the message stands alone
            if reasons and damaged != "skip":
                continue
            _append(out, [image for image in images if not isinstance(image, ImageDecodingError)])
            progress.written += len(chunk) - len(failed)
            progress.skipped += failed
            progress.crcs += [zlib.crc32(content) if isinstance(content, bytes) else None for content in contents]
            progress.mtimes += [files.mtimes.get(name) for name in chunk]
            if number % (SAVED // CHUNK) == 0:
                _save(paths, out, progress)
    findings.warn(len(names))
    return reasons


def _content(read: Callable[[str], bytes], name: str) -> bytes | ImageDecodingError:
    """The bytes of a file, or why they cannot be read."""
    try:
        return read(name)
    except Exception as error:  # zipfile raises many kinds for a damaged archive
        return ImageDecodingError(" ".join(str(error).split()))


def _pixels(
    size: int, findings: Findings, content: bytes | ImageDecodingError, location: str
) -> Pixels | ImageDecodingError:
    """The image (S, S, 3), or why it cannot be decoded."""
    if isinstance(content, ImageDecodingError):
        return content
    try:
        return decode_image(BytesIO(content), size, None, findings)
    except ImageDecodingError as error:
        return error
    except PixelError as error:
        raise error.of(f"image '{location}'", "give images of 8 bits a channel") from error


def _append(out: IO[bytes], images: Sequence[Pixels]) -> None:
    """Write, not through a memory map, where a full disk would end the process without a message."""
    for image in images:
        out.write(image.tobytes())


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


def _save(paths: CachePaths, out: IO[bytes], progress: Progress) -> None:
    _sync(out)
    with replacing(paths.progress) as file:
        file.write(json.dumps(vars(progress)).encode())


def _header(n: int, size: int) -> bytes:
    file = BytesIO()
    shape = (n, size, size, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def write_index(paths: CachePaths, index: dict[str, Any]) -> None:
    """Write the index of an array.

    Raises:
        UsageError: it cannot be written.
    """
    with replacing(paths.index) as file:
        file.write(json.dumps(index).encode())


def read_index(path: Path) -> dict[str, Any] | None:
    """The content of an index or progress file; None if there is none, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and "fingerprint" in value else None
