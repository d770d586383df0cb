"""The comparison of runs as files: Markdown and LaTeX for papers, CSV for programs, with n, seeds and commit."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.cells import Row
from avalanche_ssl.reports.comparison import Group, Stream, mean_and_std
from avalanche_ssl.reports.differences import apart_notes
from avalanche_ssl.reports.references import REFERENCE_COLUMNS, reference_rows, unequal_notes
from avalanche_ssl.reports.significance import half_width
from avalanche_ssl.reports.tables import COLUMNS, COST_COLUMNS, PAIRED, cost_rows, paired_rows, summary_rows

CSV_COLUMNS = (
    "stream",
    "strategy",
    "reference",
    "probe",
    "scope",
    "metric",
    "n",
    "seeds",
    "mean",
    "std",
    "low",
    "high",
    "views",
    "teacher_views",
    "steps",
    "training_seconds",
    "version",
    "commit",
)
"""Columns of the CSV file; a value that is not defined is empty, such as the interval of two seeds."""

LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}", "±": r"$\pm$"}
    | {c: f"${c}$" for c in "<>|"}
)
MINUS = re.compile(r"(?<![\w.)-])-(?=[\d.])")
"""The sign of a number, not a hyphen."""


def csv_text(found: list[Stream]) -> str:
    """A line for each metric of each group, and each baseline, under each protocol; values are shares, not percent."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    for stream in found:
        for group in stream.groups:
            for probe, scope in stream.protocols:
                for metric in COLUMNS:
                    values = group.values(metric, probe, scope)
                    known = {seed: value for seed, value in values.items() if not math.isnan(value)}
                    if known:
                        names = (stream.title, group.label, group.reference, probe, scope, metric)
                        table.writerow([*names, *_statistics(known), *_cost(group), _versions(group), _commits(group)])
        for baseline in stream.baselines:
            for probe, scope in stream.protocols:
                if values_of_repeats := baseline.averages(probe, scope):
                    names = (stream.title, baseline.label, "baseline", probe, scope, "average accuracy")
                    statistics = _statistics(dict(enumerate(values_of_repeats)))
                    table.writerow([*names, statistics[0], "", *statistics[2:], *[""] * 6])
    return file.getvalue()


def markdown(found: list[Stream], notes: list[str]) -> str:
    """Tables of each stream under its headline protocol, with captions."""
    return _document(found, notes, "## {}".format, str, _markdown_table)


def latex(found: list[Stream], notes: list[str]) -> str:
    """As `markdown`, for a document with the package booktabs."""

    def escaped(text: str) -> str:
        return MINUS.sub("$-$", text.translate(LATEX))

    text = _document(found, notes, lambda title: f"\\subsection*{{{escaped(title)}}}", escaped, _latex_table)
    return f"% \\usepackage{{booktabs}}\n{text}"


FORMS: dict[str, tuple[str, Callable[[list[Stream], list[str]], str]]] = {
    "md": (".md", markdown),
    "csv": (".csv", lambda found, notes: csv_text(found)),
    "latex": (".tex", latex),
}
"""Formats by name: the suffix of the file, and what writes its text."""


def write(page: Path, formats: Sequence[str], found: list[Stream], notes: list[str]) -> list[Path]:
    """Write the comparison beside a page, in each of the formats; the paths.

    Raises:
        UsageError: a file cannot be written.
    """
    paths = []
    for name in formats:
        suffix, form = FORMS[name]
        paths.append(page.with_suffix(suffix))
        try:
            paths[-1].write_text(form(found, notes), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"cannot write {paths[-1]} ({error.strerror}): give another --out") from error
    return paths


def _document(
    found: list[Stream],
    notes: list[str],
    heading: Callable[[str], str],
    plain: Callable[[str], str],
    table: Callable[[Sequence[str], list[list[str]]], list[str]],
) -> str:
    """The tables in a format, given how it writes a heading, a paragraph and a table."""
    lines = [plain(f"note: {note}") for note in notes]
    for stream in found:
        probe, scope = stream.protocols[0]
        caption = (
            f"Probe {probe}, scope {scope}; percent, mean over seeds ± 95 % interval (Student's t, of three or more)."
        )
        lines += ["", heading(stream.title), "", plain(caption), ""]
        summary = summary_rows(stream, probe, scope)
        origins = [[_seeds(group), _commits(group) or _versions(group)] for group in stream.groups]
        origins += [["", ""]] * (len(summary) - len(origins))
        columns = ["strategy", "n", "seeds", *COLUMNS, "commit"]
        rows = [
            [row.label, str(row.seeds), seeds, *map(str, row.cells), commit]
            for row, (seeds, commit) in zip(summary, origins, strict=True)
        ]
        lines += table(columns, [[plain(cell) for cell in row] for row in rows])
        for title, names, more, remarks in (
            ("", (), [], apart_notes(stream, probe, scope)),
            (
                "Against their references.",
                REFERENCE_COLUMNS,
                reference_rows(stream, probe, scope),
                unequal_notes(stream),
            ),
            (
                f"Difference to {stream.first.label}, paired by seed and test image; percentage points.",
                PAIRED,
                paired_rows(stream, probe, scope),
                [],
            ),
            ("Cost of training.", COST_COLUMNS, cost_rows(stream), []),
            ("", (), [], [f"{name}: {caveat}" for name, caveat in stream.caveats.items()]),
        ):
            if more:
                lines += ["", plain(title), "", *table(["strategy", *names], [_cells(row, plain) for row in more])]
            for remark in remarks:
                lines += ["", plain(f"Note: {remark}.")]
    return "\n".join(lines).lstrip("\n") + "\n"


def _cells(row: Row, plain: Callable[[str], str]) -> list[str]:
    """The label and the cells of a row, with their p-values."""
    return [plain(row.label), *(plain(f"{cell} ({cell.note})" if cell.note else str(cell)) for cell in row.cells)]


def _markdown_table(columns: Sequence[str], rows: list[list[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return [line(columns), "|---" * len(columns) + "|", *map(line, rows)]


def _latex_table(columns: Sequence[str], rows: list[list[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    begin = f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}"
    return [begin, "\\toprule", line(columns), "\\midrule", *map(line, rows), "\\bottomrule", "\\end{tabular}"]


def _statistics(values: dict[int | None, float]) -> list[str]:
    """n, seeds, mean, standard deviation and the ends of the interval."""
    numbers = list(values.values())
    mean, std = mean_and_std(numbers)
    reach = half_width(numbers)
    seeds = " ".join(str(seed) for seed in values)
    return [str(len(numbers)), seeds, *map(_number, (mean, std, mean - reach, mean + reach))]


def _cost(group: Group) -> list[str]:
    cost = group.runs[0].cost
    counts = [cost.views, cost.teacher_views, cost.steps] if cost else [math.nan] * 3
    seconds = [run.end.train_seconds for run in group.runs if run.end]
    return [*(_number(count, 0) for count in counts), _number(float(np.mean(seconds)) if seconds else math.nan, 1)]


def _seeds(group: Group) -> str:
    return ", ".join(str(run.seed) for run in group.runs)


def _commits(group: Group) -> str:
    return " ".join(dict.fromkeys(run.commit for run in group.runs if run.commit))


def _versions(group: Group) -> str:
    return " ".join(dict.fromkeys(run.version for run in group.runs))


def _number(value: float, digits: int | None = None) -> str:
    """A number with so many decimals; None: all that it has, so that programs read the same number again."""
    return "" if math.isnan(value) else repr(float(value)) if digits is None else f"{value:.{digits}f}"
