"""Groups of rows beside several measures: what each strategy gains by each plugin, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from avalanche_ssl.drawing.labels import shortened, wrapped
from avalanche_ssl.drawing.palette import INK, REFERENCE, looks

ROOM = 0.42
"""Room for the numbers at the right of a panel, as a part of what is drawn."""
LONGEST = 34
"""Characters of the name of a row."""


@dataclass(frozen=True)
class Measure:
    """A column of the picture.

    Args:
        title: what is measured, with its unit.
        values: (mean, standard deviation) of each row, NaN where it is not known; rows as in `draw_grid`.
        text: how a mean is written.
        from_zero: whether bars start at zero; else points on an axis of the values alone.
    """

    title: str
    values: Sequence[tuple[float, float]]
    text: Callable[[float], str]
    from_zero: bool = True


def grid_size(groups: Sequence[tuple[str, Sequence[str]]], measures: int) -> tuple[float, float]:
    """Width and height in inches of a picture that `draw_grid` fills."""
    rows = sum(len(names) for _, names in groups)
    return 1.9 + 1.75 * measures, 0.8 + 0.24 * (rows + 1.2 * len(groups))


def draw_grid(figure: Any, groups: Sequence[tuple[str, Sequence[str]]], measures: Sequence[Measure]) -> None:
    """Draw a panel for each measure, with a row for each name of each group, top down.

    The first row of a group is what its others are compared with: a dashed line shows it. A name has the same color in
    all groups.

    Args:
        figure: with a constrained layout.
        groups: name of each group and of its rows.
        measures: at least one.
    """
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for _, rows in groups for name in rows))
    colors = {name: color for name, (color, _) in zip(names, looks(), strict=False)}
    markers = {name: marker for name, (_, marker) in zip(names, looks(), strict=False)}
    places, heads, place = [], [], 0.0
    for _, rows in groups:
        heads.append(place)
        places.append([place + 1 + i for i in range(len(rows))])
        place += len(rows) + 1.2
    shown = [(name, y) for (_, rows), ys in zip(groups, places, strict=True) for name, y in zip(rows, ys, strict=True)]
    for axes, measure in zip(panels, measures, strict=True):
        known = [(name, y, *v) for (name, y), v in zip(shown, measure.values, strict=True) if not math.isnan(v[0])]
        for name, y, mean, std in known:
            _draw_row(axes, measure, (y, mean, std), colors[name], markers[name])
        _draw_references(axes, places, measure)
        _limits(axes, measure, known)
        axes.set_title(measure.title, fontsize=10, loc="left")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(measure.from_zero)
        axes.xaxis.get_major_locator().set_params(nbins=3)
    first = panels[0]
    first.set_yticks([y for _, y in shown], [shortened(name, LONGEST) for name, _ in shown])
    first.set_ylim(place - 0.7, -0.7)
    for (group, _), y in zip(groups, heads, strict=True):
        first.annotate(
            wrapped(group).replace("\n", " "),
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            weight="bold",
            color=INK,
            fontsize=9.5,
            annotation_clip=False,
        )


def _draw_row(axes: Any, measure: Measure, values: tuple[float, float, float], color: str, marker: str) -> None:
    y, mean, std = values
    whisker = None if math.isnan(std) else std
    if measure.from_zero:
        axes.barh(y, mean, height=0.62, color=color, alpha=0.35, linewidth=0)
    look: Any = {"color": color, "marker": marker, "linestyle": "none", "markersize": 4.5, "elinewidth": 1.2}
    axes.errorbar(mean, y, xerr=whisker, **look)
    beside = mean + (whisker or 0.0)
    axes.annotate(measure.text(mean), (beside, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5)


def _draw_references(axes: Any, places: Sequence[Sequence[float]], measure: Measure) -> None:
    """The first row of each group as a line through the others."""
    row = 0
    for ys in places:
        mean, _ = measure.values[row]
        row += len(ys)
        if len(ys) > 1 and not math.isnan(mean):
            axes.plot([mean, mean], [ys[0], ys[-1] + 0.4], color=REFERENCE, linestyle="--", linewidth=1, zorder=0.9)


def _limits(axes: Any, measure: Measure, known: Sequence[tuple[str, float, float, float]]) -> None:
    """Limits with room for numbers at the right."""
    ends = [end for _, _, mean, std in known for end in (mean - (0 if math.isnan(std) else std), mean)] or [0.0, 1.0]
    high = max([mean + (0 if math.isnan(std) else std) for _, _, mean, std in known], default=1.0)
    low = min(0.0, *ends) if measure.from_zero else min(ends)
    reach = (high - low) or abs(high) or 1.0
    axes.set_xlim(low - (0.0 if measure.from_zero and low == 0 else 0.12 * reach), high + ROOM * reach)
