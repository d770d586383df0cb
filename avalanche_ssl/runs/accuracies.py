"""The accuracy matrices of a run, put together from the entries in its log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import ProbeEvent

MAX_ROWS = 100_000
"""Experiences that a stream has at most, where only one of many is probed."""


def stream_length(events: Sequence[ProbeEvent], notes: list[str]) -> int:
    """T, the length of the stream: at most twice as long as there are experiences with an event.

    Where all experiences share one test set, it is the largest number of experiences trained on before an event.
    Events of experiences that the stream does not have are noted.
    """
    numbers = {e.experience for e in events if e.experience is not None}
    if numbers:
        size = max((number for number in numbers if number <= 2 * len(numbers)), default=0)
    else:
        size = max((e.experiences_trained for e in events if e.experiences_trained <= MAX_ROWS), default=0)
    impossible = sum((e.experience or 0) > size or e.experiences_trained > size for e in events)
    if impossible:
        notes.append(f"{impossible} probe events are of experiences that the stream does not have")
    return size


def accuracy_rows(events: Sequence[ProbeEvent], size: int) -> dict[tuple[str, str], Matrix]:
    """Accuracies (T + 1, T) by probe and scope, in the order of training; (T + 1, 1) on one test set.

    Args:
        events: of up to T experiences trained on.
        size: T.
    """
    tested = [(e, e.experience) for e in events if e.experience is not None and e.experience <= size]
    one_test_set = not tested
    place = {number: column for column, number in enumerate(_order(events, size))}
    found: dict[tuple[str, str], Matrix] = {}
    for e in events:
        if one_test_set or (e.experience is not None and e.experience <= size):
            rows = found.setdefault((e.probe, e.scope), np.full((size + 1, 1 if one_test_set else size), np.nan))
            rows[e.experiences_trained, 0 if e.experience is None else place[e.experience]] = e.accuracy
    return found


def _order(events: Sequence[ProbeEvent], size: int) -> list[int]:
    """The experiences in the order of training, those not trained on last; as numbered, unless the log says more."""
    numbers = list(range(1, size + 1))
    if all(e.trained_on is None for e in events):
        return numbers
    first: dict[int, int] = {}
    for e in events:
        if e.experience is None:
            continue
        trained_on = e.experience <= e.experiences_trained if e.trained_on is None else e.trained_on
        if trained_on:
            first[e.experience] = min(e.experiences_trained, first.get(e.experience, size))
    return sorted(numbers, key=lambda number: (first.get(number, size + 1), number))
