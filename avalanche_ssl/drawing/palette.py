"""Colors and markers of all figures: apart also for color-blind readers, on white paper and in dark mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

COLORS = ("#0f63ad", "#d95f02", "#1b9e77", "#7a2a5e", "#5599b8", "#5b3d10", "#0c0f14", "#3a60f0")
"""Colors of lines and bars: at least 3:1 on white, and any two at least 28 apart in CIELAB, also as protanopes and
deuteranopes see them (Machado et al. 2009)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Seven, so that 56 lines differ in color or marker."""

INK, SOFT, REFERENCE, AXIS, GRID, PAPER, EMPTY = (
    "#3c4650",
    "#5b6570",
    "#6b7580",
    "#99a1ab",
    "#e4e7eb",
    "#fefefe",
    "#eef0f3",
)
"""Text, soft text, lines to compare with, axes, grid, background, entries not measured."""

DARK = {
    **dict(
        zip(
            COLORS,
            ("#4ea3e8", "#f08a3c", "#2bc59a", "#e030b0", "#d5c6f2", "#90784f", "#f2df96", "#f0d014"),
            strict=True,
        )
    ),
    INK: "#d3dae1",
    SOFT: "#aab4be",
    REFERENCE: "#98a3ae",
    AXIS: "#66707b",
    GRID: "#323a43",
    PAPER: "#1b2027",
    EMPTY: "#2b323a",
}
"""What each color becomes in dark mode; lines are then at least 22 apart."""

STYLE: Any = {
    "font.size": 10,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": AXIS,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.unicode_minus": False,  # as in tables
    "grid.color": GRID,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "svg.hashsalt": "report",
    "text.parse_math": False,  # names of strategies and classes may have a $
    "text.usetex": False,
}
"""Settings of matplotlib."""


def looks() -> Iterator[tuple[str, str]]:
    """Color and marker of the first line, the second, ..., without end."""
    number = 0
    while True:
        yield COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        number += 1


def luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of a color with shares of red, green and blue in [0, 1] (WCAG 2.2)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: Sequence[float], second: Sequence[float]) -> float:
    """Contrast of two colors, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def text_color(background: Sequence[float]) -> str:
    """Black or white, whichever has more contrast: at least 4.58:1 on any background."""
    return max(("black", "white"), key=lambda name: contrast(background, (float(name == "white"),) * 3))
