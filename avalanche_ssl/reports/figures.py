"""The figures of a report, as data URLs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from avalanche_ssl.reports.comparison import Group, Stream, mean_and_std
from avalanche_ssl.reports.tasks import task_curve

COLORS = ("#3366cc", "#e07b1a", "#2c9b6c", "#b8408f", "#7a5cc4", "#8a6d3b", "#c0392b", "#4d7f94")
"""Colors of groups."""

CLASSES = ("#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#c9a800", "#b07aa1", "#ff8fa3", "#8c6246", "#79706e")
"""Colors of classes."""

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#99a1ab",
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
    "axes.labelcolor": "#3c4650",
    "xtick.color": "#5b6570",
    "ytick.color": "#5b6570",
    "legend.frameon": False,
    "svg.hashsalt": "report",
    "text.parse_math": False,  # names of strategies and classes may have a $
    "text.usetex": False,
}

ERROR_BARS = {"ecolor": "#555", "elinewidth": 1, "capsize": 2}

DataURL = str
"""An image as a `data:` URL."""


@contextmanager
def _figure(width: float = 5.0, height: float = 3.5) -> Iterator[tuple[Figure, Any]]:
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots()


def _svg(figure: Figure) -> DataURL:
    file = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def heat_map(group: Group, probe: str, scope: str) -> DataURL:
    """The measured rows of the accuracy matrix, mean over seeds, with the untrained encoder as the first."""
    percents = 100 * group.mean_rows(probe, scope)
    measured = [t for t, row in enumerate(percents) if t == 0 or not np.isnan(row).all()]
    percents = percents[measured]
    with _figure(5.0, 4.2) as (figure, axes):
        image = axes.imshow(percents, cmap="viridis", vmin=0, vmax=100, aspect="auto")
        _matrix_axes(axes, ["untrained", *map(str, measured[1:])], percents.shape[1])
        for (t, j), value in np.ndenumerate(percents):
            if percents.shape[1] <= 12 and not np.isnan(value):
                axes.text(j, t, f"{value:.0f}", ha="center", va="center", color="white" if value < 65 else "#222")
        for place, t in enumerate(measured[1:], 1):
            if t <= percents.shape[1]:
                axes.add_patch(_frame(t - 1, place))  # the experience trained on last
        bar = figure.colorbar(image, ax=axes, fraction=0.046)
        bar.outline.set_visible(False)
    return _svg(figure)


def _matrix_axes(axes: Any, rows: Sequence[str], columns: int) -> None:
    """Ticks at some ten rows and columns."""
    every, fewer = 1 + (columns - 1) // 10, 1 + (len(rows) - 1) // 10
    axes.grid(False)
    axes.set_xticks(range(0, columns, every), [str(j + 1) for j in range(0, columns, every)])
    axes.set_yticks(range(0, len(rows), fewer), rows[::fewer])
    one_test_set = columns == 1 and len(rows) > 2
    axes.set(xlabel="one test set" if one_test_set else "tested on experience", ylabel="trained up to experience")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _frame(x: float, y: float) -> Rectangle:
    return Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, edgecolor="white", linewidth=1.4)


def anytime(stream: Stream, probe: str, scope: str) -> DataURL:
    """Accuracy on the experiences seen so far, mean and standard deviation over seeds; the untrained encoder dashed."""
    with _figure() as (figure, axes):
        for group, color in zip(stream.groups, _cycle(), strict=False):
            if not group.having(probe, scope):
                continue
            _band(axes, 100 * group.anytime(probe, scope), color, group.label)
            rows = [r.untrained(probe, scope) for r in group.having(probe, scope)]
            if not any(np.isnan(row).all() for row in rows):
                untrained = [np.nanmean(row) for row in rows]
                axes.axhline(100 * float(np.mean(untrained)), color=color, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(xlabel="experiences trained", ylabel="accuracy on those seen (%)")
        _finish(axes)
    return _svg(figure)


def forgetting(stream: Stream, probe: str, scope: str) -> DataURL:
    """Percentage points lost on each experience between its best accuracy and the end."""
    shown = [(g, c) for g, c in zip(stream.groups, _cycle(), strict=False) if g.having(probe, scope)]
    with _figure() as (figure, axes):
        for i, (group, color) in enumerate(shown):
            values = 100 * group.forgetting(probe, scope)
            places = np.arange(1, values.shape[1] + 1) + (i - (len(shown) - 1) / 2) * 0.8 / len(shown)
            error = values.std(axis=0, ddof=1) if len(values) > 1 else None
            bars = {"color": color, "label": group.label, "width": 0.8 / len(shown)}
            axes.bar(places, values.mean(axis=0), yerr=error, error_kw=ERROR_BARS, **bars)
        axes.set(xlabel="experience", ylabel="forgetting at the end (points)")
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        _finish(axes)
    return _svg(figure)


def representation(stream: Stream, field: str, label: str) -> DataURL | None:
    """A field of the representation events over the stream; None if no run has it."""
    with _figure(4.2, 2.9) as (figure, axes):
        for group, color in zip(stream.groups, _cycle(), strict=False):
            lines = [{e.experiences_trained: getattr(e, field) for e in run.representation} for run in group.runs]
            steps = sorted(set.intersection(*map(set, lines)))
            values = np.array([[line[t] for t in steps] for line in lines], dtype=float)
            if values.size and not np.isnan(values).all():
                _band(axes, values, color, group.label, steps)
        if not axes.lines:
            return None
        axes.set(xlabel="experiences trained", ylabel=label)
        _finish(axes)
    return _svg(figure)


def task(stream: Stream, name: str, chance: float) -> DataURL:
    """Accuracy of a probing task over the stream, from the untrained encoder on; chance dashed."""
    with _figure(4.2, 2.9) as (figure, axes):
        for group, color in zip(stream.groups, _cycle(), strict=False):
            steps, accuracies = task_curve(group, name)
            if steps:
                _band(axes, 100 * accuracies, color, group.label, steps)
        axes.axhline(100 * chance, color="#99a1ab", linestyle=(0, (4, 3)), linewidth=1)
        axes.set(xlabel="experiences trained", ylabel="accuracy (%)")
        _finish(axes)
    return _svg(figure)


def scatter(points: NDArray[np.float64], labels: NDArray[Any], names: Sequence[str]) -> DataURL:
    """Points (N, 2) colored by class."""
    with _figure(4.6, 4.4) as (figure, axes):
        axes.set_axis_off()
        axes.set_aspect("equal")
        center, reach = (points.max(0) + points.min(0)) / 2, 0.54 * float(np.ptp(points, axis=0).max() or 1)
        axes.set(xlim=(center[0] - reach, center[0] + reach), ylim=(center[1] - reach, center[1] + reach))
        for c, name in enumerate(names):
            rows = labels == c
            axes.scatter(*points[rows].T, s=16, color=_class_color(c, len(names)), label=name, linewidths=0, alpha=0.85)
        if len(names) <= 10:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=min(5, len(names)), handletextpad=0.1)
    return _svg(figure)


def thumbnail(image: NDArray[np.uint8]) -> DataURL:
    """A PNG of an image (H, W, C) or (H, W, 1)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _class_color(c: int, classes: int) -> Any:
    return CLASSES[c] if classes <= len(CLASSES) else colormaps["hsv"](c / classes)


def _cycle() -> Iterator[str]:
    while True:
        yield from COLORS


def _band(axes: Any, values: NDArray[np.float64], color: str, label: str, steps: Sequence[int] | None = None) -> None:
    """Mean of values (seeds, t) as a line through those that were measured, one standard deviation around it.

    The steps are t = 1, 2, ... unless they are given.
    """
    known = np.asarray(~np.isnan(values).any(axis=0))
    if not known.any():
        return
    places = np.array(list(steps or range(1, len(known) + 1)))[known]
    values = values[:, known]
    mean, std = (np.array(part) for part in zip(*(mean_and_std(list(column)) for column in values.T), strict=True))
    axes.plot(places, mean, "o-", color=color, label=label, markersize=4, linewidth=1.8)
    std = np.nan_to_num(std)
    axes.fill_between(places, mean - std, mean + std, color=color, alpha=0.15, linewidth=0)


def _finish(axes: Any) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=3, fontsize=9, columnspacing=1.2)
