"""Cached decoded images: one array on disk, which every process maps into its memory.

`NAME-SIZE.npy` holds the images (N, SIZE, SIZE, 3) as uint8, `NAME-SIZE.json` their names and the fingerprint of the
files that they were decoded from. Images are decoded once; later runs decode nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_cache_writer import VERSION, CachePaths, read_index, write_cache
from avalanche_ssl.errors import UsageError, unknown_name
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
        UsageError: an image is damaged (named), the disk is full, or no folder can be written; nothing is left behind.
    """
    if damaged not in ("refuse", "skip"):
        raise unknown_name("way with a damaged image", damaged, ("refuse", "skip"))
    candidates = [CachePaths(folder, name, size) for folder in folders]
    fingerprint = None if files is None else files.fingerprint()
    for paths in candidates:
        if found := _complete(paths, fingerprint, damaged):
            return found
    if files is None:
        raise UsageError(f"no images and no '{candidates[0].array}': give the folder or zip file of the images")
    paths = _writable(candidates)
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        with locked_when_free(paths.folder):
            found = _complete(paths, fingerprint, damaged)
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


def _complete(paths: CachePaths, fingerprint: str | None, damaged: str) -> CachedImages | None:
    """The cache that is there, if it is complete and of images with this fingerprint (None: of any)."""
    index = read_index(paths.index)
    if index is None or index.get("version") != VERSION or fingerprint not in (None, index["fingerprint"]):
        return None
    try:
        shape = np.load(paths.array, mmap_mode="r").shape
    except (OSError, ValueError):  # absent, or shorter than its header says
        return None
    if shape != (len(index["names"]), paths.size, paths.size, 3):
        return None
    if index["skipped"] and damaged != "skip":
        raise UsageError(
            f"'{paths.array}' leaves out {len(index['skipped'])} damaged images, first '{index['skipped'][0]}': "
            "give damaged=skip, or repair them"
        )
    return CachedImages(paths.array, index["names"])
