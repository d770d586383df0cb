"""How do images become a benchmark?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TaskLabels
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.flat_data import ConstantSequence

from avalanche_ssl.data.datasets import Indices, Labelled
from avalanche_ssl.errors import UsageError


def assemble(
    train: Labelled,
    train_parts: Sequence[Indices],
    test: Labelled | None,
    test_parts: Sequence[Indices],
    class_names: Sequence[str] | None,
) -> CLScenario:
    """The benchmark whose experience j holds the images `train_parts[j]` and `test_parts[j]`."""
    benchmark = benchmark_from_datasets(
        train=_experiences(train, train_parts), test=[] if test is None else _experiences(test, test_parts)
    )
    benchmark = with_task_labels(with_classes_timeline(benchmark))
    benchmark.class_names = None if class_names is None else list(class_names)
    return benchmark


def _experiences(dataset: Labelled, parts: Sequence[Indices]) -> list[AvalancheDataset]:
    """Task labels are 0 throughout, so that batches are the (x, y, t) that Avalanche's plugins expect."""
    attributes = [
        DataAttribute(dataset.targets, "targets"),
        TaskLabels(ConstantSequence(0, len(dataset))),
    ]
    whole = TaskAwareSupervisedClassificationDataset([dataset], data_attributes=attributes)
    return [whole.subset(part.tolist()) for part in parts]


def class_groups(
    n_classes: int, experiences: int, seed: int, class_order: Sequence[int] | None = None
) -> list[Indices]:
    """The classes of each experience. A remainder goes to the first experiences, one class each."""
    if not 1 <= experiences <= n_classes:
        raise UsageError(f"cannot split {n_classes} classes into {experiences} experiences: give 1 to {n_classes}")
    if class_order is None:
        order = np.random.default_rng(seed).permutation(n_classes)
    elif sorted(class_order) == list(range(n_classes)):
        order = np.asarray(class_order)
    else:
        raise UsageError(
            f"class_order {list(class_order)} is no order of the {n_classes} classes: "
            f"give every number from 0 to {n_classes - 1} once"
        )
    return np.array_split(order, experiences)


def of_classes(targets: Sequence[int] | Indices, groups: Sequence[Indices]) -> list[Indices]:
    """Where the images of each group of classes are, in their original order."""
    return [np.flatnonzero(np.isin(targets, group)) for group in groups]


def equal_parts(targets: Sequence[int] | Indices, experiences: int, seed: int, kind: str) -> list[Indices]:
    """Random parts whose sizes, and whose numbers of images of any class, differ by at most one."""
    if not 1 <= experiences <= len(targets):
        raise UsageError(
            f"cannot split {len(targets)} {kind} images into {experiences} experiences: give 1 to {len(targets)}"
        )
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(np.asarray(targets)[order], kind="stable")]
    return [np.sort(order[first::experiences]) for first in range(experiences)]
