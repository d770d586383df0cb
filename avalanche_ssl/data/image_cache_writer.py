"""How are image files decoded into an array on disk? An interruption costs little, and a fault leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_decoding import TINY, read_image
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

VERSION = 1

HEADER = 128  # bytes before the images of a .npy file; numpy fills them up to a multiple of 64

CHUNK = 256  # images that are decoded together

SAVED = 4096  # images, after which an interrupted conversion need not begin again

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """Where the images at `size` pixels a side go, and what stands beside them while they are made."""

    folder: Path
    name: str
    size: int

    @property
    def array(self) -> Path:
        """The images."""
        return self.folder / f"{self.name}-{self.size}.npy"

    @property
    def index(self) -> Path:
        """Their names, and what they were made from."""
        return self.array.with_suffix(".json")

    @property
    def part(self) -> Path:
        """The beginning of the images."""
        return self.array.with_suffix(".npy.part")

    @property
    def progress(self) -> Path:
        """How much of the beginning is on disk for certain."""
        return self.array.with_suffix(".progress")

    def bytes(self, images: int) -> int:
        """What so many images take."""
        return images * self.size * self.size * 3

    def forget(self) -> None:
        """Leave nothing half-written."""
        for path in (self.part, self.progress):
            path.unlink(missing_ok=True)


@dataclass
class Progress:
    """Of these images so many are written, and these were left out."""

    fingerprint: str
    written: int
    skipped: list[str]


def convert(files: ImageFiles, target: Target, damaged: str) -> list[str]:
    """Decode what an interrupted process has not, then put the array and its index in place; the images' names.

    Raises:
        UsageError: an image is damaged and `damaged` is not "skip", all are, or the disk has no room.
        OSError: the disk refuses.
    """
    progress = _begin(files, target)
    try:
        with target.part.open("r+b") as out:
            out.truncate(HEADER + target.bytes(progress.written))
            out.seek(0, os.SEEK_END)
            _decode(files, target, out, progress, damaged)
            out.seek(0)
            out.write(_header(progress.written, target.size))
            _sync(out)
        skipped = set(progress.skipped)
        names = [name for name in files.members if name not in skipped]
        if not names:
            raise UsageError(f"none of the {len(skipped)} images in '{files.path}' can be read: get them anew")
        target.index.unlink(missing_ok=True)
        os.replace(target.part, target.array)
        with replacing(target.index) as file:
            file.write(json.dumps({"version": VERSION, **vars(progress), "names": names}).encode())
    except (UsageError, OSError):
        target.forget()
        raise
    target.forget()
    return names


def _begin(files: ImageFiles, target: Target) -> Progress:
    """Where to go on, or a new beginning."""
    fingerprint, saved = files.fingerprint(), read_json(target.progress)
    if saved is None or saved["fingerprint"] != fingerprint or not target.part.exists():
        target.forget()
        saved = {"fingerprint": fingerprint, "written": 0, "skipped": []}
    progress = Progress(**saved)
    missing = target.bytes(len(files.members) - progress.written)
    free = shutil.disk_usage(target.folder).free
    if free < missing:
        raise UsageError(
            f"the decoded images need {missing / 2**20:,.0f} MiB in '{target.folder}', where {free / 2**20:,.0f} are "
            "free: make room, or give cache=DIR"
        )
    target.part.touch()
    return progress


def _decode(files: ImageFiles, target: Target, out: IO[bytes], progress: Progress, damaged: str) -> None:
    done = progress.written + len(progress.skipped)
    names = list(files.members)
    threads = 1 if sum(files.sizes.values()) < TINY * len(names) else None
    decode = partial(_image, files, target.size)
    with (
        files.reading() as read,
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=len(names), initial=done, desc=f"decode {target.array.name}", unit="image") as bar,
    ):
        for first in range(done, len(names), CHUNK):
            chunk = names[first : first + CHUNK]
            images = list(pool.map(decode, chunk, [_content(read, name) for name in chunk]))
            wrong = {name: image for name, image in zip(chunk, images, strict=True) if isinstance(image, str)}
            if wrong and damaged != "skip":
                bar.leave = False  # what is said next stands alone
                name, reason = next(iter(wrong.items()))
                raise UsageError(
                    f"cannot read image '{files.title(name)}' ({reason}): repair it, or leave out damaged images "
                    "with damaged=skip"
                )
            _append(out, [image for image in images if not isinstance(image, str)])
            progress.written += len(chunk) - len(wrong)
            progress.skipped += wrong
            bar.update(len(chunk))
            if (first - done) // CHUNK % (SAVED // CHUNK) == SAVED // CHUNK - 1:
                _save(target, out, progress)


def _content(read: Callable[[str], bytes], name: str) -> bytes | str:
    """The bytes of a file, or why they cannot be had."""
    try:
        return read(name)
    except Exception as error:  # zipfile raises many kinds for a damaged archive
        return " ".join(str(error).split())


def _image(files: ImageFiles, size: int, name: str, content: bytes | str) -> Pixels | str:
    """The pixels (S, S, 3), or why there are none."""
    if isinstance(content, str):
        return content
    try:
        return np.asarray(read_image(BytesIO(content), size, files.title(name)))
    except UsageError as error:
        return " ".join(str(error.__cause__).split()).partition(" <_io.")[0]


def _append(out: IO[bytes], images: Sequence[Pixels]) -> None:
    """By write, not through a memory map, where a full disk would end the process without a word."""
    for image in images:
        out.write(image.tobytes())


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


def _save(target: Target, out: IO[bytes], progress: Progress) -> None:
    _sync(out)
    with replacing(target.progress) as file:
        file.write(json.dumps(vars(progress)).encode())


def _header(n: int, size: int) -> bytes:
    file = BytesIO()
    shape = (n, size, size, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file of ours holds; None if there is none, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and "fingerprint" in value else None
