"""The figures of a report, as data URLs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from avalanche_ssl.drawing import (
    DARK,
    REFERENCE,
    STYLE,
    End,
    Scale,
    draw_band,
    draw_grid,
    draw_levels,
    draw_matrix,
    grid_size,
    label_ends,
    looks,
    start_axis,
)
from avalanche_ssl.evaluation import RawPixels
from avalanche_ssl.reports.comparison import CHANCE, Group, Stream
from avalanche_ssl.reports.plugin_grid import NO_PLUGIN, grid_groups, grid_measures
from avalanche_ssl.reports.tasks import task_curve
from avalanche_ssl.runs import start_name

MOST_BARS = 60
"""Bars of a figure at most; beyond, lines are drawn."""

Series = tuple[Group, tuple[str, str]]
"""A group with its color and marker."""

DataURL = str
"""An image as a `data:` URL."""


@contextmanager
def _figure(width: float = 5.0, height: float = 3.5) -> Iterator[tuple[Figure, Any]]:
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots()


def _svg(figure: Figure) -> DataURL:
    """The figure, with other colors in dark mode."""
    file = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>".encode()
    before, tag, after = file.getvalue().partition(b"<defs>")
    return "data:image/svg+xml;base64," + base64.b64encode(before + style + tag + after).decode()


def heat_map(stream: Stream, group: Group, probe: str, scope: str) -> DataURL:
    """The measured rows of the accuracy matrix, mean over seeds, with the untrained encoder as the first.

    A color is the same accuracy in the matrices of all groups of the stream.
    """
    with _figure(4.4, 3.6) as (figure, axes):
        draw_heat_map(axes, stream, group, probe, scope)
    return _svg(figure)


def draw_heat_map(axes: Any, stream: Stream, group: Group, probe: str, scope: str) -> None:
    """Draw `heat_map`."""
    chance = stream.chance(scope)
    every = [100 * g.mean_rows(probe, scope) for g in stream.groups if g.having(probe, scope)]
    scale = Scale.of(every, None if chance is None else 100 * chance)
    percents = 100 * group.mean_rows(probe, scope)
    measured = [t for t, row in enumerate(percents) if t > 0 and not np.isnan(row).all()]
    draw_matrix(axes, percents[[0, *measured]], measured, scale, start_name(group.runs[0].config))


def anytime(stream: Stream, probe: str, scope: str) -> DataURL:
    """Accuracy on the experiences seen so far, mean and standard deviation over seeds; the encoder at the start dashed.

    Chance is dotted, raw pixels dotted and dashed.
    """
    with _figure(4.6, 3.3) as (figure, axes):
        draw_anytime(axes, stream, probe, scope)
    return _svg(figure)


def draw_anytime(axes: Any, stream: Stream, probe: str, scope: str) -> None:
    """Draw `anytime`."""
    shown, untrained = _having(stream, probe, scope), {}
    for group, (color, _) in shown:
        rows = [run.untrained(probe, scope) for run in group.having(probe, scope)]
        if not any(np.isnan(row).all() for row in rows):
            untrained[group.label] = (100 * float(np.mean([np.nanmean(row) for row in rows])), color)
    values = [100 * group.anytime(probe, scope) for group, _ in shown]
    axes.set(xlabel="experiences trained", ylabel="accuracy on those seen (%)")
    known = {CHANCE: stream.chance(scope), RawPixels.name: stream.pixels(probe, scope)}
    references = {name: 100 * level for name, level in known.items() if level is not None}
    start = start_name(*(run.config for group, _ in shown for run in group.runs))
    _draw_series(axes, shown, values, starts=(start, untrained), references=references)


def forgetting(stream: Stream, probe: str, scope: str) -> DataURL:
    """Percentage points lost on each experience between its best accuracy and the end."""
    with _figure(4.6, 3.3) as (figure, axes):
        draw_forgetting(axes, stream, probe, scope)
    return _svg(figure)


def draw_forgetting(axes: Any, stream: Stream, probe: str, scope: str) -> None:
    """Draw `forgetting`: bars, and lines where these would be too many. A marker shows a value of zero, too."""
    shown = _having(stream, probe, scope)
    values = [100 * group.forgetting(probe, scope) for group, _ in shown]
    axes.set(xlabel="experience", ylabel="points lost at the end")
    if sum(part.shape[1] for part in values) > MOST_BARS:
        _draw_series(axes, shown, values)
        return
    width = 0.8 / max(1, len(shown))
    for i, ((group, (color, marker)), part) in enumerate(zip(shown, values, strict=True)):
        places = np.arange(1, part.shape[1] + 1) + (i - (len(shown) - 1) / 2) * width
        mean, std = part.mean(axis=0), part.std(axis=0, ddof=1) if len(part) > 1 else np.zeros(part.shape[1])
        axes.bar(places, mean, width=0.9 * width, color=color, alpha=0.35)
        whiskers = [np.minimum(std, mean), std]  # nothing is lost less than not at all
        look: Any = {"color": color, "marker": marker, "linestyle": "none", "markersize": 5, "elinewidth": 1.2}
        axes.errorbar(places, mean, yerr=whiskers if len(part) > 1 else None, label=group.label, clip_on=False, **look)
    axes.set(xlim=(0.4, max(part.shape[1] for part in values) + 0.6), ylim=(0, max(1.0, axes.get_ylim()[1])))
    axes.grid(axis="x", visible=False)
    if len(shown) > 1:
        columns = legend_columns(axes, [group.label for group, _ in shown])
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, fontsize=9, columnspacing=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))


def plugin_grid(stream: Stream, probe: str, scope: str) -> DataURL | None:
    """Each strategy with each set of plugins: accuracy, forgetting, cost; None where all have the same plugins."""
    found = grid_groups(stream)
    if not found:
        return None
    groups = [(method, [group.plugins or NO_PLUGIN for group in each]) for method, each in found]
    measures = grid_measures(stream, probe, scope)
    with rc_context(STYLE):
        figure = Figure(figsize=grid_size(groups, len(measures)), layout="constrained")
        FigureCanvasAgg(figure)
        draw_grid(figure, groups, measures)
    return _svg(figure)


def legend_columns(axes: Any, labels: Sequence[str]) -> int:
    """How many columns of a legend fit above the axes, three at most; a wider one would press the axes together."""
    inches = axes.bbox.width / axes.figure.dpi
    return min(3, max(1, int(inches / (0.07 * max(map(len, labels)) + 0.5))))


def representation(stream: Stream, field: str) -> DataURL | None:
    """A field of the representation events over the stream; None if no run has it."""
    shown, values, steps = [], [], []
    for group, look in zip(stream.groups, looks(), strict=False):
        lines = [{e.experiences_trained: getattr(e, field) for e in run.representation} for run in group.runs]
        common = sorted(set.intersection(*map(set, lines)))
        found = np.array([[line[t] for t in common] for line in lines], dtype=float)
        if found.size and not np.isnan(found).any(axis=0).all():
            shown.append((group, look))
            values.append(found)
            steps.append(common)
    if not shown:
        return None
    with _figure(4.2, 2.9) as (figure, axes):
        axes.set(xlabel="experiences trained")
        _draw_series(axes, shown, values, steps)
    return _svg(figure)


def task(stream: Stream, name: str, chance: float) -> DataURL:
    """Accuracy of a probing task over the stream, from the untrained encoder on; chance dotted."""
    shown, values, steps = [], [], []
    for group, look in zip(stream.groups, looks(), strict=False):
        measured, accuracies = task_curve(group, name)
        if measured:
            shown.append((group, look))
            values.append(100 * accuracies)
            steps.append(measured)
    with _figure(4.2, 2.9) as (figure, axes):
        axes.set(xlabel="experiences trained", ylabel="accuracy (%)")
        _draw_series(axes, shown, values, steps, references={CHANCE: 100 * chance})
    return _svg(figure)


def _having(stream: Stream, probe: str, scope: str) -> list[Series]:
    """The groups that have a probe, each with the look that it has in all figures of the stream."""
    return [(g, look) for g, look in zip(stream.groups, looks(), strict=False) if g.having(probe, scope)]


def _draw_series(
    axes: Any,
    shown: Sequence[Series],
    values: Sequence[NDArray[np.float64]],
    steps: Sequence[Sequence[int]] | None = None,
    *,
    starts: tuple[str, Mapping[str, tuple[float, str]]] = ("", {}),
    references: Mapping[str, float] = {},
) -> None:
    """A line with a band for each group, whose name and last value stand at its end; a single group needs no name.

    Args:
        axes: where.
        shown: the groups.
        values: (seeds, t) of each.
        steps: numbers of experiences of each; t = 1, 2, ... unless given.
        starts: what the encoders at the start are called, and their accuracy and color by the label of the group.
        references: accuracies that are the same for all groups, by name: chance dotted, others with dots and dashes.
    """
    places = steps or [range(1, part.shape[1] + 1) for part in values]
    bounds = [
        bound
        for (_, look), part, at in zip(shown, values, places, strict=True)
        if (bound := draw_band(axes, at, part, look))
    ]
    levels = [*(level for level, _ in starts[1].values()), *references.values()]
    reach = [*levels, *(value for bound in bounds for value in bound)]
    start_axis(axes, min(reach, default=0.0), max(reach, default=1.0))
    ends = []
    for (group, (color, _)), part, at in zip(shown, values, places, strict=True):
        known = np.flatnonzero(~np.isnan(part).any(axis=0))
        if known.size:
            last = float(part[:, known[-1]].mean())
            name = f"{group.label} " if len(shown) > 1 else ""
            ends.append(End(last, f"{name}{last:.3g}", color, float(at[known[-1]])))
    ends += draw_levels(axes, *starts)
    for name, level in references.items():
        axes.axhline(level, color=REFERENCE, linestyle=":" if name == CHANCE else "-.", linewidth=1.3, zorder=1.5)
        ends.append(End(level, f"{name} {level:.3g}", REFERENCE))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    label_ends(axes, ends)
