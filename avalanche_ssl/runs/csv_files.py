"""Accuracies of a run as CSV files."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import CurveEvent


def write_curve(path: Path, curve: Iterable[CurveEvent]) -> None:
    """Write the accuracy curves, one point per line with the fields of `CurveEvent`."""
    names = [field.name for field in fields(CurveEvent)]
    _write(path, names, ([getattr(point, name) for name in names] for point in curve))


def write_accuracies(
    path: Path,
    rows: Sequence[Mapping[str, Matrix]],
    probe: str,
    caveats: Mapping[str, str],
    one_test_set: bool = False,
) -> None:
    """Write all entries of the accuracy matrices, one per line.

    Args:
        path: the file.
        rows: accuracies (T,) of the untrained encoder, then after each experience; by scope for the headline probe,
            by "NAME/SCOPE" for others.
        probe: name of the headline probe.
        caveats: of probe protocols, by name.
        one_test_set: whether all experiences share one test set; no experience is named then.
    """

    def lines() -> Iterable[Sequence[Any]]:
        for trained, row in enumerate(rows):
            for key, accuracies in row.items():
                name, _, scope = key.rpartition("/")
                name = name or probe
                for j, accuracy in enumerate(accuracies):
                    if not np.isnan(accuracy):
                        experience = "" if one_test_set else j + 1
                        yield trained, experience, name, scope, f"{accuracy:.6f}", caveats.get(name, "")

    _write(path, ["experiences_trained", "experience", "probe", "scope", "accuracy", "caveat"], lines())


def _write(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(lines)
