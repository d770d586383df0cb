"""Image files as people have them: folders of classes with or without train and test, loose images, and lists.

Everything is decided from names, before an image is read.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from avalanche_ssl.data.image_files import (
    Identity,
    find_images,
    folder_identity,
    images_among,
    is_folder,
    visible_entries,
    warn_of_skipped,
)
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.files import split_paths
from avalanche_ssl.streams.list_file import read_list

TEST_FOLDERS = ("test", "val", "valid", "validation")
"""Names of the folder of test images next to `train`; the first that is there is read."""

NAMED = 5
"""Classes or folders that a message names, at most."""

Entries = list[tuple[Path, "str | None"]]
"""Images and the name of the class of each; None without labels."""


@dataclass
class LabeledFiles:
    """Image files, their labels and the names of the classes; without labels these are -1 and there is no class."""

    paths: list[Path]
    targets: list[int]
    classes: list[str]


@dataclass
class FoundFiles:
    """The images of a source, or of several."""

    place: str
    train: LabeledFiles
    test: LabeledFiles | None
    """None: there are none apart from `train`."""

    @property
    def summary(self) -> str:
        """What was found, and taken for what."""
        if not self.train.classes:
            apart = f" and {len(self.test.paths):,} for testing" if self.test else ""
            images = "1 image" if len(self.train.paths) == 1 else f"{len(self.train.paths):,} images"
            return f"found {images} without labels in '{self.place}'{apart}"
        names = _shortened(self.train.classes)
        classes = "1 class" if len(self.train.classes) == 1 else f"{len(self.train.classes):,} classes"
        return f"found {classes} in '{self.place}' ({names})"


def find_files(data: str | Path, labels: str) -> FoundFiles:
    """The images of `data`: the path of a folder or a list, or several that the system's separator of paths joins.

    Args:
        data: a folder holds train/CLASS/* and test/CLASS/*, or CLASS/*, or images without labels, at any depth.
        labels: "auto": two or more folders with images are classes, and so are all in `train`; "none": no folder is.

    Raises:
        UsageError: a folder or file is missing, given twice, cannot be read, or is not where its label can be known.
    """
    if labels not in ("auto", "none"):
        raise unknown_name("way to find labels", labels, ("auto", "none"))
    places = [Path(path).expanduser() for path in split_paths(data)]
    if again := [str(path) for i, path in enumerate(places) if path.resolve() in [p.resolve() for p in places[:i]]]:
        raise UsageError(f"'{again[0]}' is given twice, and its images would be, too: leave one out")
    sources = [_read(path, labels) for path in places]
    first = sources[0]
    for source in sources[1:]:
        if (source.test is None) != (first.test is None):
            one, other = (first, source) if first.test is not None else (source, first)
            raise UsageError(f"'{one.path}' has test images and '{other.path}' has none: give them all, or none")
        if source.labeled != first.labeled:
            one, other = (first, source) if first.labeled else (source, first)
            raise UsageError(f"'{one.path}' has classes and '{other.path}' has none: give labels=none")
    place = os.pathsep.join(str(source.path) for source in sources)
    listed = all(source.listed for source in sources)
    train = _labeled([entry for source in sources for entry in source.train], listed)
    if first.test is None:
        return FoundFiles(place, train, None)
    test = _labeled([entry for source in sources for entry in source.test or []], listed)
    _check_classes(first, train, test)
    return FoundFiles(place, train, test)


@dataclass
class _Source:
    """A folder or a list: its images for training, and those for testing if they are apart."""

    path: Path
    train: Entries
    test: Entries | None = None
    test_folder: str = "test"
    listed: bool = False

    @property
    def labeled(self) -> bool:
        return self.train[0][1] is not None


def _read(path: Path, labels: str) -> _Source:
    if path.is_file():
        entries = read_list(path)
        return _Source(path, [(image, None) for image, _ in entries] if labels == "none" else entries, listed=True)
    if not path.is_dir():
        raise UsageError(f"no folder '{path}': give one that holds train/CLASS/* and test/CLASS/*, CLASS/*, or images")
    skipped: Counter[str] = Counter()
    try:
        source = _read_folder(path, labels, skipped)
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}' ({error.strerror}): give a readable folder") from error
    warn_of_skipped(skipped, path)
    return source


def _read_folder(path: Path, labels: str, skipped: Counter[str]) -> _Source:
    """The images of a folder; files that are none are counted."""
    train, tests = path / "train", [path / name for name in TEST_FOLDERS if (path / name).is_dir()][:1]
    above = frozenset([folder_identity(path)])
    if not train.is_dir():
        if (path / "test").is_dir():
            raise UsageError(f"no folder '{train}': make it, with one folder of images for each class")
        return _Source(path, _scan(path, labels, skipped, at_least=2))
    unread = [e.name for e in visible_entries(path) if is_folder(e) and path / e.name not in (train, *tests)]
    if unread:
        warnings.warn(f"not read in '{path}', beside 'train': {_shortened(unread)}", stacklevel=4)
    found = _scan(train, labels, skipped, above)
    if not tests:
        return _Source(path, found)
    return _Source(path, found, _scan(tests[0], labels, skipped, above), tests[0].name)


def _scan(
    root: Path, labels: str, skipped: Counter[str], above: frozenset[Identity] = frozenset(), at_least: int = 1
) -> Entries:
    """The images below a folder; its own folders are classes if `at_least` so many hold images."""
    entries = visible_entries(root)
    above |= {folder_identity(root)}
    folders = {entry.name: find_images(entry.path, skipped, above) for entry in entries if is_folder(entry)}
    loose = images_among((entry for entry in entries if entry.name not in folders), skipped)
    filled = [paths for paths in folders.values() if paths]
    if not filled and not loose:
        raise UsageError(_no_image(root / next(iter(folders), "")))
    if labels == "auto" and filled and loose:
        raise UsageError(
            f"'{loose[0]}' lies next to class folders: move it into one of them, or give labels=none if they are none"
        )
    if labels == "none" or len(filled) < at_least or loose:
        return [(path, None) for path in sorted([*loose, *chain.from_iterable(filled)])]
    for name, paths in folders.items():
        if not paths:
            raise UsageError(f"{_no_image(root / name)} or remove it")
    return [(path, name) for name, paths in folders.items() for path in paths]


def _no_image(folder: Path) -> str:
    others: Counter[str] = Counter()
    find_images(folder, others)
    instead = (
        f" but files of other kinds ({', '.join(sorted(kind or 'no suffix' for kind in others))})" if others else ""
    )
    return f"no image in '{folder}'{instead}: add some (.jpg, .png or another that Pillow reads)"


def _labeled(entries: Entries, listed: bool) -> LabeledFiles:
    """The entries with numbers for the classes: in alphabetical order, whole numbers of a list by their value."""
    names = {name for _, name in entries if name is not None}
    numbers = listed and all(name.isdecimal() for name in names)
    classes = sorted(names, key=lambda name: (int(name) if numbers else 0, name))
    number = {name: i for i, name in enumerate(classes)} | {None: -1}
    return LabeledFiles([path for path, _ in entries], [number[name] for _, name in entries], classes)


def _check_classes(source: _Source, train: LabeledFiles, test: LabeledFiles) -> None:
    """Refuse classes that are for training or testing only."""
    data, part = source.path, source.test_folder
    if bool(train.classes) != bool(test.classes):
        flat, other = (part, "train") if train.classes else ("train", part)
        raise UsageError(f"'{data / flat}' has no class folders but '{data / other}' has: sort it into classes")
    for name in train.classes:
        if name not in test.classes:
            raise UsageError(f"class '{name}' has no test image: add some to '{data / part / name}'")
    for name in test.classes:
        if name not in train.classes:
            raise UsageError(f"class '{name}' is in '{data / part}' only: add training images or remove it")


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
