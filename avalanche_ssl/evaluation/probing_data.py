"""The images and probing tasks of a benchmark that its probes use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avalanche_ssl.data import class_labels, distinct_images
from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes import ProbeProtocol
from avalanche_ssl.streams import ClassIndex, ProbingTask, class_index


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
        train: a dataset per experience.
        test: a dataset per experience, or the one test set of all.
        classes: of these datasets, whose labels are their numbers.
        tasks: the benchmark's probing tasks.
        full_test_set: None if every probe uses all test images.
        sources: the benchmark's own training datasets, where `train` has the same images in the same order.
    """

    train: Sequence[Any]
    test: Sequence[Any]
    classes: ClassIndex
    tasks: Sequence[ProbingTask]
    full_test_set: FullTestSet | None
    sources: Sequence[Any] = ()

    @property
    def one_test_set(self) -> bool:
        """Whether several experiences share one test set."""
        return len(self.test) == 1 < len(self.train)

    def every(self, n: int) -> ProbingData:
        """Each n-th image of each experience only; the full test set stays complete."""
        full = self.full_test_set
        return dataclasses.replace(
            self,
            train=[d.subset(range(0, len(d), n)) for d in self.train],
            test=[d.subset(range(0, len(d), n)) for d in self.test],
            sources=(),
            tasks=[task.every_nth(n) for task in self.tasks],
            full_test_set=full
            and dataclasses.replace(full, tasks=[task.every_nth(n, test=False) for task in full.tasks]),
        )


def probing_data(
    benchmark: Any, sparse: Sequence[str], identity: str | None = None, scopes: Sequence[str] = ("all",)
) -> ProbingData:
    """All images and tasks of a benchmark.

    Args:
        benchmark: its `train_stream`, `test_stream` and, if it has any, `probing_tasks`; `probing_stream` has a part of
            each training dataset where they are too large for probes.
        sparse: names of the probes that use one in n images; with any, there is a full test set.
        identity, scopes: see `avalanche_ssl.streams.class_index`.

    Raises:
        UsageError: it is no benchmark, there is no test stream, it has neither one experience nor as many as the
            other, there are no labels, or they do not say which images are of the same class.
    """
    if not hasattr(benchmark, "train_stream"):
        raise UsageError(
            f"probes need a benchmark, with a train_stream and a test_stream, not a {type(benchmark).__name__}: give "
            "the benchmark that the stream belongs to"
        )
    train = list(getattr(benchmark, "probing_stream", ())) or [e.dataset for e in benchmark.train_stream]
    test = [e.dataset for e in getattr(benchmark, "test_stream", ())]
    if not test:
        raise UsageError(
            "the benchmark has no test stream to score probes on: make one with test data, e.g. "
            "benchmark_from_datasets(train=[...], test=[...]), or run without ProbePlugin"
        )
    if len(test) not in (1, len(train)):
        raise UsageError(
            f"{len(train)} training but {len(test)} test experiences: a probe needs test data for each or one test set "
            "for all; CLScenario([train_stream, test_stream]) makes a benchmark of streams that belong together"
        )
    if not all(hasattr(d, "targets") for d in train + test):
        raise UsageError(
            "the datasets have no targets to fit and score a probe on: make them with as_classification_dataset(...), "
            "or run without ProbePlugin"
        )
    if not all(any((class_labels(d) >= 0).any() for d in part) for part in (train, test)):
        raise UsageError("the stream has no labels to fit and score a probe on: run it without ProbePlugin")
    classes = class_index(benchmark, train + test, identity, scopes)
    sources = train
    train, test = ([classes.renumbered(d) for d in part] for part in (train, test))
    tasks = list(getattr(benchmark, "probing_tasks", ()))
    full = _full_test_set(test, tasks, sparse) if sparse else None
    return ProbingData(train, test, classes, tasks, full, sources)


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
