"""Cached decoded images: one array on disk, which every process maps into its memory.

`NAME-SIZE.npy` holds the images (N, SIZE, SIZE, 3) as uint8, `NAME-SIZE.json` their names, and sizes, CRC-32 and
modification times of the files that they were decoded from. Images are decoded once; later runs decode nothing, unless
a file has changed: then all are decoded again.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_cache_writer import VERSION, CachePaths, read_index, write_cache, write_index
from avalanche_ssl.data.image_decoding import check_damaged_option
from avalanche_ssl.data.image_sources import first_change
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import locked_when_free


@dataclass(frozen=True)
class CachedImages:
    """Decoded images in `path`, a .npy file, and their names."""

    path: Path
    names: list[str]


def cached_images(
    files: ImageFiles | None, name: str, size: int, folders: Sequence[Path], damaged: str = "refuse"
) -> CachedImages:
    """The images at `size` pixels a side, as found in one of `folders` or decoded into the first that can be written.

    Decoding shows a progress bar. An interrupted conversion is continued by the next call; while one process converts,
    others wait.

    Args:
        files: the images; None if they are gone, and only the cache may be left.
        name: the beginning of the files' names.
        size: pixels a side; images of other sizes are resized (shorter side, then the center).
        folders: where the cache may lie.
        damaged: "refuse" or "skip" an image that cannot be decoded.

    Raises:
        UsageError: images are damaged (named), the disk is full, or no folder can be written; nothing is left behind.
    """
    check_damaged_option(damaged)
    candidates = [CachePaths(folder, name, size) for folder in folders]
    for paths in candidates:
        if found := _complete(paths, files, damaged):
            return found
    if files is None:
        raise UsageError(f"no images and no '{candidates[0].array}': give the folder or zip file of the images")
    paths = _writable(candidates)
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        with locked_when_free(paths.folder):
            found = _complete(paths, files, damaged, True)
            return found or CachedImages(paths.array, write_cache(files, paths, damaged))
    except OSError as error:
        raise UsageError(
            f"cannot write the decoded images to '{paths.folder}' ({error.strerror}): make room, or give cache=DIR"
        ) from error


def _writable(candidates: Sequence[CachePaths]) -> CachePaths:
    """The first in whose folder files can be made."""
    first, last = candidates[0].folder, candidates[-1].folder
    chosen = next((paths for paths in candidates if _is_writable(paths.folder)), None)
    if chosen is None:
        raise UsageError(f"cannot write to '{last}': give cache=DIR, a folder for the decoded images")
    if chosen.folder != first:
        print(f"'{first}' cannot be written: the decoded images are kept in '{chosen.folder}'", file=sys.stderr)
    return chosen


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in the folder, which need not exist yet."""
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _complete(paths: CachePaths, files: ImageFiles | None, damaged: str, locked: bool = False) -> CachedImages | None:
    """The cache that is there, if it is complete and of these files (None: of any).

    Who has locked the folder will make another, and says why.
    """
    index = read_index(paths.index)
    if index is None or (files and files.fingerprint() != index["fingerprint"]):
        return None
    try:
        shape = np.load(paths.array, mmap_mode="r").shape
    except (OSError, ValueError):  # absent, or shorter than its header says
        return None
    if shape != (len(index["names"]), paths.size, paths.size, 3):
        return None
    if files and (reason := _outdated(paths, files, index)):
        if locked:
            print(f"{reason}: the images are decoded again", file=sys.stderr)
        return None
    if files and not locked:
        _note_mtimes(paths, files, index)
    if skipped := index["skipped"]:
        left_out = f"'{paths.array}' leaves out {len(skipped)} damaged images, first '{skipped[0]}'"
        if damaged != "skip":
            raise UsageError(f"{left_out}: give damaged=skip, or repair them")
        warnings.warn(left_out, stacklevel=3)
    return CachedImages(paths.array, index["names"])


def _outdated(paths: CachePaths, files: ImageFiles, index: dict[str, Any]) -> str:
    """Why an array is not of the files as they are now, though of their names and sizes; empty if it is."""
    if index.get("version") != VERSION or len(index["crcs"]) != len(files.members):
        return f"'{paths.array}' is of an older version, which did not note the content of its files"
    if changed := first_change(files, index["crcs"], index["mtimes"]):
        return f"'{files.location(changed)}' has changed since '{paths.array}' was made"
    return ""


def _note_mtimes(paths: CachePaths, files: ImageFiles, index: dict[str, Any]) -> None:
    """Note the modification times of files that were copied, or touched, so that they are not read every time."""
    now = [files.mtimes.get(name) for name in files.members]
    if files.mtimes and now != index["mtimes"]:
        with suppress(UsageError), locked_when_free(paths.folder):  # the folder may not be writable
            write_index(paths, index | {"mtimes": now})
