"""The image files in a folder or in a zip file."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from avalanche_ssl.data.image_files import walk_files, warn_of_skipped
from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class ImageFiles:
    """Image files by name, in order: `members` is the place of each in `path`, `sizes` its bytes.

    A folder and the zip file of the same images have the same names, sizes and fingerprint. Of a folder `mtimes` has
    the modification times in nanoseconds, of a zip file `crcs` the CRC-32 of each content.
    """

    path: Path
    members: dict[str, str]
    sizes: dict[str, int]
    mtimes: dict[str, int]
    crcs: dict[str, int]

    def fingerprint(self) -> str:
        """A hash that changes when an image is added, removed, renamed, or replaced by one of another length.

        Whether one was replaced by one of the same length is up to `avalanche_ssl.data.image_sources`.
        """
        text = "".join(f"{name} {self.sizes[name]}\n" for name in self.members)
        return hashlib.sha256(text.encode()).hexdigest()

    def location(self, name: str) -> str:
        """The path of an image, for messages."""
        return f"{self.path}/{self.members[name]}"

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], bytes]]:
        """A function that returns the bytes of an image; for one thread."""
        if self.path.is_dir():
            yield lambda name: (self.path / self.members[name]).read_bytes()
        else:
            with ZipFile(self.path) as archive:
                yield lambda name: archive.read(self.members[name])


def find_image_files(path: Path, pattern: re.Pattern[str], order: Callable[[str], object]) -> ImageFiles:
    """The files whose path in a folder or zip file matches `pattern`; its first group is their name.

    Links in a folder are followed, hidden files are not read; a warning counts the other files that do not match.

    Raises:
        UsageError: the folder or the zip file cannot be read.
    """
    try:
        found = list(_in_folder(path) if path.is_dir() else _archived(path))
    except (OSError, BadZipFile) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        place = getattr(error, "filename", None) or path
        raise UsageError(f"cannot read '{place}' ({reason}): give a readable folder or zip file") from error
    others = Counter(PurePosixPath(e.member).suffix.lower() for e in found if not pattern.search(e.member))
    warn_of_skipped(others, path)
    named = {match[1]: entry for entry in found if (match := pattern.search(entry.member))}
    names = sorted(named, key=order)  # type: ignore[arg-type]
    return ImageFiles(
        path,
        members={name: named[name].member for name in names},
        sizes={name: named[name].size for name in names},
        mtimes={name: mtime for name in names if (mtime := named[name].mtime) is not None},
        crcs={name: crc for name in names if (crc := named[name].crc) is not None},
    )


class _Entry(NamedTuple):
    """A file: its path in a folder with its modification time (ns), or in a zip file with its CRC-32."""

    member: str
    size: int
    mtime: int | None = None
    crc: int | None = None


def _in_folder(root: Path) -> Iterator[_Entry]:
    """Every file in a folder; a link to nothing is an empty file, which cannot be read."""
    start = len(os.path.join(root, ""))
    for entry in walk_files(root):
        member = entry.path[start:].replace(os.sep, "/")
        try:
            status = entry.stat()
        except OSError:
            yield _Entry(member, 0)
        else:
            yield _Entry(member, status.st_size, mtime=status.st_mtime_ns)


def _archived(path: Path) -> Iterator[_Entry]:
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            hidden = any(part.startswith(".") for part in PurePosixPath(entry.filename).parts)
            if not entry.is_dir() and not hidden:
                yield _Entry(entry.filename, entry.file_size, crc=entry.CRC)
