"""Lines with bands over seeds, and levels to compare them with that do not hide each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.drawing.labels import End
from avalanche_ssl.drawing.palette import REFERENCE

MARKED = 25
"""Markers of a line at most."""
DASH, GAP = 4.0, 2.0
"""Length of a dash and of the gap after it, in line widths."""
CLOSE = 0.015
"""Levels that differ by less than this part of the axis lie on each other."""


def draw_band(
    axes: Any, steps: Sequence[float], values: NDArray[np.float64], look: tuple[str, str]
) -> tuple[float, float] | None:
    """The mean of values (seeds, t) as a line through the steps that were measured, one standard deviation around it.

    Args:
        axes: where.
        steps: place of each t.
        values: by seed.
        look: color and marker.

    Returns:
        The lowest and the highest value drawn; None if nothing was measured.
    """
    color, marker = look
    known = np.asarray(~np.isnan(values).any(axis=0))
    if not known.any():
        return None
    places, values = np.asarray(steps, dtype=float)[known], values[:, known]
    mean = values.mean(axis=0)
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
    low, high = mean - std, mean + std
    if (values >= 0).all():
        low = np.maximum(low, 0)  # as accuracies, which no seed has below zero
    every = 1 + (len(places) - 1) // MARKED
    axes.plot(
        places,
        mean,
        color=color,
        marker=marker,
        markevery=slice(len(places) - 1, None, -every) if every > 1 else None,
        markersize=5,
        linewidth=1.8,
    )
    axes.fill_between(places, low, high, color=color, alpha=0.18, linewidth=0)
    return float(low.min()), float(high.max())


def draw_levels(axes: Any, name: str, levels: Mapping[str, tuple[float, str]]) -> list[End]:
    """Dashed lines across the axes, whose limits are final, and what to write at their ends.

    Where levels lie on each other, their dashes take turns, so that each can be seen, and they share a label.

    Args:
        axes: where.
        name: of all levels, such as "untrained".
        levels: value and color by name of the line that is compared with it.
    """
    low, high = axes.get_ylim()
    clusters: list[list[str]] = []
    for line in sorted(levels, key=lambda line: levels[line][0]):
        if clusters and levels[line][0] - levels[clusters[-1][0]][0] <= CLOSE * (high - low):
            clusters[-1].append(line)
        else:
            clusters.append([line])
    ends = []
    for lines in clusters:
        period = len(lines) * (DASH + GAP)
        for turn, line in enumerate(lines):
            value, color = levels[line]
            dashes = (period - turn * (DASH + GAP), (DASH, period - DASH))
            axes.axhline(value, color=color, linestyle=dashes, linewidth=1.3, zorder=1.5)
        mean = float(np.mean([levels[line][0] for line in lines]))
        text = name if len(lines) == len(levels) else f"{name} {_listed(lines)}"
        ends.append(End(mean, f"{text} {mean:.3g}", levels[lines[0]][1] if len(lines) == 1 else REFERENCE))
    return ends


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
