"""Strategies by plugins in one table and one picture: average accuracy, forgetting, and what they cost."""

from __future__ import annotations

from collections.abc import Callable

from avalanche_ssl.drawing import Measure
from avalanche_ssl.reports.cells import Cell, Row, number_cell, percent_cell
from avalanche_ssl.reports.comparison import Group, Stream, mean_and_std

GRID_COLUMNS = (
    "average accuracy",
    "forgetting (refitted probe)",
    "views",
    "teacher views",
    "training s",
    "bytes remembered",
)
"""Columns of `grid_rows`."""

NO_PLUGIN = "no plugin"


def grid_groups(stream: Stream) -> list[tuple[str, list[Group]]]:
    """The groups of runs by strategy, those without a plugin first; none if all were trained with the same plugins.

    What is unfinished has a name of its own and is no plugin's fault: it is left out.
    """
    finished = [group for group in stream.groups if group.runs[0].finished]
    if len({group.plugins for group in finished}) < 2:
        return []
    methods = dict.fromkeys(group.method for group in finished)
    return [(m, sorted((g for g in finished if g.method == m), key=lambda g: g.plugins)) for m in methods]


def grid_rows(stream: Stream, probe: str, scope: str) -> list[Row]:
    """A row for each strategy with each set of plugins, with the columns of `GRID_COLUMNS`; none as `grid_groups`."""
    return [
        Row(group.label, _cells(group, probe, scope), len(group.runs))
        for _, groups in grid_groups(stream)
        for group in groups
    ]


def grid_measures(stream: Stream, probe: str, scope: str) -> list[Measure]:
    """The columns of the picture; what no run logged is left out."""
    groups = [group for _, each in grid_groups(stream) for group in each]

    def values(of: Callable[[Group], list[float]]) -> list[tuple[float, float]]:
        return [mean_and_std(of(group)) for group in groups]

    def whole(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    found = [
        Measure("accuracy (%)", values(lambda g: _metric(g, "average accuracy", probe, scope)), "{:.1f}".format, False),
        Measure("forgetting (points)", values(lambda g: _metric(g, GRID_COLUMNS[1], probe, scope)), "{:.1f}".format),
        Measure("views (thousand)", values(lambda g: [n / 1e3 for n in _counts(g, "views", "teacher_views")]), whole),
        Measure("training (s)", values(_seconds), whole),
        Measure("kept (MB)", values(lambda g: [n / 1e6 for n in _counts(g, "bytes_remembered")]), "{:.3g}".format),
    ]
    return [measure for measure in found if any(mean == mean for mean, _ in measure.values)]


def _metric(group: Group, metric: str, probe: str, scope: str) -> list[float]:
    """In percent, by seed."""
    return [100 * value for value in group.values(metric, probe, scope).values()]


def _counts(group: Group, *fields: str) -> list[float]:
    """The sum of fields of the cost, of the first run: it does not depend on the seed."""
    cost = group.runs[0].cost
    return [float(sum(getattr(cost, field) for field in fields))] if cost else []


def _seconds(group: Group) -> list[float]:
    return [run.end.train_seconds for run in group.runs if run.end]


def _cells(group: Group, probe: str, scope: str) -> list[Cell]:
    shares = [list(group.values(metric, probe, scope).values()) for metric in GRID_COLUMNS[:2]]
    counts = [_counts(group, name) for name in ("views", "teacher_views")]
    numbers = [*counts, _seconds(group), _counts(group, "bytes_remembered")]
    return [*map(percent_cell, shares), *map(number_cell, numbers)]
