"""Image files below a folder, and what else lies there: links are followed, and nothing is left out in silence."""

from __future__ import annotations

import errno
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from PIL import Image

NO_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow opens and cannot decode, or only with another program."""

NAMED = 10
"""Suffixes that a message names, at most."""

Identity = tuple[int, int]
"""Device and inode of a folder."""


def image_suffixes() -> frozenset[str]:
    """The suffixes of the files that Pillow, with its plugins, decodes as images; in lower case, with the dot."""
    Image.preinit()  # first, as `Image.open` does: it tries formats in the order of their registration
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in NO_IMAGES)


def walk_files(folder: Path | str, above: frozenset[Identity] = frozenset()) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder, in the order of paths, except what is hidden: a name that begins with a dot.

    Links are followed, but not one to a folder that it lies in, or to one of those `above`.

    Raises:
        OSError: a folder cannot be read; `filename` is its path.
    """
    if (identity := folder_identity(folder)) in above:
        return
    for entry in visible_entries(folder):
        if is_folder(entry):
            yield from walk_files(entry.path, above | {identity})
        else:
            yield entry


def folder_identity(folder: Path | str) -> Identity:
    """What tells a folder from others, whatever its path."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def visible_entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What a folder holds and is not hidden, in the order of names."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one; a link to nothing, or to itself, counts as a file."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def find_images(folder: Path | str, skipped: Counter[str], above: frozenset[Identity] = frozenset()) -> list[Path]:
    """The images below a folder, as `walk_files` finds them.

    Args:
        folder: where to look.
        skipped: counts the other files, by suffix.
        above: folders that no link leads back to.

    Raises:
        OSError: a folder cannot be read; `filename` is its path.
    """
    return images_among(walk_files(folder, above), skipped)


def images_among(files: Iterable[os.DirEntry[str]], skipped: Counter[str]) -> list[Path]:
    """The files that have the suffix of an image; the others are counted by suffix."""
    suffixes, found = image_suffixes(), []
    for file in files:
        suffix = os.path.splitext(file.name)[1].lower()
        if suffix in suffixes:
            found.append(Path(file.path))
        else:
            skipped[suffix] += 1
    return found


def warn_of_skipped(skipped: Mapping[str, int], place: object) -> None:
    """Say how many files were skipped because their suffix is not that of an image."""
    if total := sum(skipped.values()):
        ordered = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{suffix or 'without suffix'} {count:,}" for suffix, count in ordered[:NAMED]]
        more = f" and {len(ordered) - NAMED} more kinds" if len(ordered) > NAMED else ""
        files = "1 file" if total == 1 else f"{total:,} files"
        warnings.warn(f"skipped {files} in '{place}': {', '.join(kinds)}{more}", stacklevel=3)
