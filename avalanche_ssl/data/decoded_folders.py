"""Decoded image files, kept on disk for the next run.

Each list of files at a size is one .npy file in `avalanche-ssl/decoded` of the user's cache folder, whose name is a
hash of the paths, sizes, modification and change times of the files: it is found as long as none has changed. At most
`MAX_BYTES` are kept, those longest unused are removed first. Small lists, and images of which something had to be said
(damaged ones left out, transparent pixels, animations), are decoded each time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import __version__ as pillow

from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.data.image_decoding import Findings, decode_files
from avalanche_ssl.data.pixels import Pixels, ValueRange
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import locked_when_free, replacing

MAX_BYTES = 2**31
"""Of all images that are kept."""

MIN_IMAGES = 2000
"""Fewer are decoded in less than a second, unless they are large: `MIN_FILE_BYTES`."""

MIN_FILE_BYTES = 2**24
"""Files of so many bytes together are worth keeping, however few they are."""

VARIABLE = "AVALANCHE_SSL_CACHE"
"""Of the environment: the folder for what is kept, or "off"."""


def decoded_files(
    paths: Sequence[Path], size: int, damaged: str = "refuse", value_range: ValueRange | None = None
) -> tuple[Pixels, Indices]:
    """The images of files and their positions, as `decode_files` gives them: from the cache, or decoded and kept."""
    place = _place(paths, size, value_range)
    if place is None:
        return decode_files(paths, size, damaged, value_range)
    if (images := _read(place, (len(paths), size, size, 3))) is not None:
        return images, np.arange(len(paths))
    findings = Findings()
    images, kept = decode_files(paths, size, damaged, value_range, findings)
    if len(kept) == len(paths) and findings == Findings():
        _keep(place, images)
    return images, kept


def cache_folder() -> Path | None:
    """Where decoded images are kept; None: nowhere, or there is no such folder on this machine."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen:
        return None if chosen == "off" else Path(chosen).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avalanche-ssl" / "decoded"
    except RuntimeError:  # a user without a home
        return None


def _place(paths: Sequence[Path], size: int, value_range: ValueRange | None) -> Path | None:
    """The file for these images, whether it is there or not; None if they are not to be kept."""
    folder = cache_folder()
    if folder is None or 3 * len(paths) * size**2 > MAX_BYTES:
        return None
    found = hashlib.sha256(repr((version("avalanche-ssl"), pillow, size, value_range)).encode())
    total = 0
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # decoding will say so
            return None
        total += status.st_size
        name = os.path.abspath(path)
        found.update(repr((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)).encode())
    worth = len(paths) >= MIN_IMAGES or total >= MIN_FILE_BYTES
    return folder / f"{found.hexdigest()[:40]}.npy" if worth else None


def _read(place: Path, shape: tuple[int, ...]) -> Pixels | None:
    """The images that are kept in a file; None if there are none, or other ones."""
    try:
        images = np.load(place)
        os.utime(place)  # used now
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _keep(place: Path, images: Pixels) -> None:
    """Write the images and say so, after removing what is longest unused; nothing where the disk refuses."""
    folder = place.parent
    with suppress(OSError, UsageError):
        folder.mkdir(parents=True, exist_ok=True)
        with locked_when_free(folder):
            if place.exists():  # another process was as fast
                return
            _make_room(folder, images.nbytes)
            with replacing(place) as file:
                np.save(file, images)
        print(
            f"{len(images):,} decoded images ({images.nbytes / 2**20:,.0f} MiB) are kept for the next run in '{folder}'"
            f", at most {MAX_BYTES / 2**30:g} GiB in all; {VARIABLE}=DIR chooses another place, {VARIABLE}=off none",
            file=sys.stderr,
        )


def _make_room(folder: Path, needed: int) -> None:
    """Remove the files that are longest unused until `needed` bytes more are within the limit."""
    files = sorted(((path.stat(), path) for path in folder.glob("*.npy")), key=lambda entry: entry[0].st_mtime)
    total = needed + sum(status.st_size for status, _ in files)
    for status, path in files:
        if total <= MAX_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
