"""An axis of values that starts at zero, or says where it starts."""

from __future__ import annotations

from typing import Any

from avalanche_ssl.drawing.palette import INK

SHARE = 1 / 3
"""Part of an axis from zero that the values must fill, else the axis starts elsewhere."""


def start_axis(axes: Any, low: float, high: float) -> str:
    """Set the limits of the y axis for values from low to high; the note that says where it starts, or an empty text.

    It starts at zero (or ends there, for negative values) unless the values would fill less than a third of it: then
    what differs could not be seen, and a note and a mark on the axis say that it is cut.
    """
    from matplotlib.ticker import MaxNLocator

    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    if low < 0 < high:
        axes.set_ylim(low - margin, high + margin)
        return ""
    far = max(abs(low), abs(high))
    if high - low >= SHARE * far or far == 0:
        axes.set_ylim((0, 1.04 * far or 1) if high > 0 or far == 0 else (-1.04 * far, 0))
        return ""
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low - 2 * margin, high + margin)
    axes.set_ylim(ticks[0], ticks[-1])
    note = f"axis starts at {ticks[0]:.6g}" if high > 0 else f"axis ends at {ticks[-1]:.6g}"
    place, align = (0.0, "bottom") if high > 0 else (1.0, "top")
    axes.text(
        0.035, abs(place - 0.015), note, transform=axes.transAxes, va=align, fontsize=8, style="italic", color=INK
    )
    near = abs(place - 0.035)
    for y in (near - 0.01, near + 0.01):  # the mark of a cut
        axes.plot([-0.012, 0.012], [y - 0.01, y + 0.01], transform=axes.transAxes, color=INK, lw=1, clip_on=False)
    return note
