"""What a run has found, for people: summary, tables, CSV and picture of the accuracy matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.evaluation.history import CurvePoint, curve
from avalanche_ssl.evaluation.metrics import (
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    knowledge_gain,
)
from avalanche_ssl.evaluation.tasks import TaskResult

if TYPE_CHECKING:
    from avalanche_ssl.plugins.probe import ProbePlugin


Matrix = NDArray[np.float64]

EXPLAIN = {
    "average accuracy": "mean of the last row of the matrix",
    "anytime accuracy": "mean over the stream of the average accuracy on experiences seen so far",
    "forgetting": "mean drop from the best to the last accuracy of an experience",
    "backward transfer": "mean change from just after learning an experience to the end",
    "untrained accuracy": "average accuracy of the encoder before any training",
    "forward transfer": "mean gain over the untrained encoder on an experience just before it is learnt",
    "knowledge gain": "mean gain of an experience's accuracy by learning it",
    "consolidation": "how often 200 neighbours tell which experience a test image is of, at the end",
}


def summary(matrix: Matrix, untrained: Matrix, consolidation: float = float("nan")) -> dict[str, float]:
    """The metrics of an accuracy matrix R (T, T) beside the untrained encoder's accuracies (T,), and consolidation."""
    return {
        "average accuracy": average_accuracy(matrix),
        "anytime accuracy": average_anytime_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "backward transfer": backward_transfer(matrix),
        "forward transfer": forward_transfer(matrix, untrained),
        "untrained accuracy": float(np.mean(untrained)),
        "knowledge gain": knowledge_gain(matrix),
        "consolidation": consolidation,
    }


def percent(value: float) -> str:
    """Accuracy in per cent with one decimal; a dash where it is not defined."""
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def matrix_table(matrix: Matrix, untrained: Matrix, most: int = 20) -> str:
    """The matrix in per cent, a row for the untrained encoder and one for each experience learnt and measured.

    Of many rows or columns `most` are shown, among them the first and the last; the mean is over all columns.
    """
    width = max(6, len(str(len(matrix))) + 3)
    columns = _some(range(len(matrix)), most)
    head = "learnt".ljust(10) + "".join(f"e{j + 1}".rjust(width) for j in columns) + "   mean"
    measured = [t for t, row in enumerate(matrix) if not np.isnan(row).all() or t == len(matrix) - 1]
    lines = [head]
    for name, row in [("untrained", untrained), *((f"{t + 1}", matrix[t]) for t in _some(measured, most))]:
        mean = "-" if np.isnan(row).all() else percent(float(np.nanmean(row)))
        lines.append(name.ljust(10) + "".join(percent(row[j]).rjust(width) for j in columns) + mean.rjust(7))
    return "\n".join(lines)


def _some(values: Sequence[int], most: int) -> list[int]:
    """So many of the values at most, evenly spread, with the first and the last."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in places]


def protocol_table(probe: "ProbePlugin") -> str:
    """Mean accuracy in per cent of the last encoder under every probe and scope; a line for each probe."""
    lines = ["probe".ljust(24) + "".join(scope.rjust(8) for scope in probe.scopes)]
    for protocol in probe.probes:
        row = {s: probe.matrix(s, protocol.name)[-1] for s in probe.scopes if s in protocol.scopes}
        values = (percent(float(np.mean(row[s]))) if s in row else "-" for s in probe.scopes)
        lines.append(protocol.name.ljust(24) + "".join(v.rjust(8) for v in values))
        lines += (
            [f"  on all test images: {percent(probe.final[protocol.name])}"] if protocol.name in probe.final else []
        )
        lines += [f"  odd: {protocol.caveat}"] if protocol.caveat else []
    return "\n".join(lines)


def curve_table(points: Sequence[CurvePoint], probe: str, rows: int = 20) -> str:
    """Accuracies in per cent by images seen, at most so many lines: the first, the last, and some between."""
    scopes = list(dict.fromkeys(p.scope for p in points if p.probe == probe))
    curves = {scope: dict(curve(points, probe, scope)) for scope in scopes}
    seen = sorted({point for found in curves.values() for point in found})
    chosen = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, rows).round().astype(int))]
    lines = ["images seen".rjust(12) + "".join(scope.rjust(8) for scope in scopes)]
    for point in chosen:
        values = (curves[scope].get(point) for scope in scopes)
        lines.append(f"{point:>12,}" + "".join(("-" if v is None else f"{100 * v:.1f}").rjust(8) for v in values))
    return "\n".join(lines)


def task_table(
    task_results: Sequence[tuple[int, Sequence[TaskResult]]],
    grouping: str,
    rows: int = 12,
    final: Sequence[TaskResult] = (),
) -> str:
    """Accuracies in per cent over the stream: a column for each question, and for each group of the first one.

    Args:
        answers: with the number of experiences learnt before them.
        grouping: of the first question.
        rows: show no more, among them the first and the last.
        final: answers about all test images, where the others are about some; for a row of their own.
    """
    first = task_results[0][1]
    groups = list(first[0].by.get(grouping, {}))
    columns = [f"{grouping} {group}" for group in groups] + [found.question for found in first]
    width = max(len(column) for column in columns) + 2
    chosen = np.unique(np.linspace(0, len(task_results) - 1, min(rows, len(task_results))).round().astype(int))
    lines = ["learnt".ljust(10) + "".join(column.rjust(width) for column in columns)]

    def line(name: str, found: Sequence[TaskResult]) -> str:
        known = {one.question: one for one in found}
        lead = known.get(first[0].question)
        values = [lead.by[grouping].get(group) if lead else None for group in groups]
        values += [known[one.question].accuracy if one.question in known else None for one in first]
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        return name.ljust(10) + "".join(cell.rjust(width) for cell in cells)

    lines += [
        line(str(learnt) if learnt else "untrained", found) for learnt, found in (task_results[i] for i in chosen)
    ]
    lines += [line("all images", final)] if final else []
    chances = ["" for _ in groups] + [f"{100 * found.chance:.1f}" for found in first]
    return "\n".join([*lines, "chance".ljust(10) + "".join(text.rjust(width) for text in chances)])
