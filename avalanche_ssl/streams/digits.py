"""Streams of handwritten digits: images that are drawn of scikit-learn's, dealt out to experiences."""

from __future__ import annotations

import numpy as np
from avalanche.benchmarks import CLScenario

from avalanche_ssl.data import ArrayDataset, Indices
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.photograph_digits import photograph_digits
from avalanche_ssl.streams.plain_digits import plain_digits
from avalanche_ssl.streams.splits import IncrementalSplit

TURN = 90.0  # degrees from the first experience to the last
NAMES = [str(digit) for digit in range(10)]


def plain_by_class(composites: int, split: IncrementalSplit) -> CLScenario:
    """Digits on plain ground, whose experiences differ by their classes."""
    split.check(10)
    return _by_class(*plain_digits(composites, split.seed), composites, split)


def photographs_by_class(composites: int, split: IncrementalSplit) -> CLScenario:
    """Digits on photographs, whose experiences differ by their classes."""
    split.check(10)
    return _by_class(*photograph_digits(composites, split.seed), 2 * (composites // 2), split)


def plain_by_angle(experiences: int, composites: int, seed: int) -> CLScenario:
    """Digits on plain ground, whose experiences each bring all classes, turned further clockwise."""
    if not 2 <= experiences <= 10:
        raise UsageError(f"cannot turn digits in {experiences} experiences: give 2 to 10")
    train, test = plain_digits(composites, seed, np.linspace(0, TURN, experiences))

    def parts(dataset: ArrayDataset) -> list[Indices]:
        return [np.arange(domain, len(dataset), experiences) for domain in range(experiences)]

    return benchmark_from_parts(train, parts(train), test, parts(test), NAMES, _base(train, composites))


def _by_class(train: ArrayDataset, test: ArrayDataset, times: int, split: IncrementalSplit) -> CLScenario:
    parts = split.train_parts(train.targets, 10), split.test_parts(test.targets, 10)
    return benchmark_from_parts(train, parts[0], test, parts[1], NAMES, _base(train, times))


def _base(train: ArrayDataset, times: int) -> Indices:
    """For each image the number of the handwritten digit that it shows, as `times` in a row do."""
    return np.arange(len(train)) // times
