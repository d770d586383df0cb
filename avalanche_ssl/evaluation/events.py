"""Log events of the results of one encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from avalanche_ssl.evaluation.frozen_probes import FrozenAccuracy
from avalanche_ssl.evaluation.metrics import Matrix
from avalanche_ssl.evaluation.raw_pixels import RawPixels
from avalanche_ssl.evaluation.results import Accuracies, FullTestResult
from avalanche_ssl.evaluation.tasks import TaskResult
from avalanche_ssl.logging import BaselineEvent, CurveEvent, FrozenProbeEvent, FullTestEvent, ProbeEvent, TaskEvent
from avalanche_ssl.probes import ProbeProtocol


def probe_events(
    accuracies: Accuracies,
    probes: Iterable[ProbeProtocol],
    *,
    order: Sequence[int],
    one_test_set: bool,
    images_trained: int,
    seconds: float,
    precision: str = "fp32",
) -> list[ProbeEvent]:
    """The entries that were measured of a row of the accuracy matrix.

    Args:
        accuracies: by probe and scope.
        probes: their protocols.
        order: the experiences trained on so far, by their position in the benchmark, in the order of training.
        one_test_set: whether all experiences share one test set.
        images_trained, seconds, precision: as in the event.
    """

    def tested(j: int) -> dict[str, Any]:
        """Fields about the test data of the j-th experience."""
        in_order = (j in order) == (j < len(order))
        return {} if one_test_set else {"experience": j + 1} | ({} if in_order else {"trained_on": j in order})

    return [
        ProbeEvent(
            experiences_trained=len(order),
            **tested(j),
            probe=probe.name,
            scope=scope,
            accuracy=float(accuracy),
            images_trained=images_trained,
            seconds=seconds,
            precision=precision,
            caveat=probe.caveat or None,
        )
        for probe in probes
        for scope, row in accuracies[probe.name].items()
        for j, accuracy in enumerate(row)
        if not np.isnan(accuracy)
    ]


def frozen_probe_events(
    found: Iterable[FrozenAccuracy], probe: str, *, experiences_trained: int, precision: str = "fp32"
) -> list[FrozenProbeEvent]:
    """The entries that were measured of a row of the matrix of frozen probes; the other fields as in the event."""
    return [
        FrozenProbeEvent(
            experiences_trained=experiences_trained,
            experience=each.experience + 1,
            fitted_after=each.fitted_after,
            probe=probe,
            scope=each.scope,
            accuracy=each.accuracy,
            precision=precision,
        )
        for each in found
        if not np.isnan(each.accuracy)
    ]


def baseline_events(
    untrained: Accuracies, pixels: Mapping[str, Matrix], *, start: str, chance: float, precision: str = "fp32"
) -> list[BaselineEvent]:
    """What to compare the probes with: chance and pixels in the scope "all", the first encoder in every scope.

    Args:
        untrained: accuracies of the encoder at the start.
        pixels: of raw pixels, by probe.
        start: what the encoder at the start is called.
        chance: accuracy of guessing among all classes.
        precision: of the encoder's features; pixels are fp32.
    """
    of_chance = [BaselineEvent(name="chance", probe=p, scope="all", accuracy=chance) for p in untrained]
    of_pixels = [
        BaselineEvent(name=RawPixels.name, probe=p, scope="all", accuracy=float(np.nanmean(row)), precision="fp32")
        for p, row in pixels.items()
    ]
    of_encoder = [
        BaselineEvent(name=start, probe=p, scope=scope, accuracy=float(np.nanmean(row)), precision=precision)
        for p, scopes in untrained.items()
        for scope, row in scopes.items()
        if not np.isnan(row).all()  # nothing seen yet
    ]
    return [*(e for e in of_chance if "all" in untrained[e.probe]), *of_pixels, *of_encoder]


def curve_events(
    accuracies: Accuracies,
    probes: Iterable[ProbeProtocol],
    *,
    images_seen: int,
    images_trained: int,
    experiences_trained: int,
    seconds: float,
    precision: str = "fp32",
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
            precision=precision,
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
    result: FullTestResult,
    probes: Iterable[ProbeProtocol],
    *,
    experiences_trained: int,
    images_trained: int,
    precision: str = "fp32",
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
            precision=precision,
            caveat=probe.caveat or None,
        )
        for probe in probes
        if probe.name in result.accuracies
    ]
