"""A metric by strategy and plugins, the best cell marked and the others tested against it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avalanche_ssl.reports.comparison import Group, Stream, paired_differences
from avalanche_ssl.reports.significance import holm, p_text, paired_p
from avalanche_ssl.reports.tables import LOWER_IS_BETTER, Cell, Row, percent_cell

PLUGIN_METRICS = ("average accuracy", "forgetting")
"""Metrics that are shown by strategy and plugins."""


@dataclass(frozen=True)
class PluginTable:
    """A metric: a row for each strategy, a column for each set of plugins."""

    metric: str
    columns: list[str]
    rows: list[Row]


def plugin_tables(stream: Stream, probe: str, scope: str) -> list[PluginTable]:
    """A table for each of `PLUGIN_METRICS`; none if all groups were trained with the same plugins.

    A cell says how it compares with the best one: by the p-value of a paired t-test over the seeds that both have,
    corrected for the number of cells (Holm).
    """
    if len({group.plugins for group in stream.groups}) < 2:
        return []
    return [_table(stream, metric, probe, scope) for metric in PLUGIN_METRICS]


def _table(stream: Stream, metric: str, probe: str, scope: str) -> PluginTable:
    plugins = sorted({group.plugins for group in stream.groups}, key=lambda name: name != "")
    methods = list(dict.fromkeys(_row(group) for group in stream.groups))
    places = {(_row(group), group.plugins): group for group in stream.groups}
    cells = _cells(list(places.values()), metric, probe, scope)
    found = dict(zip(places, cells, strict=True))
    rows = [Row(method, [found.get((method, name), Cell()) for name in plugins]) for method in methods]
    return PluginTable(metric, [name or "no plugin" for name in plugins], rows)


def _row(group: Group) -> str:
    """What the row of a group is called; an unfinished one has a row of its own."""
    run = group.runs[0]
    return group.method + ("" if run.finished else f" ({run.experiences_trained} of {run.n_experiences} experiences)")


def _cells(groups: list[Group], metric: str, probe: str, scope: str) -> list[Cell]:
    """A cell for each group; only those that were trained to the end of the stream can be the best, or are tested."""
    cells = [percent_cell(list(group.values(metric, probe, scope).values())) for group in groups]
    entered = [i for i, cell in enumerate(cells) if cell.mean and groups[i].runs[0].finished]
    if len(entered) < 2:
        return cells
    sign = -1 if metric in LOWER_IS_BETTER else 1
    best = max(entered, key=lambda i: sign * groups[i].mean(metric, probe, scope))
    others = [i for i in entered if i != best]
    tested = holm([paired_p(paired_differences(groups[best], groups[i], metric, probe, scope)) for i in others])
    for i, p in zip(others, tested, strict=True):
        cells[i] = replace(cells[i], note=p_text(p))
    for i in entered:
        cells[i] = replace(cells[i], best=cells[i].mean == cells[best].mean)
    return cells
