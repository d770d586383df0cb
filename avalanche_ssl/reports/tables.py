"""The comparison of runs as tables of text."""

from __future__ import annotations

from typing import Any

from avalanche_ssl.reports.comparison import Group, Stream, paired, spread
from avalanche_ssl.reports.tasks import Asked, asked

COLUMNS = (
    "average accuracy",
    "gain",
    "anytime accuracy",
    "forgetting",
    "forward transfer",
    "knowledge gain",
    "consolidation",
    "untrained accuracy",
)

PAIRED = ("average accuracy", "gain", "anytime accuracy", "forgetting")

Cell = tuple[str, str]


def table(found: list[Stream], notes: list[str]) -> str:
    """The comparison as text, the streams apart, each with its protocol."""
    lines = [f"note: {note}" for note in notes]
    if len(found) > 1:
        lines.append(f"note: {len(found)} different streams are kept apart: their accuracies cannot be compared")
    for stream in found:
        probe, scope = stream.protocols[0]
        width = max(len(text) for text in ("strategy", *(g.label for g in (*stream.groups, *stream.references)))) + 2
        lines += ["", f"{stream.title}; probe {probe}, scope {scope}; per cent, mean ± standard deviation over seeds"]
        lines.append("strategy".ljust(width) + "seeds" + "".join(c.rjust(20) for c in COLUMNS))
        for row in summary(stream, probe, scope):
            cells = "".join(_text(c).rjust(20) for c in row["cells"])
            lines.append(row["label"].ljust(width) + str(row["seeds"]).rjust(5) + cells)
        for row in differences(stream, probe, scope):
            cells = ", ".join(f"{name} {_text(c)}" for name, c in zip(PAIRED, row["cells"], strict=True))
            lines.append(f"{row['label']} minus {stream.groups[0].label}, {row['seeds']} paired seeds: {cells}")
        lines += [f"odd about {name}: {caveat}" for name, caveat in _caveat(stream)]
        lines += _answers_table(stream, width)
    return "\n".join(lines)


def _answers_table(stream: Stream, width: int) -> list[str]:
    """The latest answers as lines of text; none if nothing was asked."""
    found = asked(stream)
    if found is None:
        return []
    names = found.groups + found.probing_tasks
    column = max(16, *(len(name) + 2 for name in names))
    lines = [f"further questions; {_tested(found)}", "strategy".ljust(width) + "".join(n.rjust(column) for n in names)]
    for row in answered(stream, found, names):
        lines.append(row["label"].ljust(width) + "".join(_text(c).rjust(column) for c in row["cells"]))
    return ["", *lines]


def _tested(found: Asked) -> str:
    return f"last encoder on {'all test images' if found.whole else 'the test images of the matrix'}"


def answered(stream: Stream, found: Asked, names: list[str]) -> list[dict[str, Any]]:
    """A row for each group of what its runs answered, and one for chance where it is known."""

    def cells(runs: list[dict[str, float]]) -> list[Cell]:
        return [_cell([run[name] for run in runs if name in run]) for name in names]

    rows = [{"label": g.label, "cells": cells(runs)} for g, runs in zip(stream.groups, found.latest, strict=True)]
    told = any(name in found.chance for name in names)
    return rows + ([{"label": "chance", "cells": cells([found.chance]), "reference": True}] if told else [])


def _caveat(stream: Stream) -> list[tuple[str, str]]:
    """Probes of which something must be known before their numbers are compared, with what that is."""
    return list({name: caveat for g in stream.groups for r in g.runs for name, caveat in r.caveat.items()}.items())


def summary(stream: Stream, probe: str, scope: str) -> list[dict[str, Any]]:
    """A row for each group and each reference, which has an average accuracy only."""

    def cells(group: Group) -> list[Cell]:
        return [_cell(list(group.values(metric, probe, scope).values())) for metric in COLUMNS]

    rows = [{"label": g.label, "seeds": len(g.runs), "cells": cells(g)} for g in stream.groups]
    for reference in stream.references:
        values = reference.averages(probe, scope)
        blank: list[Cell] = [("", "")] * (len(COLUMNS) - 1)
        rows.append(
            {"label": reference.label, "seeds": len(values), "cells": [_cell(values), *blank], "reference": True}
        )
    return rows


def differences(stream: Stream, probe: str, scope: str) -> list[dict[str, Any]]:
    """Each group minus the first, seed by seed; only where both finished and have seeds in common."""
    first, *others = stream.groups
    rows = []
    for group in others:
        found = [paired(first, group, metric, probe, scope) for metric in PAIRED]
        if found[0][2] and first.runs[0].trained == group.runs[0].trained:
            cells = [(_number(100 * mean, signed=True), _number(100 * std)) for mean, std, _ in found]
            rows.append({"label": group.label, "seeds": found[0][2], "cells": cells})
    return rows


def _cell(values: list[float]) -> Cell:
    mean, std = spread(values)
    return _number(100 * mean), _number(100 * std)


def _plain(values: list[float]) -> Cell:
    mean, std = spread(values)
    return _number(mean, digits=0) or "-", _number(std, digits=0)


def _number(value: float, signed: bool = False, digits: int = 1) -> str:
    """Empty where it is not defined."""
    return "" if value != value else f"{value:{'+' if signed else ''},.{digits}f}"


def _text(cell: Cell) -> str:
    return (cell[0] or "-") + (f" ± {cell[1]}" if cell[1] else "")
