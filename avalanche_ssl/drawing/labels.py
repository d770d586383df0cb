"""Names of lines, beside the place where each line ends, moved apart where they would overlap."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH = 20
"""Characters of a line of a label."""
LINES = 3
"""Lines of a label at most."""
DISTANCE = 12.0
"""Points between the axes and the labels."""
LEADER: dict[str, Any] = {"arrowstyle": "-", "linewidth": 1.2, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
"""The line from a label, the middle of its left side, to the end that it names."""


def shortened(name: str, most: int) -> str:
    """The name in so many letters at most, the last of which stands for what is left out."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


@dataclass(frozen=True)
class End:
    """The end of a line, and its label.

    Args:
        y: value at the end.
        text: what the label says.
        color: of the line.
        x: where it ends; None is the right edge of the axes.
    """

    y: float
    text: str
    color: str
    x: float | None = None


def label_ends(axes: Any, ends: Sequence[End], fontsize: float = 9) -> None:
    """Write labels to the right of the axes, whose limits are final, each with a line to the end that it names.

    Where the labels are higher than the axes the figure becomes taller.
    """
    from matplotlib.text import Text
    from matplotlib.transforms import blended_transform_factory, offset_copy

    figure = axes.figure.figure  # also of axes in a part of a figure
    beside = offset_copy(axes.transAxes, figure, x=DISTANCE, units="points")
    texts = [
        axes.annotate(
            wrapped(end.text),
            (1 if end.x is None else end.x, end.y),
            xycoords=("axes fraction" if end.x is None else "data", "data"),
            xytext=(1, end.y),
            textcoords=blended_transform_factory(beside, axes.transData),
            va="center",
            fontsize=fontsize,
            linespacing=1.05,
            annotation_clip=False,
            arrowprops={**LEADER, "color": end.color},
        )
        for end in ends
    ]
    if not texts:
        return
    figure.draw_without_rendering()  # the layout makes room for the labels, and their heights are known
    heights = [1.08 * Text.get_window_extent(text).height for text in texts]
    box = axes.get_window_extent()
    if sum(heights) > box.height:
        figure.set_figheight(figure.get_figheight() * (1.05 * sum(heights) / box.height))
        figure.draw_without_rendering()
        box = axes.get_window_extent()
    wanted = [float(axes.transData.transform((0, end.y))[1]) for end in ends]
    for text, center in zip(texts, spread(wanted, heights, box.y0, box.y1), strict=True):
        text.set_y(axes.transData.inverted().transform((0, center))[1])


def wrapped(text: str) -> str:
    """The text in short lines; of a long one the beginning and the end, by which names differ."""
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"...{text[3 - WIDTH :]}"]
    return "\n".join(lines)


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Centers of labels of these sizes in [low, high] that do not overlap, as close as can be to those wanted.

    Closest by squared distance: isotonic regression of what is left of the wanted centers when the sizes of the labels
    before each are subtracted. Labels too large for the range together go beyond its upper end.
    """
    order = np.argsort(wanted, kind="stable")
    halves = np.array([sizes[i] / 2 for i in order])
    offsets = np.concatenate([[0.0], np.cumsum(halves[:-1] + halves[1:])])
    blocks: list[tuple[float, int]] = []  # mean and size of neighbors that touch
    for value in np.array([wanted[i] for i in order]) - offsets:
        mean, count = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, more = blocks.pop()
            mean, count = (mean * count + before * more) / (count + more), count + more
        blocks.append((mean, count))
    first = np.repeat([mean for mean, _ in blocks], [count for _, count in blocks])
    first = np.maximum(np.minimum(first, high - halves[-1] - offsets[-1]), low + halves[0])
    centers = np.empty(len(order))
    centers[order] = first + offsets
    return [float(center) for center in centers]
