"""Streams of image files, with or without labels."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from avalanche.benchmarks import CLScenario

from avalanche_ssl.data import ArrayDataset, Indices, ValueRange, check_memory, check_value_range
from avalanche_ssl.data.decoded_folders import decoded_files
from avalanche_ssl.data.image_decoding import check_damaged_option
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.folder_layout import LabeledFiles, find_files
from avalanche_ssl.streams.partitions import held_out, most_experiences
from avalanche_ssl.streams.splits import IncrementalSplit


@dataclass(frozen=True)
class ReadOptions:
    """How image files are read.

    Args:
        size: pixels a side.
        damaged: "refuse" or "skip" images that cannot be decoded.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
        test_fraction: of each class, for testing; None: the test images are others.
    """

    size: int
    damaged: str = "refuse"
    value_range: ValueRange | None = None
    test_fraction: float | None = None

    def check(self) -> None:
        """Find mistakes before images are read.

        Raises:
            UsageError: a value is out of its range.
        """
        if self.size < 1:
            raise UsageError(f"cannot resize images to size={self.size}: give 1 or more")
        check_damaged_option(self.damaged)
        check_value_range(self.value_range)
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise UsageError(f"test_fraction is {self.test_fraction}: give a share of each class between 0 and 1")


def folder_benchmark(
    data: str | Path, labels: str, read: ReadOptions, split: IncrementalSplit, fewer_experiences: bool
) -> CLScenario:
    """The stream of a folder, a list, or several; files and options are checked before images are decoded.

    Args:
        data, labels: see `find_files`.
        read: `test_fraction` is taken where there are labels and no test images.
        split: "auto" for `incremental` is "class", or "data" without labels.
        fewer_experiences: where so many are not possible make as many as are, and say so.
    """
    read.check()
    found = find_files(data, labels)
    classes = found.train.classes
    if split.incremental == "auto":
        split = replace(split, incremental="class" if classes else "data")
    if not classes and (split.incremental != "data" or split.imbalance != 1):
        raise UsageError(f"the images of '{found.place}' have no classes: choose incremental=data and no imbalance")
    if not classes or found.test is not None:
        read = replace(read, test_fraction=None)
    if not classes or found.test is None:
        apart = f": {100 * read.test_fraction:g} % of each for testing" if read.test_fraction else ""
        print(f"{found.summary}{apart}", file=sys.stderr)
    return benchmark_from_files(found.train, found.test, read, split, fewer_experiences)


def benchmark_from_files(
    train: LabeledFiles,
    test: LabeledFiles | None,
    read: ReadOptions,
    split: IncrementalSplit,
    fewer_experiences: bool = False,
) -> CLScenario:
    """The stream of image files; the options are checked before images are decoded.

    Its attribute `decided` has the options that the images decide, if the caller leaves them open.
    """
    read.check()
    paths, targets = train.paths, np.asarray(train.targets)
    is_test = np.zeros(len(paths), bool)
    if test is not None:
        paths, targets = [*paths, *test.paths], np.concatenate([targets, test.targets])
        is_test = np.arange(len(paths)) >= len(train.paths)
    if fewer_experiences:
        split = _fewer(split, train.classes, *_sides(targets, is_test, train.classes, read.test_fraction, split.seed))
    _parts(targets, is_test, train.classes, read.test_fraction, split)  # mistakes show before images are decoded
    check_memory(len(paths), read.size)
    pixels, kept = decoded_files(paths, read.size, read.damaged, read.value_range)
    targets, is_test = targets[kept], is_test[kept]
    if len(kept) < len(paths):
        _check_left(targets, is_test, train.classes, test is not None)
    train_parts, test_parts = _parts(targets, is_test, train.classes, read.test_fraction, split)
    dataset = ArrayDataset(pixels, targets)
    tested = dataset if test_parts else None
    benchmark = benchmark_from_parts(dataset, train_parts, tested, test_parts, train.classes or None)
    benchmark.decided = {"experiences": split.experiences, "incremental": split.incremental}
    return benchmark


def _sides(
    targets: Indices, is_test: Indices, classes: list[str], fraction: float | None, seed: int
) -> tuple[Indices, Indices]:
    """The positions of all images for training, and of those for testing."""
    if fraction is not None:
        return held_out(targets, fraction, seed, classes)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _parts(
    targets: Indices, is_test: Indices, classes: list[str], fraction: float | None, split: IncrementalSplit
) -> tuple[list[Indices], list[Indices]]:
    """The positions of the images of each experience, for training and for testing."""
    split.check(len(classes))
    train, test = _sides(targets, is_test, classes, fraction, split.seed)
    train_parts = [train[part] for part in split.train_parts(targets[train].tolist(), len(classes))]
    test_parts = [test[part] for part in split.test_parts(targets[test].tolist(), len(classes))] if len(test) else []
    return train_parts, test_parts


def _fewer(split: IncrementalSplit, classes: list[str], train: Indices, test: Indices) -> IncrementalSplit:
    """The split with fewer experiences where the images, or their classes, are not enough."""
    images = min(len(train), len(test) or len(train))
    if (most := most_experiences(split, len(classes), images)) >= split.experiences:
        return split
    things = "images" if split.incremental == "data" else "classes"
    rounds = f", {split.repeats} times each" if split.incremental == "repeated" else ""
    print(f"{most} experiences, as there are no more {things}{rounds} (default: {split.experiences})", file=sys.stderr)
    return replace(split, experiences=most)


def _check_left(targets: Indices, is_test: Indices, classes: list[str], apart: bool) -> None:
    """Refuse classes of which damage has left nothing."""
    for kind, rows in (("training", ~is_test), ("test", is_test)) if apart else (("", ~is_test),):
        counts = np.bincount(targets[rows][targets[rows] >= 0], minlength=len(classes))
        for name in (name for name, count in zip(classes, counts, strict=True) if not count):
            image = f"{kind} image".strip()
            raise UsageError(f"no {image} of class '{name}' can be read: repair some, or remove the class")
