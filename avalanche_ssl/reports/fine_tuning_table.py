"""The table of a grid of fine-tuning: mean over seeds and its interval, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.cells import Cell, Row, percent_cell
from avalanche_ssl.reports.comparison import mean_and_std
from avalanche_ssl.runs import table_lines

CSV_COLUMNS = ("protocol", "head", "labels", "metric", "mean", "std", "seeds", "images", "epochs", "seconds")
"""Columns of the CSV file; a value that is not defined is empty, such as the standard deviation of one seed."""


@dataclass(frozen=True)
class Measurement:
    """How one training ended.

    Args:
        protocol: frozen, first-K, full or scratch.
        head: what is trained on the features.
        labels: share of the labels.
        seed: of the training.
        value: a share, such as the accuracy.
        images: labeled images trained on.
        epochs: passes over them.
        seconds: that it took.
        metric: what the value is.
    """

    protocol: str
    head: str
    labels: float
    seed: int
    value: float
    images: int
    epochs: int
    seconds: float
    metric: str = "accuracy"


@dataclass(frozen=True)
class FineTuningTable:
    """A row for each protocol, head and metric, and a column for each share of the labels, in order of appearance.

    Args:
        measurements: of all seeds.
        caption: what the numbers are, in words.
    """

    measurements: Sequence[Measurement]
    caption: str

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [f"{100 * share:g} % of labels" for share in self._shares]

    @property
    def rows(self) -> list[Row]:
        """Labels and cells of the rows, in percent; a head or metric is named where there are several."""
        found = self.measurements
        kinds = list(dict.fromkeys((m.protocol, m.head, m.metric) for m in found))
        named = [True, *(len({kind[i] for kind in kinds}) > 1 for i in (1, 2))]
        return [
            Row(
                ", ".join(itertools.compress(kind, named)),
                [self._cell(kind, share) for share in self._shares],
            )
            for kind in kinds
        ]

    def text(self, width: int | None = None) -> str:
        """For a terminal of some width; None: the one there is."""
        rows = [(row.label, [str(cell) for cell in row.cells]) for row in self.rows]
        return "\n".join(table_lines("protocol", self.columns, rows, width=width))

    def markdown(self) -> str:
        """With the caption above."""
        lines = [self.caption, "", _line(["protocol", *self.columns]), "|---" * (1 + len(self.columns)) + "|"]
        return "\n".join([*lines, *(_line([row.label, *map(str, row.cells)]) for row in self.rows)]) + "\n"

    def csv(self) -> str:
        """A line for each protocol, head, share and metric, with `CSV_COLUMNS`; values are shares, not percent."""
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(CSV_COLUMNS)
        for key in dict.fromkeys((m.protocol, m.head, m.labels, m.metric) for m in self.measurements):
            found = [m for m in self.measurements if (m.protocol, m.head, m.labels, m.metric) == key]
            mean, std = mean_and_std([m.value for m in found])
            seconds, _ = mean_and_std([m.seconds for m in found])
            numbers = [_number(mean, 6), _number(std, 6), len(found), found[0].images, found[0].epochs]
            table.writerow([*key, *numbers, _number(seconds, 1)])
        return file.getvalue()

    def write(self, stem: Path) -> list[Path]:
        """Write `STEM.csv` and `STEM.md`; their paths.

        Raises:
            UsageError: the disk refuses.
        """
        paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in (".csv", ".md")]
        for path, content in zip(paths, (self.csv(), self.markdown()), strict=True):
            try:
                path.write_text(content, encoding="utf-8")
            except OSError as error:
                raise UsageError(
                    f"cannot write {path} ({error.strerror}): make room or get permission, and start again: what is "
                    "trained is kept"
                ) from error
        return paths

    @property
    def _shares(self) -> list[float]:
        return list(dict.fromkeys(m.labels for m in self.measurements))

    def _cell(self, kind: tuple[str, str, str], share: float) -> Cell:
        found = (m for m in self.measurements if ((m.protocol, m.head, m.metric), m.labels) == (kind, share))
        return percent_cell([m.value for m in found])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float, digits: int) -> str:
    return "" if value != value else f"{value:.{digits}f}"
