"""The comparison of runs as tables of text."""

from __future__ import annotations

import math

from avalanche_ssl.reports.cells import Cell, Row, difference_cell, number_cell, percent_cell
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.differences import apart_notes, corrected, difference
from avalanche_ssl.reports.references import REFERENCE_COLUMNS, reference_rows, unequal_notes
from avalanche_ssl.reports.tasks import LatestTasks, latest_tasks
from avalanche_ssl.runs import start_name, table_lines, wrapped

COLUMNS = (
    "average accuracy",
    "gain",
    "anytime accuracy",
    "forgetting (refitted probe)",
    "forgetting (frozen probe)",
    "forward transfer",
    "knowledge gain",
    "consolidation",
    "untrained accuracy",
)
"""Metrics of the table of strategies."""

PAIRED = ("average accuracy", "gain", "anytime accuracy", "forgetting (refitted probe)")
"""Metrics whose paired differences are shown."""

LOWER_IS_BETTER = ("forgetting (refitted probe)", "forgetting (frozen probe)")
"""Metrics that a strategy should keep low."""


def table(found: list[Stream], notes: list[str], *, width: int | None = None, bold: bool = False) -> str:
    """The comparison as text, with the headline protocol of each stream.

    Args:
        found: the streams.
        notes: a line each, however long, so that they can be searched for.
        width: of all other lines at most; None: of the screen.
        bold: whether to print the best mean of each metric bold.
    """
    lines = [f"note: {note}" for note in notes]
    if len(found) > 1:
        lines.append(f"note: {len(found)} different streams are kept apart: their accuracies cannot be compared")
    return "\n".join(lines + [line for stream in found for line in _stream_lines(stream, width, bold)])


def _stream_lines(stream: Stream, width: int | None, bold: bool) -> list[str]:
    probe, scope = stream.protocols[0]
    title = f"{stream.title}; probe {probe}, scope {scope}; percent, mean over seeds ± 95 % interval (of three or more)"
    summaries = summary_rows(stream, probe, scope)
    best = {(i, j + 1) for j, metric in enumerate(COLUMNS) for i in best_rows(summaries, j, metric)} if bold else set()
    rows = [(row.label, [str(row.seeds), *map(str, row.cells)]) for row in summaries]
    lines = ["", wrapped(title, width=width)]
    lines += table_lines("strategy", ["seeds", *COLUMNS], rows, width=width, bold=best)
    lines += [wrapped(note, 2, width) for note in apart_notes(stream, probe, scope)]
    if references := reference_rows(stream, probe, scope):
        rows = [(row.label, [str(row.seeds), *map(str, row.cells)]) for row in references]
        lines += ["", wrapped("against their references; percent, differences in percentage points", width=width)]
        lines += table_lines("strategy", ["seeds", *REFERENCE_COLUMNS], rows, width=width)
        lines += [wrapped(note, 2, width) for note in unequal_notes(stream)]
    if differences := paired_rows(stream, probe, scope):
        rows = [(row.label, [str(row.seeds), *map(str, row.cells)]) for row in differences]
        title = f"difference to {stream.first.label}, seed by seed; percentage points, mean ± 95 % interval"
        lines += ["", wrapped(title, width=width)]
        lines += table_lines("strategy", ["paired seeds", *PAIRED], rows, width=width)
    lines += [wrapped(f"caveat of {name}: {caveat}", 2, width) for name, caveat in stream.caveats.items()]
    return lines + _task_lines(stream, width)


def _task_lines(stream: Stream, width: int | None) -> list[str]:
    """The latest results of probing tasks; no line if there are none."""
    found = latest_tasks(stream)
    if found is None:
        return []
    names = found.groups + found.probing_tasks
    rows = [(row.label, [str(cell) for cell in row.cells]) for row in task_rows(stream, found, names)]
    title = wrapped(f"probing tasks; {found.test_set}", width=width)
    return ["", title, *table_lines("strategy", names, rows, width=width)]


def best_rows(rows: list[Row], column: int, metric: str) -> list[int]:
    """Numbers of the rows whose mean, as it is shown, is the best; none where all are equal, or a single one is known.

    Args:
        rows: as of `summary_rows`; baselines do not count.
        column: of the cells.
        metric: whose values these are; "untrained accuracy" is no merit of a strategy.
    """
    means = {i: row.cells[column].mean for i, row in enumerate(rows) if not row.baseline}
    shown = {i: float(mean) for i, mean in means.items() if mean}
    if len(shown) < 2 or metric == "untrained accuracy":
        return []
    best = (min if metric in LOWER_IS_BETTER else max)(shown.values())
    found = [i for i, mean in shown.items() if mean == best]
    return found if len(found) < len(shown) else []


def task_rows(stream: Stream, found: LatestTasks, names: list[str]) -> list[Row]:
    """A row for each group, and one for chance where it is known; a column for each task or group of images."""

    def cells(runs: list[dict[str, float]]) -> list[Cell]:
        return [percent_cell([run[name] for run in runs if name in run]) for name in names]

    rows = [Row(group.label, cells(runs)) for group, runs in zip(stream.groups, found.latest, strict=True)]
    known = any(name in found.chance for name in names)
    return rows + ([Row("chance", cells([found.chance]), baseline=True)] if known else [])


def summary_rows(stream: Stream, probe: str, scope: str) -> list[Row]:
    """A row for each group and each baseline, which has an average accuracy only; references count as baselines."""

    def cells(group: Group) -> list[Cell]:
        return [percent_cell(list(group.values(metric, probe, scope).values())) for metric in COLUMNS]

    rows = [Row(group.label, cells(group), len(group.runs), bool(group.reference)) for group in stream.groups]
    for baseline in stream.baselines:
        values = baseline.averages(probe, scope)
        blank = [Cell()] * (len(COLUMNS) - 1)
        rows.append(Row(baseline.label, [percent_cell(values), *blank], len(values), baseline=True))
    return rows


def paired_rows(stream: Stream, probe: str, scope: str) -> list[Row]:
    """Each group minus the first, seed by seed; only where both were trained as far and have seeds in common.

    The note of a cell is the p-value, corrected for the number of groups (Holm); see `difference`.
    """
    first = stream.first
    trained = first.runs[0].experiences_trained
    compared = [
        group
        for group in stream.groups
        if group is not first
        and group.runs[0].experiences_trained == trained
        and difference(first, group, PAIRED[0], probe, scope).seeds
    ]
    columns = []
    for metric in PAIRED:
        found = [difference(first, group, metric, probe, scope) for group in compared]
        columns.append([difference_cell(each, p) for each, p in zip(found, corrected(found), strict=True)])
    seeds = [difference(first, group, PAIRED[0], probe, scope).seeds for group in compared]
    return [
        Row(group.label, list(cells), count)
        for group, cells, count in zip(compared, zip(*columns, strict=True), seeds, strict=True)
    ]


def protocol_rows(stream: Stream) -> list[Row]:
    """Average accuracy under every probe and scope; a column for each group and each baseline.

    Below it that of the groups' encoders before any training, where it was measured.
    """

    def cells(metric: str, probe: str, scope: str) -> list[Cell]:
        return [percent_cell(list(group.values(metric, probe, scope).values())) for group in stream.groups]

    rows, start = [], start_name(*(run.config for group in stream.groups for run in group.runs))
    for probe, scope in stream.protocols:
        of_baselines = [percent_cell(baseline.averages(probe, scope)) for baseline in stream.baselines]
        rows.append(Row(f"{probe}, {scope}", cells("average accuracy", probe, scope) + of_baselines))
        untrained = cells("untrained accuracy", probe, scope)
        if any(cell.mean for cell in untrained):
            blank = [Cell()] * len(stream.baselines)
            rows.append(Row(f"{probe}, {scope}, {start}", untrained + blank))
    return rows


def full_test_rows(stream: Stream) -> list[Row]:
    """As `protocol_rows`: the last encoder on all test images, by probes that otherwise use one in n of them."""
    names = dict.fromkeys(name for group in stream.groups for run in group.runs for name in run.full_test)
    blank = [Cell()] * len(stream.baselines)

    def cells(name: str) -> list[Cell]:
        each = [[run.full_test[name] for run in group.runs if name in run.full_test] for group in stream.groups]
        return [percent_cell(values) for values in each] + blank

    return [Row(f"{name}, all, on all test images", cells(name)) for name in names]


COST_COLUMNS = (
    "training s",
    "images/s",
    "views",
    "teacher views",
    "steps",
    "parameters",
    "plugin parameters",
    "bytes remembered",
)
"""Columns of `cost_rows`."""


def cost_rows(stream: Stream) -> list[Row]:
    """What the training of each group has cost; what does not depend on the seed is of its first run."""
    return [Row(group.label, _cost_cells(group)) for group in stream.groups]


def _cost_cells(group: Group) -> list[Cell]:
    ends = [run.end for run in group.runs if run.end and run.end.train_seconds >= 1e-3]
    cost = group.runs[0].cost
    names = [name.replace(" ", "_") for name in COST_COLUMNS[2:]]
    counts = [getattr(cost, name) if cost else math.nan for name in names]
    seconds = number_cell([end.train_seconds for end in ends])
    rate = number_cell([end.images_trained / end.train_seconds for end in ends])
    return [seconds, rate, *(number_cell([count]) for count in counts)]
