"""The classes of a benchmark, numbered for its probes: which labels are the same class, and which number it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avalanche_ssl.data import Indices, class_labels, has_label, task_labels, with_labels
from avalanche_ssl.errors import UsageError, unknown_name

IDENTITIES = ("shared", "per-task")


@dataclass(frozen=True)
class ClassIndex:
    """The K classes of a benchmark that have an image, numbered from 0 in the order of task and label.

    Args:
        labels: (K,) label of each class.
        tasks: (K,) task label of each class; None: a label is the same class in every task.
    """

    labels: Indices
    tasks: Indices | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_identity(self) -> bool:
        """Whether the number of every class is its label."""
        return self.tasks is None and np.array_equal(self.labels, np.arange(len(self)))

    def numbers(self, dataset: Any) -> Indices:
        """The number of each image's class (N,); -1 where it has no label."""
        y = class_labels(dataset)
        labels, rows = np.unique(self.labels, return_inverse=True)
        found = np.searchsorted(labels, y)
        if self.tasks is not None:
            tasks, columns = np.unique(self.tasks, return_inverse=True)
            table = np.full((len(labels), len(tasks)), -1)
            table[rows, columns] = np.arange(len(self))
            found = table[found.clip(max=len(labels) - 1), np.searchsorted(tasks, task_labels(dataset))]
        return np.where(y < 0, -1, found)

    def renumbered(self, dataset: Any) -> Any:
        """The dataset with the numbers of the classes as labels; itself where they are its labels already."""
        return dataset if self.is_identity else with_labels(dataset, self.numbers(dataset))


def has_labels(benchmark: Any) -> bool:
    """Whether a benchmark has labels to fit and score a probe on, or names its classes.

    Raises:
        UsageError: it has labels that are no whole numbers.
    """
    streams = ([e.dataset for e in stream] for stream in (benchmark.train_stream, benchmark.test_stream))
    return bool(benchmark.class_names) or all(any(has_label(d) for d in part) for part in streams)


def class_index(
    benchmark: Any, datasets: Sequence[Any], identity: str | None = None, scopes: Sequence[str] = ("all",)
) -> ClassIndex:
    """The classes of datasets of a benchmark.

    A label that comes in several tasks can be one class in several domains, or several classes, each numbered within
    its task. Avalanche's `nc_benchmark(class_ids_from_zero_in_each_exp=True)` says which, and so does `ni_benchmark`;
    nothing in other benchmarks does.

    Args:
        benchmark: its attribute `class_identity`, if it has one, stands for an `identity` of None.
        datasets: of all its experiences.
        identity: "shared": a label is the same class in every task; "per-task": another one in each; None: as the
            benchmark says.
        scopes: of the probes; in "task" alone, tasks that lie in different experiences do not mix.

    Raises:
        UsageError: labels are no whole numbers, or whether classes are shared is not known.
    """
    from avalanche.benchmarks import NIScenario  # takes seconds, which a report does not need

    identity = identity or getattr(benchmark, "class_identity", None)
    if identity not in (None, *IDENTITIES):
        raise unknown_name("class identity", identity, IDENTITIES)
    pairs = [_pairs(dataset) for dataset in datasets]
    found = np.unique(np.concatenate([np.empty((0, 2), np.int64), *pairs]), axis=0)
    shared = ClassIndex(np.unique(found[:, 1]))
    if getattr(benchmark, "class_ids_from_zero_in_each_exp", False) and identity != "shared":
        _check_tasks_differ(benchmark)
        identity = "per-task"
    if identity == "shared" or len(shared) == len(found) or (identity is None and isinstance(benchmark, NIScenario)):
        return shared
    apart = tuple(scopes) == ("task",) and all(len(set(part[:, 1])) == len(part) for part in pairs)
    if identity is None and not apart:
        raise UsageError(_ambiguous(found))
    return ClassIndex(found[:, 1], found[:, 0])


def _pairs(dataset: Any) -> Indices:
    """The different pairs (P, 2) of task label and label of a dataset."""
    y = class_labels(dataset)
    return np.unique(np.stack([task_labels(dataset), y], 1)[y >= 0], axis=0)


def _check_tasks_differ(benchmark: Any) -> None:
    """Refuse labels that start from zero in each experience where no task label tells them apart."""
    tasks = [set(task_labels(experience.dataset).tolist()) for experience in benchmark.train_stream]
    if len(set().union(*tasks)) < sum(map(len, tasks)):
        raise UsageError(
            "labels start from zero in each experience, and different classes have the same label and task label: "
            "give nc_benchmark(..., task_labels=True), or leave class_ids_from_zero_in_each_exp out; if they are the "
            "same classes, as in PermutedMNIST, give ProbePlugin(..., classes='shared')"
        )


def _ambiguous(pairs: Indices) -> str:
    labels, counts = np.unique(pairs[:, 1], return_counts=True)
    label = labels[counts > 1][0]
    first, second = pairs[pairs[:, 1] == label][:2, 0]
    return (
        f"label {label} comes in task {first} and in task {second}: give ProbePlugin(..., classes='shared') if it is "
        "the same class (in another domain), classes='per-task' if it is another one, or scopes=['task']; for a run, "
        "the builder sets benchmark.class_identity"
    )
