"""Published numbers beside ours: the difference, what it has cost, and how the runs deviate from the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

from avalanche_ssl.reports import Group
from avalanche_ssl.reports.cells import percent_cell
from avalanche_ssl.reproductions.entries import Entry
from avalanche_ssl.runs import Run, percent, table_lines, wrapped

COLUMNS = ("published", "ours", "seeds", "difference", "views", "steps", "training s")
"""Columns of the table."""
SOURCES = {
    "read": "",
    "quoted": "quoted by others",
    "memory": "from memory, to be checked",
    "none": "not known to us",
}
"""What is said of a published number, by its evidence."""


def results_text(found: Sequence[tuple[Entry, Sequence[Run]]], width: int | None = None) -> str:
    """A table of entries with their runs, and below what to know about each.

    Args:
        found: entries and their finished runs, one a seed.
        width: of all lines at most; None: of the screen.
    """
    rows = [(entry.name, cells(entry, runs)) for entry, runs in found]
    lines = table_lines("entry", list(COLUMNS), rows, width=width)
    lines += ["", wrapped("percent; ours: mean over seeds ± 95 % interval (of three or more)", width=width)]
    if any(entry.spread is not None for entry, _ in found):
        lines.append(wrapped("published: ± standard deviation over the paper's seeds", width=width))
    for about, entries in _by_table([entry for entry, _ in found]).items():
        lines += ["", *(wrapped(f"{what}: {text}", 2, width) for what, text in about)]
        shared = [text for text in entries[0].deviations if all(text in entry.deviations for entry in entries)]
        lines += [wrapped(f"deviation: {text}", 2, width) for text in shared]
        for entry in entries:
            own = [text for text in entry.deviations if text not in shared]
            lines += [wrapped(f"deviation of {entry.name}: {text}", 2, width) for text in own]
            if SOURCES[entry.evidence] and entry.table != "none":
                lines.append(wrapped(f"published number of {entry.name}: {SOURCES[entry.evidence]}", 2, width))
    commits = list(dict.fromkeys(run.commit or run.version for _, runs in found for run in runs))
    return "\n".join([*lines, *(["", f"code: {', '.join(commits)}"] if commits else [])])


def cells(entry: Entry, runs: Sequence[Run]) -> list[str]:
    """What stands in the row of an entry."""
    values = list(Group(entry.name, list(runs)).values(entry.metric, entry.probe, entry.scope).values()) if runs else []
    mean = sum(values) / len(values) if values else math.nan
    spread = "" if entry.spread is None else f" ± {entry.spread:.1f}"
    published = "-" if entry.published is None else f"{entry.published:.1f}{spread}"
    difference = math.nan if entry.published is None else mean - entry.published / 100
    cost, ends = (runs[0].cost if runs else None), [run.end for run in runs if run.end]
    seconds = f"{sum(end.train_seconds for end in ends) / len(ends):,.0f}" if ends else "-"
    counts = [f"{count:,}" for count in (cost.views, cost.steps)] if cost else ["-", "-"]
    return [published, str(percent_cell(values)), str(len(values)), percent(difference, signed=True), *counts, seconds]


def _by_table(entries: Sequence[Entry]) -> dict[tuple[tuple[str, str], ...], list[Entry]]:
    """The entries of each table, by what is said of all of its numbers."""
    found: dict[tuple[tuple[str, str], ...], list[Entry]] = {}
    for entry in entries:
        measured = f"{entry.metric} by probe {entry.probe}, scope {entry.scope}"
        about = [("paper", entry.paper), ("table", entry.table), ("measured here", measured)]
        about += [("seeds of the paper", entry.seeds)] if entry.seeds != "none" else []
        found.setdefault(tuple(about), []).append(entry)
    return found
