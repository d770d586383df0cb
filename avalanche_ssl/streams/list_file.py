"""Text files that list images: a path on each line, with or without a label."""

from __future__ import annotations

import os
from pathlib import Path

from avalanche_ssl.data.image_files import image_suffixes
from avalanche_ssl.errors import UsageError

FORMAT = (
    "give a folder of images (unpack an archive), or a text file that lists images: a path on each line, and a label "
    "after a tab"
)


def read_list(path: Path) -> list[tuple[Path, str | None]]:
    """The images of a list and their labels, in its order; None: no label.

    A line is the path of an image, relative to the folder of the list. A label follows after a tab; or after a space at
    the end, if what the line ends in is not the suffix of an image, as in "b/my photo.jpg 3". Empty lines do not count.

    Raises:
        UsageError: it cannot be read, lists no image or one twice, or only some lines have a label.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise UsageError(f"cannot read '{path}' ({reason}): {FORMAT}") from error
    suffixes, entries = image_suffixes(), []
    numbers: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()):
            continue
        name, label = _entry(text, suffixes)
        if (earlier := numbers.setdefault(name, number)) != number:
            raise UsageError(f"'{path}', line {number}: '{name}' is in line {earlier} already: remove one of them")
        entries.append((path.parent / name, label))
        if (label is None) != (entries[0][1] is None):
            has, first = ("no label", "has one") if label is None else (f"label '{label}'", "has none")
            raise UsageError(f"'{path}', line {number}: {has}, and the first line {first}: give all lines one, or none")
    if not entries:
        raise UsageError(f"no image in '{path}': {FORMAT}")
    return entries


def _entry(text: str, suffixes: frozenset[str]) -> tuple[str, str | None]:
    """Path and label of a line."""
    name, tab, label = text.rpartition("\t")
    if not tab and os.path.splitext(text)[1].lower() not in suffixes:
        name, tab, label = text.rpartition(" ")
    return (name.rstrip(), label.strip()) if tab else (text, None)
