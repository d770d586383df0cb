"""Accuracies of a run as CSV files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avalanche_ssl.evaluation.history import CurvePoint

if TYPE_CHECKING:
    pass
from avalanche_ssl.runs.summary import Matrix


def write_curve(path: Path, points: Sequence[CurvePoint]) -> None:
    """All points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(CurvePoint.__annotations__)
        rows.writerows([getattr(p, name) for name in CurvePoint.__annotations__] for p in points)


def write_csv(path: Path, rows: list[dict[str, Matrix]], probe: str, caveat: Mapping[str, str] | None = None) -> None:
    """All accuracies, one a line: trained, evaluated, probe, scope, accuracy, odd.

    A key of a row is a scope of the probe, or "NAME/SCOPE" of another one; `caveat` says of probes what is odd.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["trained", "evaluated", "probe", "scope", "accuracy", "caveat"])
        for trained, row in enumerate(rows):
            for key, accuracies in row.items():
                name, _, scope = key.rpartition("/")
                for j, accuracy in enumerate(accuracies):
                    if not np.isnan(accuracy):
                        note = (caveat or {}).get(name or probe, "")
                        table.writerow([trained, j + 1, name or probe, scope, f"{accuracy:.6f}", note])
