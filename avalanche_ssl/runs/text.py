"""Text for a terminal: how wide it may be, wrapped lines, and tables that go on below where they do not fit."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence

WIDTH = 100
"""Columns where the output is no terminal, and of running text at most."""
NARROWEST = 40
PLUS_MINUS = " ± "
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def screen_width() -> int:
    """Columns of the terminal; `WIDTH` where there is none."""
    return max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)


def shows_bold() -> bool:
    """Whether standard output is a terminal that shows bold text, and the user lets it (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wrapped(text: str, indent: int = 0, width: int | None = None) -> str:
    """A text in lines that fit the screen, all but the first one indented; a word that is too long stays whole."""
    most = min(WIDTH, screen_width()) if width is None else width
    return "\n".join(_wrap(text, most, subsequent_indent=" " * min(indent, most // 2), break_long_words=False))


def table_lines(
    head: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    width: int | None = None,
    bold: Collection[tuple[int, int]] = (),
) -> list[str]:
    """A table with numbers aligned at their right and at "±"; columns that do not fit are a further table below.

    Args:
        head: above the labels of rows.
        columns: their names, wrapped to the width of their numbers.
        rows: label and cells, e.g. "58.3 ± 1.2" or "-".
        width: of the lines at most; None: of the screen.
        bold: cells to print bold, by number of row and column.
    """
    width = screen_width() if width is None else width
    beside = min(max(len(text) for text in (head, *(label for label, _ in rows))), width * 2 // 5)
    labels = [_wrap(label, beside) for label, _ in rows]
    cells = [_aligned([cells[j] for _, cells in rows]) for j in range(len(columns))]
    space = width - beside - 2
    widths = [
        min(space, max([*map(len, column), *map(len, name.split())]))
        for name, column in zip(columns, cells, strict=True)
    ]
    lines: list[str] = []
    for part in _parts(widths, space):
        names = [_wrap(columns[j], widths[j]) for j in part]
        height = max(map(len, names), default=1)
        above = [[""] * (height - len(name)) + name for name in names]
        lines += [""] if lines else []
        for k in range(height):
            text = "".join(f"  {name[k]:>{widths[j]}}" for j, name in zip(part, above, strict=True))
            lines.append((head if k == height - 1 else "").ljust(beside) + text)
        for i, label in enumerate(labels):
            lines += label[:-1]
            found = [(f"{cells[j][i]:>{widths[j]}}", (i, j) in bold) for j in part]
            lines.append(label[-1].ljust(beside) + "".join(f"  {_strong(cell) if b else cell}" for cell, b in found))
    return [line.rstrip() for line in lines]


def _wrap(text: str, width: int, **more: object) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, **more) or [""]  # type: ignore[arg-type]


def _aligned(column: Sequence[str]) -> list[str]:
    """The cells of a column, equally wide, with "±" below "±"."""
    parts = [cell.partition(PLUS_MINUS) for cell in column]
    mean, std = (max((len(part[k]) for part in parts), default=0) for k in (0, 2))
    beside = len(PLUS_MINUS) + std if std else 0
    return [left.rjust(mean) + (f"{sign}{right:>{std}}" if sign else " " * beside) for left, sign, right in parts]


def _parts(widths: Sequence[int], space: int) -> list[list[int]]:
    """Numbers of columns, in groups that fit."""
    parts: list[list[int]] = [[]]
    left = space
    for j, width in enumerate(widths):
        if parts[-1] and width > left:
            parts.append([])
            left = space
        parts[-1].append(j)
        left -= width + 2
    return parts


def _strong(cell: str) -> str:
    text = cell.strip()
    return cell.replace(text, f"{BOLD}{text}{PLAIN}")
