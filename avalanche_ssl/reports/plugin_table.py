"""A metric by strategy and plugins, the best cell marked and the others tested against it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avalanche_ssl.reports.cells import Cell, Row, percent_cell
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.differences import best_group, corrected, difference
from avalanche_ssl.reports.significance import p_text
from avalanche_ssl.reports.tables import LOWER_IS_BETTER

PLUGIN_METRICS = ("average accuracy", "forgetting (refitted probe)")
"""Metrics that are shown by strategy and plugins."""


@dataclass(frozen=True)
class PluginTable:
    """A metric: a row for each strategy, a column for each set of plugins."""

    metric: str
    columns: list[str]
    rows: list[Row]


def plugin_tables(stream: Stream, probe: str, scope: str) -> list[PluginTable]:
    """A table for each of `PLUGIN_METRICS`; none if all groups were trained with the same plugins.

    A cell says how it compares with the best one: by the p-value of the paired difference, see `difference`, corrected
    for the number of cells (Holm).
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
    sign = -1 if metric in LOWER_IS_BETTER else 1
    entered = [i for i, g in enumerate(groups) if cells[i].mean and g.runs[0].finished and not g.reference]
    best = best_group([groups[i] for i in entered], metric, probe, scope, sign)
    if best is None:
        return cells
    others = [i for i in entered if groups[i] is not best]
    tested = corrected([difference(best, groups[i], metric, probe, scope) for i in others])
    for i, p in zip(others, tested, strict=True):
        cells[i] = replace(cells[i], note=p_text(p))
    shown = next(cells[i].mean for i in entered if groups[i] is best)
    for i in entered:
        cells[i] = replace(cells[i], best=cells[i].mean == shown)
    return cells
