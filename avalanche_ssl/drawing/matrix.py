"""The accuracy matrix as an image, from 1 to hundreds of experiences, whose colors use the range of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.drawing.labels import End, label_ends
from avalanche_ssl.drawing.palette import EMPTY, PAPER, REFERENCE, text_color

COLOR_MAP = "viridis"
TICKS = 10
"""Numbers on an axis at most."""
FRAMES = 25
"""Experiences up to which each entry of the diagonal has a frame; beyond, a line separates what was trained on."""
LEGIBLE = 5.0
"""Points of the smallest numbers that are written."""


@dataclass(frozen=True)
class Scale:
    """What the colors stand for, in percent: from chance, or the lowest value where chance is not known, to the best.

    Args:
        low: value of the darkest color.
        high: value of the lightest color.
        chance: accuracy of guessing; None where it is not known.
        lower: whether there are values below.
    """

    low: float
    high: float
    chance: float | None = None
    lower: bool = False

    @classmethod
    def of(cls, matrices: Iterable[NDArray[np.float64]], chance: float | None = None) -> Scale:
        """One scale for several matrices in percent, so that one color is one accuracy in all of them."""
        values = np.concatenate([matrix[~np.isnan(matrix)] for matrix in matrices])
        least, best = float(values.min(initial=100)), float(values.max(initial=0))
        low = least if chance is None else chance
        return cls(low, max(best, low + 1), chance, bool(least < low))


def draw_matrix(
    axes: Any, percents: NDArray[np.float64], measured: Sequence[int], scale: Scale, start: str = "untrained"
) -> None:
    """Draw rows (1 + measured, T) in percent, the encoder at the start first and set apart, and a bar of the colors.

    The entries of the experience trained on last have a frame. Numbers are written where there is room for them, in
    black or white.

    Args:
        axes: where.
        percents: rows of the accuracy matrix; one column is a test set that all experiences share.
        measured: for each row but the first, how many experiences the encoder was trained on.
        scale: of the colors.
        start: what the encoder of the first row is called.
    """
    from matplotlib import colormaps

    image = axes.imshow(
        percents, cmap=colormaps[COLOR_MAP], vmin=scale.low, vmax=scale.high, aspect="auto", interpolation="nearest"
    )
    axes.set_facecolor(EMPTY)
    _ticks(axes, [start, *map(str, measured)], percents.shape[1])
    axes.axhline(0.5, color=PAPER, linewidth=min(4.0, max(1.0, 60 / len(percents))), zorder=0.9)
    _mark_diagonal(axes, image, percents, measured)
    _bar(axes, image, percents, scale, start)  # also makes the layout, which the size of the numbers depends on
    _write(axes, image, percents)


def _ticks(axes: Any, rows: Sequence[str], columns: int) -> None:
    """Some ten numbers on each axis, the last among them."""
    across, down = _some(0, columns), _some(1, len(rows))
    axes.grid(False)
    axes.set_xticks(across, [str(j + 1) for j in across] if columns > 1 or len(rows) < 3 else ["all"])
    axes.set_yticks([0, *down], [rows[t] for t in (0, *down)])
    one_test_set = columns == 1 and len(rows) > 2
    axes.set(xlabel="one test set" if one_test_set else "tested on experience", ylabel="trained up to experience")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _some(start: int, stop: int) -> list[int]:
    """At most `TICKS` numbers of the range, evenly, with the last."""
    every = 1 + max(0, stop - start - 1) // TICKS
    return list(range(stop - 1, start - 1, -every))[::-1]


def _mark_diagonal(axes: Any, image: Any, percents: NDArray[np.float64], measured: Sequence[int]) -> None:
    """Mark the experience trained on last: a frame each, or one line to the right of all trained on."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    columns = percents.shape[1]
    marked = [(place, t) for place, t in enumerate(measured, 1) if t <= columns]
    if columns == 1 and len(measured) > 1:
        return
    if max(columns, len(measured)) <= FRAMES:
        for place, t in marked:
            color = text_color(image.to_rgba(percents[place, t - 1]))
            axes.add_patch(Rectangle((t - 1.46, place - 0.46), 0.92, 0.92, fill=False, edgecolor=color, linewidth=1.3))
        return
    steps = [(t - 0.5, place + side) for place, t in marked for side in (-0.5, 0.5)]
    effects = [Stroke(linewidth=2.6, foreground="white"), Normal()]
    axes.plot(*np.transpose(steps), color="black", linewidth=1, path_effects=effects, scalex=False, scaley=False)


def _bar(axes: Any, image: Any, percents: NDArray[np.float64], scale: Scale, start: str) -> None:
    """The bar of the colors, with the names of its ends and the mean of the first row."""
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03, extend="min" if scale.lower else "neither")
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    bar.set_ticks([])
    ends = [End(scale.high, f"best {scale.high:.0f}", REFERENCE)]
    ends.append(End(scale.low, f"{'lowest' if scale.chance is None else 'chance'} {scale.low:.0f}", REFERENCE))
    if not np.isnan(percents[0]).all():
        mean = float(np.nanmean(percents[0]))
        if scale.low <= mean <= scale.high:
            bar.ax.axhline(mean, color=text_color(image.to_rgba(mean)), linewidth=1.3)
            ends.append(End(mean, f"{start} {mean:.0f}", REFERENCE))
    label_ends(bar.ax, ends, fontsize=8.5)


def _write(axes: Any, image: Any, percents: NDArray[np.float64]) -> None:
    """The numbers, if they fit."""
    size = _number_size(axes, *percents.shape)
    if size < LEGIBLE:
        return
    for (t, j), value in np.ndenumerate(percents):
        if not np.isnan(value):
            color = text_color(image.to_rgba(value))
            axes.text(j, t, f"{value:.0f}", ha="center", va="center_baseline", color=color, fontsize=size)


def _number_size(axes: Any, rows: int, columns: int) -> float:
    """Points of numbers that fit the entries."""
    box, dots = axes.get_window_extent(), axes.figure.dpi / 72
    return float(min(10.0, box.width / dots / columns / 2.0, box.height / dots / rows / 1.3))


def fit_numbers(figure: Any, maps: Sequence[Any]) -> None:
    """Write the numbers of several matrices of a figure in one size that fits all, or none; when all else is drawn."""
    figure.draw_without_rendering()
    size = min(_number_size(axes, *axes.images[0].get_array().shape) for axes in maps)
    for text in (text for axes in maps for text in axes.texts):
        text.set(fontsize=size, visible=size >= LEGIBLE)
