"""Cells and rows of tables: means over seeds with their intervals, as text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from avalanche_ssl.reports.comparison import mean_and_std
from avalanche_ssl.reports.significance import Difference, half_width, p_text
from avalanche_ssl.runs import percent


@dataclass(frozen=True)
class Cell:
    """A mean with its 95 % interval as text; no text where they are not defined.

    Args:
        mean: of the seeds.
        interval: half of its width; of three seeds or more, or of a paired difference.
        note: what a page says about them.
        best: whether a page marks the mean as the best of its column or table.
    """

    mean: str = ""
    interval: str = ""
    note: str = ""
    best: bool = False

    def __str__(self) -> str:
        return (self.mean or "-") + (f" ± {self.interval}" if self.interval else "")


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Args:
        label: what it is about.
        cells: one per column.
        seeds: of how many seeds it is.
        baseline: whether it is no group of runs, but what to compare with.
    """

    label: str
    cells: list[Cell]
    seeds: int = 0
    baseline: bool = False


def percent_cell(values: list[float]) -> Cell:
    """Mean and interval of shares, in percent."""
    return Cell(shown(mean_and_std(values)[0], percent), shown(half_width(values), percent))


def number_cell(values: list[float]) -> Cell:
    """Mean and interval of whole numbers."""
    whole = "{:,.0f}".format
    return Cell(shown(mean_and_std(values)[0], whole) or "-", shown(half_width(values), whole))


def shown(value: float, form: Callable[[float], str]) -> str:
    """The value as text; empty where it is not defined."""
    return "" if math.isnan(value) else form(value)


def difference_cell(found: Difference, p: float) -> Cell:
    """A difference of shares in percentage points, with its corrected p-value as the note."""
    signed = shown(found.mean, lambda value: percent(value, signed=True))
    return Cell(signed, shown(found.half_width, percent), p_text(p))
