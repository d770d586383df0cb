"""Strategies beside their references: the method on all data at once, and labels; with what each has cost."""

from __future__ import annotations

from collections.abc import Callable

from avalanche_ssl.recipes import flatten
from avalanche_ssl.reports.cells import Cell, Row, difference_cell, number_cell, percent_cell
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.differences import corrected, difference

KINDS = ("iid", "supervised", "supervised iid")
"""Kinds of references, see `Group`."""
REFERENCE_COLUMNS = ("average accuracy", *(f"minus {kind}" for kind in KINDS), "views", "steps", "training s")
"""Columns of `reference_rows`."""
TOLERANCE = 0.05
"""By which share of the smaller number views may differ where costs are equal."""
BUDGET = ("epochs", "schedule")
"""Settings in which a method and its iid reference may differ."""


def reference_rows(stream: Stream, probe: str, scope: str) -> list[Row]:
    """A row for each finished group and each reference of a stream with references; none without one.

    "minus": the paired difference to the reference of that kind whose views are the nearest, with its p-value,
    corrected for the number of groups (Holm).
    """
    if not any(group.reference for group in stream.groups):
        return []
    groups = [group for group in stream.groups if group.runs[0].finished]
    groups.sort(key=lambda group: bool(group.reference))
    minus = [_differences(stream, groups, kind, probe, scope) for kind in KINDS]
    return [
        Row(
            group.label,
            [
                percent_cell(list(group.values("average accuracy", probe, scope).values())),
                *(cells[i] for cells in minus),
                *_cost(group),
            ],
            len(group.runs),
            bool(group.reference),
        )
        for i, group in enumerate(groups)
    ]


def unequal_notes(stream: Stream) -> list[str]:
    """A note for each kind of reference from which groups differ by more than 5 % in views, with the numbers."""
    notes = []
    for kind in KINDS:
        pairs = [(group, reference_of(stream, group, kind)) for group in stream.groups if not group.reference]
        views = [(group.label, _views(group), _views(reference)) for group, reference in pairs if reference]
        unequal = [
            f"{label} ({mine:,} views against {theirs:,})"
            for label, mine, theirs in views
            if mine and theirs and max(mine, theirs) > (1 + TOLERANCE) * min(mine, theirs)
        ]
        if unequal:
            remedy = (
                f"`avalanche-ssl sweep --reference {kind.replace(' ', '-')}` trains it with as many, in whole epochs"
            )
            notes.append(f"not at equal cost to {kind}: {', '.join(unequal)}; {remedy}")
    return notes


def reference_of(stream: Stream, group: Group, kind: str) -> Group | None:
    """The reference of a kind for a group: of its method or its encoder, with the nearest number of views."""
    fits = _same_method if kind == "iid" else _same_encoder
    found = [other for other in stream.groups if other.reference == kind and fits(group, other)]
    return min(found, key=lambda other: abs(_views(other) - _views(group)), default=None)


def _differences(stream: Stream, groups: list[Group], kind: str, probe: str, scope: str) -> list[Cell]:
    """The cell of each group; an empty one where there is no such reference."""
    references = [None if group.reference else reference_of(stream, group, kind) for group in groups]
    pairs = [(i, reference) for i, reference in enumerate(references) if reference]
    found = [difference(reference, groups[i], "average accuracy", probe, scope) for i, reference in pairs]
    cells = [Cell()] * len(groups)
    for (i, _), each, p in zip(pairs, found, corrected(found), strict=True):
        cells[i] = difference_cell(each, p)
    return cells


def _cost(group: Group) -> list[Cell]:
    """Views, steps and seconds; the first two do not depend on the seed."""
    cost = group.runs[0].cost
    seconds = number_cell([run.end.train_seconds for run in group.runs if run.end])
    return [*(number_cell([n] if n else []) for n in (_views(group), cost.steps if cost else 0)), seconds]


def _views(group: Group) -> int:
    """Views that the method has encoded with a gradient; 0 where they are not known."""
    cost = group.runs[0].cost
    return cost.views if cost else 0


def _same_method(group: Group, other: Group) -> bool:
    return (
        _settings(group, _of_method) == _settings(other, _of_method)
        and group.runs[0].strategy == other.runs[0].strategy
    )


def _same_encoder(group: Group, other: Group) -> bool:
    return _settings(group, _of_encoder) == _settings(other, _of_encoder)


def _settings(group: Group, which: Callable[[str], bool]) -> dict[str, object]:
    return {name: value for name, value in flatten(group.runs[0].settings).items() if which(name)}


def _of_method(name: str) -> bool:
    return name.partition(".")[0] not in BUDGET


def _of_encoder(name: str) -> bool:
    return name.partition(".")[0] in ("encoder", "encoder_sha256", "feature_layer", "in_channels")
