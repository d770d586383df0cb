"""The images and probing tasks of a benchmark that its probes use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avalanche_ssl.data import distinct_images
from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes import ProbeProtocol
from avalanche_ssl.streams import ProbingTask


@dataclass(frozen=True)
class FullTestSet:
    """All test images, each once, for probes that otherwise use one in n of them.

    Args:
        images: the dataset.
        probes: names of these probes.
        tasks: probing tasks about these images.
    """

    images: Any
    probes: Sequence[str]
    tasks: Sequence[ProbingTask]


@dataclass(frozen=True)
class ProbingData:
    """What probes are fitted and scored on.

    Args:
        train, test: a dataset per experience.
        n_classes: C; labels are below it.
        tasks: the benchmark's probing tasks.
        full_test_set: None if every probe uses all test images.
    """

    train: Sequence[Any]
    test: Sequence[Any]
    n_classes: int
    tasks: Sequence[ProbingTask]
    full_test_set: FullTestSet | None

    def every(self, n: int) -> ProbingData:
        """Each n-th image of each experience only; the full test set stays complete."""
        full = self.full_test_set
        return dataclasses.replace(
            self,
            train=[d.subset(range(0, len(d), n)) for d in self.train],
            test=[d.subset(range(0, len(d), n)) for d in self.test],
            tasks=[task.every_nth(n) for task in self.tasks],
            full_test_set=full
            and dataclasses.replace(full, tasks=[task.every_nth(n, test=False) for task in full.tasks]),
        )


def probing_data(benchmark: Any, sparse: Sequence[str]) -> ProbingData:
    """All images and tasks of a benchmark.

    Args:
        benchmark: its `train_stream`, `test_stream` and, if it has any, `probing_tasks`.
        sparse: names of the probes that use one in n images; with any, there is a full test set.

    Raises:
        UsageError: the streams differ in length or have no label.
    """
    train = [e.dataset for e in benchmark.train_stream]
    test = [e.dataset for e in benchmark.test_stream]
    if len(train) != len(test):
        raise UsageError(f"{len(train)} training but {len(test)} test experiences: a probe needs the test data of each")
    if not all(any(np.any(np.asarray(d.targets) >= 0) for d in part) for part in (train, test)):
        raise UsageError("the stream has no labels to fit and score a probe on: run it without ProbePlugin")
    n_classes = 1 + max(int(np.max(np.asarray(d.targets), initial=-1)) for d in train + test)
    tasks = list(getattr(benchmark, "probing_tasks", ()))
    return ProbingData(train, test, n_classes, tasks, _full_test_set(test, tasks, sparse) if sparse else None)


def thinned(data: ProbingData, probes: Sequence[ProbeProtocol]) -> tuple[ProbingData, list[ProbeProtocol]]:
    """Without the images that no probe uses; and the probes, which then use all that are left."""
    (every, *others) = {p.every for p in probes}
    if others or every == 1:
        return data, list(probes)
    return data.every(every), [dataclasses.replace(p, every=1) for p in probes]


def _full_test_set(test: Sequence[Any], tasks: Sequence[ProbingTask], probes: Sequence[str]) -> FullTestSet | None:
    """None if the datasets cannot be traversed."""
    images = distinct_images(test)
    if images is None:
        return None
    return FullTestSet(
        images.dataset, probes, [t.for_test_images(images.first) for t in tasks if not t.on_training_images]
    )
