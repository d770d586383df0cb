"""The accuracy matrices of a run, put together from the entries in its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import BaselineEvent, FrozenProbeEvent, FullTestEvent, ProbeEvent, TaskEvent
from avalanche_ssl.runs.log_reader import printable

MAX_CELLS = 2**25
"""Entries of all accuracy matrices of a run."""
MAX_NAMES = 100
"""Probes with their scopes, probes on all test images, probing tasks, or names of baselines of a run."""
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


def check_names(
    folder: Path,
    probes: list[ProbeEvent],
    full_test: list[FullTestEvent],
    tasks: list[TaskEvent],
    baselines: list[BaselineEvent],
    size: int,
) -> None:
    """Refuse a run that has more than any of ours, and would fill the memory or the screen.

    Raises:
        UsageError: names what is too many.
    """
    protocols = len({(e.probe, e.scope) for e in probes})
    others = {e.probe for e in full_test}, {e.task for e in tasks}, {e.name for e in baselines}
    if max(protocols, *map(len, others)) > MAX_NAMES:
        raise UsageError(
            f"{printable(str(folder))}: it has more than {MAX_NAMES} probes, tasks or baselines, as no run has"
        )
    if protocols * (size + 1) * size > MAX_CELLS:
        raise UsageError(
            f"{printable(str(folder))}: {size} experiences by {protocols} probes and scopes are too many for a report"
        )


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


def frozen_rows(
    events: Sequence[FrozenProbeEvent], probes: Sequence[ProbeEvent], size: int
) -> dict[tuple[str, str], Matrix]:
    """Matrices F (T, T) of frozen probes by probe and scope, in the order of training; none on one test set.

    Args:
        events: of up to T experiences trained on.
        probes: of the accuracy matrix, which has the order.
        size: T.
    """
    place = {number: column for column, number in enumerate(_order(probes, size))}
    known = {(e.probe, e.scope) for e in probes if e.experience is not None}
    found: dict[tuple[str, str], Matrix] = {}
    for e in events:
        if (e.probe, e.scope) in known and e.experience in place and e.experiences_trained:
            rows = found.setdefault((e.probe, e.scope), np.full((size, size), np.nan))
            rows[e.experiences_trained - 1, place[e.experience]] = e.accuracy
    return found


def baseline_accuracies(
    events: Sequence[BaselineEvent], probes: Sequence[ProbeEvent]
) -> dict[str, dict[tuple[str, str], float]]:
    """Accuracies by name of the baseline, then by those probes and scopes that the run has."""
    known = {(e.probe, e.scope) for e in probes}
    found: dict[str, dict[tuple[str, str], float]] = {}
    for e in events:
        if (e.probe, e.scope) in known:
            found.setdefault(e.name, {})[e.probe, e.scope] = e.accuracy
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
