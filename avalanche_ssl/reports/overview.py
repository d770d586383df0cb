"""The accuracy matrices and curves of a stream as one picture, for a paper or a README."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no display, no global state
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from avalanche_ssl.drawing import STYLE, fit_numbers, wrapped
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.comparison import Stream
from avalanche_ssl.reports.figures import draw_anytime, draw_forgetting, draw_heat_map

FORMATS = (".png", ".svg", ".pdf")
"""Kinds of files that are written."""
ACROSS = 4
"""Matrices beside each other at most."""


@rc_context(STYLE)
def write_overview(path: Path, stream: Stream) -> None:
    """Write the matrix of each group, their anytime accuracy and their forgetting, under the headline probe.

    Args:
        path: a .png, .svg or .pdf.
        stream: with at least one group.

    Raises:
        UsageError: the path has another ending or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"--out {path} is no picture: give a name that ends in {', '.join(FORMATS)}")
    figure = _figure(stream)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): give another --out") from error


@rc_context(STYLE)
def _figure(stream: Stream) -> Figure:
    probe, scope = stream.protocols[0]
    groups = [group for group in stream.groups if group.having(probe, scope)]
    across = min(ACROSS, len(groups))
    rows = -(-len(groups) // across)
    width = 4.0 * across if len(groups) > 1 else 9.0
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
    figure = Figure(figsize=(max(9.0, width), 3.6 * rows + 3.4), layout=layout, dpi=150)
    FigureCanvasAgg(figure)
    figure.suptitle(_title(stream, probe, scope), fontsize=12)
    *parts, last = figure.subfigures(rows + 1, 1, squeeze=False)[:, 0]
    maps = []
    for number, group in enumerate(groups):
        row, column = divmod(number, across)
        maps.append(axes := parts[row].add_subplot(1, across, column + 1))
        draw_heat_map(axes, stream, group, probe, scope)
        axes.set_title(wrapped(group.label), fontweight="bold")
    halves = last.subplots(1, 2)
    draw_anytime(halves[0], stream, probe, scope)
    draw_forgetting(halves[1], stream, probe, scope)
    for axes, name in zip(halves, ("anytime accuracy", "forgetting"), strict=True):
        axes.set_title(name, fontweight="bold", loc="left")
    halves[1].set_ylabel(f"{halves[1].get_ylabel()} (refitted probe)")
    fit_numbers(figure, maps)
    return figure


def _title(stream: Stream, probe: str, scope: str) -> str:
    """What is shown: stream, probe, and over how many seeds."""
    seeds = sorted({len(group.having(probe, scope)) for group in stream.groups})
    number = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    spread = f"mean of {number} seeds, bands and whiskers one standard deviation" if seeds[-1] > 1 else "one seed"
    return f"{stream.title}: accuracy in percent by probe {probe}, scope {scope}; {spread}"
