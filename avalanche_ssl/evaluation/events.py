"""Log events of the results of one encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from avalanche_ssl.evaluation.evaluator import Accuracies, FullTestResult
from avalanche_ssl.evaluation.tasks import TaskResult
from avalanche_ssl.logging import CurveEvent, FullTestEvent, TaskEvent
from avalanche_ssl.probes import ProbeProtocol


def curve_events(
    accuracies: Accuracies,
    probes: Iterable[ProbeProtocol],
    *,
    images_seen: int,
    images_trained: int,
    experiences_trained: int,
    seconds: float,
) -> list[CurveEvent]:
    """A point of the accuracy curve for each probe and scope with any accuracy; the other fields as in the event."""
    return [
        CurveEvent(
            images_seen=images_seen,
            images_trained=images_trained,
            seconds=seconds,
            experiences_trained=experiences_trained,
            probe=probe.name,
            scope=scope,
            accuracy=float(np.nanmean(row)),
            caveat=probe.caveat or None,
        )
        for probe in probes
        for scope, row in accuracies[probe.name].items()
        if not np.isnan(row).all()  # nothing seen yet
    ]


def task_events(
    results: Iterable[TaskResult],
    probe: str,
    *,
    experiences_trained: int,
    images_trained: int,
    full_test_set: bool = False,
) -> list[TaskEvent]:
    """One event for each probing task; the fields as in the event."""
    return [
        TaskEvent(
            experiences_trained=experiences_trained,
            images_trained=images_trained,
            probe=probe,
            full_test_set=full_test_set,
            **dataclasses.asdict(result),
        )
        for result in results
    ]


def full_test_events(
    result: FullTestResult, probes: Iterable[ProbeProtocol], *, experiences_trained: int, images_trained: int
) -> list[FullTestEvent]:
    """One event for each probe that was tested on all test images; the fields as in the event."""
    return [
        FullTestEvent(
            experiences_trained=experiences_trained,
            images_trained=images_trained,
            probe=probe.name,
            scope="all",
            accuracy=result.accuracies[probe.name],
            images_tested=result.images,
            caveat=probe.caveat or None,
        )
        for probe in probes
        if probe.name in result.accuracies
    ]
