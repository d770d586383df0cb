"""The figure of a run: its accuracy matrix, and its accuracies over the stream."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl.drawing import (
    REFERENCE,
    STYLE,
    End,
    Scale,
    draw_band,
    draw_levels,
    draw_matrix,
    label_ends,
    looks,
    start_axis,
)
from avalanche_ssl.evaluation import Matrix, RawPixels

SCOPES = {"all": "probe on all classes", "seen": "probe on those seen", "task": "probe on one task"}
"""Which classes the probe of each scope is fitted on."""

Curve = Sequence[tuple[int, float]]
"""Images seen and mean accuracy."""


def draw(
    path: Path,
    title: str,
    matrices: Mapping[str, Matrix],
    untrained: Matrix,
    curves: Mapping[str, Curve] | None = None,
    chance: float | None = None,
    pixels: float = math.nan,
    start: str = "untrained",
) -> None:
    """Write a figure of the "all" matrix, and of the mean accuracy of each scope over the stream.

    The colors of the matrix go from chance (if that is not given, from the lowest value) to the best.

    Args:
        path: PNG to write.
        title: what was run.
        matrices: R (T, T), or (T, 1), by scope.
        untrained: accuracies (T,) of the encoder at the start with the "all" probe.
        curves: accuracy curves by scope, to draw instead of the means after each experience.
        chance: accuracy of guessing among all classes.
        pixels: mean accuracy of raw pixels with the "all" probe; NaN: not measured.
        start: what the encoder at the start is called.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        _draw(path, title, matrices, untrained, curves or {}, chance, pixels, start)


def _draw(
    path: Path,
    title: str,
    matrices: Mapping[str, Matrix],
    untrained: Matrix,
    curves: Mapping[str, Curve],
    chance: float | None,
    pixels: float,
    start: str,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    figure.suptitle(title, fontsize=11)
    measured = [t for t, row in enumerate(matrices["all"]) if not np.isnan(row).all()]
    percents = 100 * np.vstack([untrained, matrices["all"][measured]])
    left.set_title("accuracy, probe on all classes (%)")
    scale = Scale.of([percents], None if chance is None else 100 * chance)
    draw_matrix(left, percents, [t + 1 for t in measured], scale, start)
    right.set(title="over the stream", ylabel="mean accuracy (%)")
    lines = curves or {scope: _means(matrix, measured) for scope, matrix in matrices.items()}
    _draw_lines(right, lines, (start, float(np.nanmean(untrained))), chance, pixels)
    right.set_xlabel("images of the stream seen" if curves else "experiences trained")
    figure.savefig(path)


def _means(matrix: Matrix, measured: Sequence[int]) -> Curve:
    """The mean of each row that was measured, by number of experiences trained."""
    return [(t + 1, float(np.nanmean(matrix[t]))) for t in measured if not np.isnan(matrix[t]).all()]


def _draw_lines(
    axes: Any, curves: Mapping[str, Curve], start: tuple[str, float], chance: float | None, pixels: float
) -> None:
    """A line for each scope, and what to compare the scope "all" with."""
    from matplotlib.ticker import MaxNLocator

    ends = []
    for (scope, name), look in zip(SCOPES.items(), looks(), strict=False):
        if curves.get(scope):
            steps, accuracies = zip(*curves[scope], strict=True)
            draw_band(axes, steps, 100 * np.array([accuracies]), look)
            ends.append(End(100 * accuracies[-1], f"{scope} {100 * accuracies[-1]:.0f}: {name}", look[0], steps[-1]))
    start_axis(axes, 0, 100)
    ends += draw_levels(axes, f"{start[0]}, all", {"all": (100 * start[1], REFERENCE)})
    for name, level, line in (("chance", chance, ":"), (RawPixels.name, pixels, "-.")):
        if level is not None and not math.isnan(level):
            axes.axhline(100 * level, color=REFERENCE, linestyle=line, linewidth=1.3, zorder=1.5)
            ends.append(End(100 * level, f"{name}, all {100 * level:.0f}", REFERENCE))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    label_ends(axes, ends)
