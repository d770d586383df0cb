"""Accuracies of a run as CSV files."""

import csv
from collections.abc import Sequence
from pathlib import Path

from avalanche_ssl.evaluation.history import Measured


def write_curve(path: Path, points: Sequence[Measured]) -> None:
    """All points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(Measured.__annotations__)
        rows.writerows([getattr(p, name) for name in Measured.__annotations__] for p in points)
