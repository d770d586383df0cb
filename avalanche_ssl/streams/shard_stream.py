"""Streams of images in shards, of any number: what a run holds in memory does not grow with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TaskLabels
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence

from avalanche_ssl.data import CLASS_FILE, ShardImages, ShardIndex, ValueRange, check_value_range, find_index
from avalanche_ssl.data.block_order import check_block
from avalanche_ssl.errors import UsageError, require_positive, unknown_name
from avalanche_ssl.streams.folder_layout import TEST_FOLDERS

CHECKED = 40
"""Experiences of which an image is read before training, spread evenly."""

CHUNK = 1_000_000
"""Labels that are looked at together."""


@dataclass(frozen=True)
class ShardOptions:
    """How images in shards are read.

    Args:
        size: pixels a side.
        block: images within which an epoch is shuffled.
        labels: "auto": the field `cls`, where images have one; "none": no label is read.
        probe_images: labeled training images that probes are fitted on, at most.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
    """

    size: int
    block: int
    labels: str
    probe_images: int
    value_range: ValueRange | None

    def check(self) -> None:
        """Find mistakes before any file is looked at.

        Raises:
            UsageError: a value is out of its range.
        """
        require_positive(size=self.size, probe_images=self.probe_images)
        check_block(self.block)
        check_value_range(self.value_range)
        if self.labels not in ("auto", "none"):
            raise unknown_name("way to find labels", self.labels, ("auto", "none"))


@dataclass(frozen=True)
class _Part:
    """Consecutive shards: those of a folder, or a share of them."""

    name: str
    first: int
    last: int


def shards_benchmark(data: Path, experiences: int | None, options: ShardOptions) -> CLScenario:
    """The stream of the shards below a folder; everything is checked before training.

    Its attribute `decided` has the number of experiences, `probing_stream` the images that probes are fitted on,
    where these are not all.

    Args:
        data: holds the index.
        experiences: None: one per folder of training shards, or one.
        options: how images are read.
    """
    options.check()
    index = find_index(data)
    train, test = _layout(index)
    train = _cut(index, train, experiences)
    _check_test(index, train, test)
    sides = [[_images(index, part, options) for part in side] for side in (train, test)]
    for side in sides:
        for images in side[:: max(1, -(-len(side) // CHECKED))]:
            images[0]  # a field that is no image shows now
    names = _class_names(data)
    datasets = [[_dataset(images, names) for images in side] for side in sides]
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(train=datasets[0], test=datasets[1])))
    benchmark.class_names = names if _labeled(sides[0]) and _labeled(sides[1]) else None
    benchmark.decided = {"experiences": len(train)}
    every = max(1, -(-sum(map(len, datasets[0])) // options.probe_images))
    if every > 1:
        benchmark.probing_stream = [dataset.subset(range(0, len(dataset), every)) for dataset in datasets[0]]
    print(_summary(index, sides, every), file=sys.stderr)
    return benchmark


def _layout(index: ShardIndex) -> tuple[list[_Part], list[_Part]]:
    """The folders of training shards and those of test shards.

    Raises:
        UsageError: shards lie beside folders of them, or beside `train`.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in index.names]
    tops = {parts[0] if parts else "" for parts in folders}
    tested = next((name for name in TEST_FOLDERS if name in tops), None)
    below = "train" if "train" in tops else None
    if below and (others := sorted(tops - {below, tested})):
        raise UsageError(
            f"shards in '{index.folder / others[0]}' beside 'train': move them into 'train' or '{tested or 'test'}'"
        )
    train = {
        number: parts[1:] if below else parts for number, parts in enumerate(folders) if not parts or parts[0] != tested
    }
    test = {number: parts[1:] for number, parts in enumerate(folders) if parts and parts[0] == tested}
    if not train:
        raise UsageError(f"only test shards in '{index.folder}': put the others into 'train'")
    return _parts(index, train), _parts(index, test)


def _parts(index: ShardIndex, folders: dict[int, tuple[str, ...]]) -> list[_Part]:
    """The shards by the folder that they lie in, at any depth; a single part where they lie in none.

    Raises:
        UsageError: some lie in a folder and some in none, or others come between those of a part.
    """
    found: list[_Part] = []
    for number, parts in folders.items():
        name = parts[0] if parts else ""
        if found and found[-1].name == name:
            if found[-1].last != number:  # a part is consecutive shards, and would hold those between
                raise UsageError(
                    f"'{index.folder / index.names[number]}' comes after the test shards and others before them: move "
                    "all that are for training into 'train'"
                )
            found[-1] = _Part(name, found[-1].first, number + 1)
        else:
            found.append(_Part(name, number, number + 1))
    if len(found) > 1 and any(not part.name for part in found):
        loose = next(part for part in found if not part.name)
        raise UsageError(
            f"'{index.folder / index.names[loose.first]}' lies beside folders of shards, which are experiences: "
            "move it into one"
        )
    return found


def _cut(index: ShardIndex, parts: list[_Part], experiences: int | None) -> list[_Part]:
    """The training shards of each experience.

    Raises:
        UsageError: they cannot be cut into so many.
    """
    if experiences is not None:
        require_positive(experiences=experiences)
    if experiences is None or experiences == len(parts):
        return parts
    if len(parts) > 1:
        raise UsageError(f"experiences is {experiences}, and the shards lie in {len(parts)} folders: leave it out")
    (whole,) = parts
    if experiences > whole.last - whole.first:
        raise UsageError(
            f"experiences is {experiences}, and there are {whole.last - whole.first} training shards: give no more, "
            "or write smaller shards"
        )
    bounds = np.linspace(whole.first, whole.last, experiences + 1).round().astype(int).tolist()
    return [_Part(whole.name, first, last) for first, last in pairwise(bounds)]


def _check_test(index: ShardIndex, train: Sequence[_Part], test: Sequence[_Part]) -> None:
    """Refuse test shards that belong to no experience.

    Raises:
        UsageError: they lie in other folders than the training shards.
    """
    names = [[part.name for part in side] for side in (train, test)]
    if test and names[1] != [""] and names[0] != names[1]:
        odd = sorted(set(names[0]) ^ set(names[1])) or names[1]
        raise UsageError(
            f"training and test shards of '{index.folder}' lie in different folders ('{odd[0]}'): give test shards for "
            "each experience, or one test set for all in no folder"
        )


def _images(index: ShardIndex, part: _Part, options: ShardOptions) -> ShardImages:
    """The images of some shards; labels are read where one is known."""
    return ShardImages(
        index,
        part.first,
        part.last,
        size=options.size,
        block=options.block,
        labeled=options.labels == "auto" and any(index.labeled[part.first : part.last]),
        value_range=options.value_range,
    )


def _dataset(images: ShardImages, names: Sequence[str] | None) -> AvalancheDataset[Any]:
    """The images as a dataset of Avalanche, undivided, so that none of them is listed."""
    constant = ConstantSequence(-1, len(images))
    targets = DataAttribute(images.targets if images.labeled else constant, "targets")
    if images.labeled:
        targets._uniques = _labels(images)  # Avalanche would look at each in turn
        if names is not None and max(targets._uniques) >= len(names):
            raise UsageError(
                f"label {max(targets._uniques)} in '{images.index.folder}', and '{CLASS_FILE}' names {len(names)} "
                "classes, from 0: give the name of each on a line, or remove the file"
            )
    attributes = [targets, TaskLabels(ConstantSequence(0, len(images)))]
    return TaskAwareSupervisedClassificationDataset([images], data_attributes=attributes)


def _labels(images: ShardImages) -> set[int]:
    """The different labels of some images."""
    labels = np.asarray(images.targets)
    found: set[int] = set()
    for first in range(0, len(labels), CHUNK):
        found.update(np.unique(labels[first : first + CHUNK]).tolist())
    return found


def _class_names(data: Path) -> list[str] | None:
    """The names of the classes, if there is a file of them."""
    try:
        return (data / CLASS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read '{data / CLASS_FILE}' ({error}): give the name of each class on a line"
        ) from error


def _labeled(side: Sequence[ShardImages]) -> bool:
    return any(images.labeled for images in side)


def _summary(index: ShardIndex, sides: Sequence[Sequence[ShardImages]], every: int) -> str:
    """What was found, and what probes are fitted on."""
    (train, test), n_shards = [sum(map(len, side)) for side in sides], sum(i.last - i.first for i in sides[0])
    found = f"found {train:,} images in {n_shards:,} shard{'s' * (n_shards > 1)} of '{index.folder}'"
    found += f" and {test:,} for testing" if test else ""
    if not _labeled(sides[0]) or not _labeled(sides[1]):
        lacking = "training images" if not _labeled(sides[0]) else "test images"
        return f"{found}; no {lacking} with labels, so that nothing is probed"
    return f"{found}; probes are fitted on {'all of them' if every == 1 else f'one in {every:,}'}"
