"""The vital signs of plugins after the last experience, see `RepresentationEvent.plugins`."""

from __future__ import annotations

import math
from collections.abc import Callable

from avalanche_ssl.reports.cells import Cell, Row
from avalanche_ssl.reports.comparison import Group, Stream, mean_and_std
from avalanche_ssl.reports.significance import half_width

VITALS: dict[str, tuple[str, Callable[[float], str]]] = {
    "gradient ratio": ("gradient_ratio", "{:.2g}".format),
    "term": ("term", "{:.3g}".format),
    "weight": ("weight", "{:.3g}".format),
    "images": ("images", "{:,.0f}".format),
    "median age": ("age_median", "{:,.0f}".format),
    "oldest": ("age_oldest", "{:,.0f}".format),
    "momentum": ("momentum", "{:g}".format),
    "steps an experience": ("steps", "{:,.0f}".format),
}
"""Columns: the field, and how its number is written."""


def vital_rows(stream: Stream) -> list[Row]:
    """A row for each plugin of each group whose runs log them, mean and interval over seeds."""
    return [row for group in stream.groups for row in _rows(group)]


def _rows(group: Group) -> list[Row]:
    latest = [run.representation[-1].plugins or {} for run in group.runs if run.representation]
    names = dict.fromkeys(name for plugins in latest for name in plugins)
    return [_row(group, name, [plugins[name] for plugins in latest if name in plugins]) for name in names]


def _row(group: Group, name: str, found: list[dict[str, float | str]]) -> Row:
    norms = dict.fromkeys(str(vitals["teacher_norm"]) for vitals in found if "teacher_norm" in vitals)
    label = f"{group.label}: {name}" + (f" (norm {', '.join(norms)})" if norms else "")
    return Row(label, [_cell(found, *column) for column in VITALS.values()], len(found))


def _cell(found: list[dict[str, float | str]], field: str, form: Callable[[float], str]) -> Cell:
    values = [value for vitals in found if isinstance(value := vitals.get(field), int | float)]
    mean, reach = mean_and_std(values)[0], half_width(values)
    return Cell(form(mean) if values else "", form(reach) if not math.isnan(reach) and reach > 0 else "")
