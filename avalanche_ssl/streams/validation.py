"""A validation part of a stream's training data, in place of its test stream, to choose settings on.

What is held out is a share of the base objects of each class: an object is what several images show, such as one
handwritten digit in several composites or one video of frames, so that none is on both sides. The benchmark says which
in its attribute `base_objects`; otherwise each image is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from numpy.typing import NDArray

from avalanche_ssl.data import Indices, class_labels, concat_datasets, distinct_images
from avalanche_ssl.errors import UsageError

SHARE = 0.25
"""Of the base objects of each class."""

VALIDATION = 5
"""Second word of the seed, beside those of `partitions`."""

Rows = NDArray[np.bool_]
"""Whether each image of an experience is meant."""

KEPT = ("ordered", "class_identity", "class_ids_from_zero_in_each_exp", "decided")
"""Attributes of a benchmark that hold for its parts, too; probing tasks are about test images and do not."""


def validation_stream(benchmark: CLScenario, seed: int, experiences: int | None = None) -> CLScenario:
    """The benchmark without its test data: a part of its training images is for testing, the rest for training.

    An experience is tested on what is held out of the classes that its test data have, or of these in its own images
    where several experiences have a class and each tests images of its own. One of whose images none is left for
    training is left out.

    Args:
        benchmark: its training stream, which is not changed, has labels.
        seed: of the objects that are held out.
        experiences: use the first ones only; None: all.

    Raises:
        UsageError: there are not so many experiences, no labels, no more than one object of a class, or images are in
            shards.
    """
    if hasattr(benchmark, "probing_stream"):
        raise UsageError("images in shards give no validation part: pack some of the training shards as test, too")
    length = len(benchmark.train_stream)
    if experiences is not None and not 1 <= experiences <= length:
        raise UsageError(f"cannot validate on {experiences} of {length} experiences: give 1 to {length}")
    train = [experience.dataset for experience in benchmark.train_stream][:experiences]
    test = [experience.dataset for experience in benchmark.test_stream]
    labels = [class_labels(dataset) for dataset in train]
    if not test or not any((y >= 0).any() for y in labels):
        raise UsageError("a validation part is to score probes on, and the stream has no labels or nothing to test")
    objects = _objects(benchmark, train)
    held = _held_out(np.concatenate(labels), np.concatenate(objects), benchmark.class_names, seed)
    apart = [np.isin(part, held) for part in objects]
    left = [number for number, rows in enumerate(apart) if not rows.all()]
    scored = [_merged(train, labels, rows) for rows in _scored(test, labels, apart, left)]
    made = benchmark_from_datasets(
        train=[train[number].subset(np.flatnonzero(~apart[number]).tolist()) for number in left], test=scored
    )
    made = with_task_labels(with_classes_timeline(made))
    made.class_names = benchmark.class_names if experiences is None else None  # fewer classes are left
    for name in KEPT:
        if hasattr(benchmark, name):
            setattr(made, name, getattr(benchmark, name))
    return made


def _objects(benchmark: Any, train: Sequence[Any]) -> list[Indices]:
    """The number of the base object of each image, by experience; an image in several experiences is one object."""
    known = getattr(benchmark, "base_objects", None)
    if known is not None:
        return list(known[: len(train)])
    if (distinct := distinct_images(train)) is not None:
        return distinct.rows
    ends = np.cumsum([len(dataset) for dataset in train])
    return np.split(np.arange(ends[-1]), ends[:-1])


def _held_out(labels: Indices, objects: Indices, names: Sequence[str] | None, seed: int) -> Indices:
    """The base objects for validation."""
    rng = np.random.default_rng([seed, VALIDATION])
    held = []
    for label in np.unique(labels[labels >= 0]):
        found = np.unique(objects[labels == label])
        if len(found) == 1:
            name = names[label] if names else label
            raise UsageError(
                f"class '{name}' has 1 base object, and training and validation need one each: give more images"
            )
        count = min(max(1, int(SHARE * len(found) + 0.5)), len(found) - 1)
        held.append(rng.permutation(found)[:count])
    return np.concatenate(held)


def _scored(
    test: Sequence[Any], labels: Sequence[Indices], apart: Sequence[Rows], left: Sequence[int]
) -> list[list[Rows]]:
    """For each experience that is left, which images of each training experience it is tested on."""
    if len(test) == 1 < len(labels):  # one test set for all
        return [list(apart)]
    classes = [np.unique(class_labels(dataset)) for dataset in test]
    shared = distinct_images(test)
    overlap = sum(map(len, classes)) > len(np.unique(np.concatenate(classes)))
    repeated = shared is None or len(shared.dataset) < sum(map(len, test))

    def rows(number: int, of: Callable[[int], bool]) -> list[Rows]:
        return [
            held & np.isin(y, classes[number]) & of(i) for i, (y, held) in enumerate(zip(labels, apart, strict=True))
        ]

    found = []
    for number in left:
        own = rows(number, lambda i, number=number: i == number)  # type: ignore[misc]
        by_class = repeated or not overlap or not any(part.any() for part in own)
        found.append(rows(number, lambda i: True) if by_class else own)
    return found


def _merged(train: Sequence[Any], labels: Sequence[Indices], rows: Sequence[Rows]) -> Any:
    """The labeled images of several experiences as one dataset."""
    chosen = [np.flatnonzero(part & (y >= 0)) for part, y in zip(rows, labels, strict=True)]
    parts = [d.subset(positions.tolist()) for d, positions in zip(train, chosen, strict=True) if len(positions)]
    return parts[0] if len(parts) == 1 else concat_datasets(parts)
