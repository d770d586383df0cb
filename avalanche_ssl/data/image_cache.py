"""How do image files become one array on disk that every process maps into its memory?

`NAME-SIZE.npy` holds the images (N, SIZE, SIZE, 3) as uint8, `NAME-SIZE.json` their names and the fingerprint of what
they were made from. They are made once, and later runs decode nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_cache_writer import VERSION, Target, convert, read_json
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.files import _alone


@dataclass(frozen=True)
class Frames:
    """Images in `path`, a .npy file, and their names."""

    path: Path
    names: list[str]


def frames(files: ImageFiles | None, name: str, size: int, folders: Sequence[Path], damaged: str = "refuse") -> Frames:
    """The images at `size` pixels a side: as found in one of the `folders`, or made in the first that can be written.

    Making them shows a bar. What was made when it was interrupted is used by the next call; while one process makes
    them, others wait.

    Args:
        files: what they are made from; None if that is gone, and what was made is all there is.
        name: the beginning of the files' names.
        size: pixels a side; images of other sizes are resized (shorter side, then the centre).
        folders: where they may lie.
        damaged: "refuse" or "skip" an image that cannot be decoded.

    Raises:
        UsageError: an image is damaged (named), the disk is full, or no folder can be written; nothing is left behind.
    """
    if damaged not in ("refuse", "skip"):
        raise unknown_name("way with a damaged image", damaged, ("refuse", "skip"))
    targets = [Target(folder, name, size) for folder in folders]
    want = None if files is None else files.fingerprint()
    for target in targets:
        if found := _complete(target, want, damaged):
            return found
    if files is None:
        raise UsageError(f"no images and no '{targets[0].array}': give the folder or zip file of the images")
    chosen = next((target for target in targets if _writable(target.folder)), None)
    if chosen is None:
        raise UsageError(f"cannot write to '{folders[-1]}': give cache=DIR, a folder for the decoded images")
    if chosen is not targets[0]:
        print(f"'{folders[0]}' cannot be written: the decoded images are kept in '{chosen.folder}'", file=sys.stderr)
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        with _alone(chosen.folder):
            return _complete(chosen, want, damaged) or Frames(chosen.array, convert(files, chosen, damaged))
    except OSError as error:
        raise UsageError(
            f"cannot write the decoded images to '{chosen.folder}' ({error.strerror}): make room, or give cache=DIR"
        ) from error


def _writable(folder: Path) -> bool:
    """Could files be made in it, once it is there?"""
    parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _complete(target: Target, want: str | None, damaged: str) -> Frames | None:
    """What is there, if it is whole, and was made from images with this fingerprint."""
    index = read_json(target.index)
    if index is None or index.get("version") != VERSION or want not in (None, index["fingerprint"]):
        return None
    try:
        shape = np.load(target.array, mmap_mode="r").shape
    except (OSError, ValueError):  # absent, or shorter than it says
        return None
    if shape != (len(index["names"]), target.size, target.size, 3):
        return None
    if index["skipped"] and damaged != "skip":
        raise UsageError(
            f"'{target.array}' leaves out {len(index['skipped'])} damaged images, first '{index['skipped'][0]}': "
            "give damaged=skip, or repair them"
        )
    return Frames(target.array, index["names"])
