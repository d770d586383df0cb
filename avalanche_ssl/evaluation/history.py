"""The accuracy matrix and the accuracy curve of a stream."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.evaluation.tasks import TaskResult

Matrix = NDArray[np.float64]


def _plain(task_results: Iterable[TaskResult]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(found) for found in task_results]


def _answers(fields: Iterable[dict[str, Any]]) -> list[TaskResult]:
    """The inverse of `_plain`."""
    return [TaskResult(**found) for found in fields]


def _unmeasured(row: dict[str, Matrix]) -> dict[str, Matrix]:
    """As the row, but not known."""
    return {key: np.full_like(values, np.nan) for key, values in row.items()}


@dataclass(frozen=True)
class CurvePoint:
    """What one probe found at one point, as mean accuracy over the test data of all experiences that it can score.

    Args:
        seen: images of the stream so far, each counted once: neither passes nor replayed ones.
        images: learnt so far, passes and replayed ones included.
        seconds: of training so far.
        trained: experiences that were complete.
        probe: its name.
        scope: see `ProbePlugin`.
        accuracy: 0 to 1.
    """

    seen: int
    images: int
    seconds: float
    trained: int
    probe: str
    scope: str
    accuracy: float


def curve(points: Sequence[CurvePoint], probe: str, scope: str) -> list[tuple[int, float]]:
    """Images seen and accuracy, over the stream; of what was measured twice at a point, the latter."""
    found = {p.seen: p.accuracy for p in points if (p.probe, p.scope) == (probe, scope)}
    return sorted(found.items())
