"""Whether image files still have the content that an array on disk was decoded from."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

from tqdm import tqdm

from avalanche_ssl.data.image_archive import ImageFiles

SAMPLE = 64
"""Files whose content is compared although neither size nor modification time has changed."""


def first_change(files: ImageFiles, crcs: Sequence[int | None], mtimes: Sequence[int | None]) -> str | None:
    """The name of an image whose content is not what was recorded; None if all are as they were.

    A zip file lists the CRC-32 of each member. In a folder the files with another modification time are read, and of
    either a sample that is always the same.

    Args:
        files: the images, of the names and sizes that were recorded.
        crcs: CRC-32 of the first ones, in order; None: could not be read.
        mtimes: their modification times in nanoseconds; None: in a zip file.
    """
    recorded = dict(zip(files.members, crcs, strict=False))
    for name, crc in recorded.items():
        if crc is not None and files.crcs.get(name, crc) != crc:
            return name
    touched = [name for name, mtime in zip(recorded, mtimes, strict=True) if files.mtimes.get(name, mtime) != mtime]
    sample = random.Random(0).sample(list(recorded), min(SAMPLE, len(recorded)))
    names = [name for name in dict.fromkeys([*sample, *touched]) if recorded[name] is not None]
    with files.reader() as read:
        for name in tqdm(names, desc=f"compare {files.path.name}", unit="image", disable=None, delay=2, leave=False):
            try:
                content = read(name)
            except Exception:  # zipfile raises many kinds for a damaged archive
                return name
            if zlib.crc32(content) != recorded[name]:
                return name
    return None
