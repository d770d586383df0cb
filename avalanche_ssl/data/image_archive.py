"""The image files in a folder or in a zip file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class ImageFiles:
    """Image files by name, in order: `members` is the place of each in `path`, `sizes` its bytes.

    A folder and the zip file of the same images have the same names, sizes and fingerprint.
    """

    path: Path
    members: dict[str, str]
    sizes: dict[str, int]

    def fingerprint(self) -> str:
        """A hash that changes when an image is added, removed, renamed, or replaced by one of another length."""
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

    Raises:
        UsageError: the folder or the zip file cannot be read.
    """
    try:
        found = list(_walk(path, "") if path.is_dir() else _archived(path))
    except (OSError, BadZipFile) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"cannot read '{path}' ({reason}): give a readable folder or zip file") from error
    named = {match[1]: entry for entry in found if (match := pattern.search(entry[0]))}
    names = sorted(named, key=order)  # type: ignore[arg-type]
    return ImageFiles(path, {name: named[name][0] for name in names}, {name: named[name][1] for name in names})


def _walk(root: Path, below: str) -> Iterator[tuple[str, int]]:
    """Path and size in bytes of every file."""
    with os.scandir(root / below) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(root, f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}", entry.stat().st_size


def _archived(path: Path) -> Iterator[tuple[str, int]]:
    with ZipFile(path) as archive:
        yield from ((entry.filename, entry.file_size) for entry in archive.infolist() if not entry.is_dir())
