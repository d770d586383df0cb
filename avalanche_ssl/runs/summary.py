"""DOC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avalanche_ssl.evaluation.history import Measured, curve
from avalanche_ssl.evaluation.tasks import Answer


def curve_table(points: Sequence[Measured], probe: str, rows: int = 20) -> str:
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
    answers: Sequence[tuple[int, Sequence[Answer]]], grouping: str, rows: int = 12, final: Sequence[Answer] = ()
) -> str:
    """Accuracies in per cent over the stream: a column for each question, and for each group of the first one.

    Args:
        answers: with the number of experiences learnt before them.
        grouping: of the first question.
        rows: show no more, among them the first and the last.
        final: answers about all test images, where the others are about some; for a row of their own.
    """
    first = answers[0][1]
    groups = list(first[0].by.get(grouping, {}))
    columns = [f"{grouping} {group}" for group in groups] + [found.question for found in first]
    width = max(len(column) for column in columns) + 2
    chosen = np.unique(np.linspace(0, len(answers) - 1, min(rows, len(answers))).round().astype(int))
    lines = ["learnt".ljust(10) + "".join(column.rjust(width) for column in columns)]

    def line(name: str, found: Sequence[Answer]) -> str:
        known = {one.question: one for one in found}
        lead = known.get(first[0].question)
        values = [lead.by[grouping].get(group) if lead else None for group in groups]
        values += [known[one.question].accuracy if one.question in known else None for one in first]
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        return name.ljust(10) + "".join(cell.rjust(width) for cell in cells)

    lines += [line(str(learnt) if learnt else "untrained", found) for learnt, found in (answers[i] for i in chosen)]
    lines += [line("all images", final)] if final else []
    chances = ["" for _ in groups] + [f"{100 * found.chance:.1f}" for found in first]
    return "\n".join([*lines, "chance".ljust(10) + "".join(text.rjust(width) for text in chances)])
