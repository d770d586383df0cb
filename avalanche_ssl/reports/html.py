"""The comparison of runs as one HTML page."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from avalanche_ssl.drawing import COLORS, DARK
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import figures
from avalanche_ssl.reports.cells import Row
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.differences import apart_notes
from avalanche_ssl.reports.glossary import MEASURES, anchor, glossary, measure
from avalanche_ssl.reports.neighbors import view_embeddings
from avalanche_ssl.reports.plugin_grid import GRID_COLUMNS, grid_rows
from avalanche_ssl.reports.plugin_table import plugin_tables
from avalanche_ssl.reports.plugin_vitals import VITALS, vital_rows
from avalanche_ssl.reports.references import REFERENCE_COLUMNS, reference_rows, unequal_notes
from avalanche_ssl.reports.scatter import HEIGHT, WIDTH, shown_name
from avalanche_ssl.reports.tables import (
    COLUMNS,
    COST_COLUMNS,
    PAIRED,
    best_rows,
    cost_rows,
    full_test_rows,
    paired_rows,
    protocol_rows,
    summary_rows,
    task_rows,
)
from avalanche_ssl.reports.tasks import latest_tasks
from avalanche_ssl.reports.thumbnails import ThumbnailSheet
from avalanche_ssl.runs import Run

PARTS = (
    ("results", "results", ""),
    ("references", "references", "references"),
    ("plugins", "strategies by plugins", "plugin_tables"),
    ("paired", "differences", "paired"),
    ("stream", "over the stream", ""),
    ("protocols", "every protocol", ""),
    ("matrices", "accuracy matrices", ""),
    ("tasks", "probing tasks", "tasks"),
    ("representation", "representation", "measures"),
    ("embeddings", "embeddings", "embeddings"),
    ("neighbors", "nearest neighbors", "embeddings"),
    ("cost", "cost", ""),
    ("runs", "runs", ""),
)
"""Parts of a stream: the end of the id, the name in the list of contents, and what it needs to be there."""


def page(found: list[Stream], notes: list[str]) -> str:
    """The page; whatever comes from files is escaped."""
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("avalanche_ssl.reports", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    words = glossary()
    return templates.get_template("report.html.j2").render(
        streams=[_stream(stream) for stream in found],
        notes=notes,
        count=sum(len(group.runs) for stream in found for group in stream.groups),
        glossary=words,
        anchors={word: anchor(word) for word in words},
        colors=[(color, DARK[color]) for color in COLORS],
        panel=(WIDTH, HEIGHT),
        shown_name=shown_name,
        version=version("avalanche-ssl"),
    )


def check_writable(path: Path) -> None:
    """Find out before baselines are trained whether a page can be written.

    Raises:
        UsageError: it cannot, or the name is that of another kind of file.
    """
    if path.suffix not in (".html", ".htm"):
        raise UsageError(f"--out {path} is no page: give a name that ends in .html")
    try:
        parent = next(p for p in path.absolute().parents if p.exists())
        reason = "is a folder" if path.is_dir() else "" if parent.is_dir() else f"'{parent}' is a file"
        reason = reason or ("" if os.access(parent, os.W_OK | os.X_OK) else f"no permission to write in '{parent}'")
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise UsageError(f"cannot write {path} ({reason}): give another --out")


def write(path: Path, text: str) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): give another --out") from error


def _stream(stream: Stream) -> dict[str, Any]:
    """What the template shows of a stream."""
    probe, scope = stream.protocols[0]
    sheet = ThumbnailSheet()
    views = [view_embeddings(g.runs[0], f"{g.label}, seed {g.runs[0].seed}", sheet) for g in stream.groups]
    embeddings = [view for view in views if view]
    rows, logged = summary_rows(stream, probe, scope), {b.label for b in stream.baselines if b.logged}
    measures = [(name, figures.representation(stream, field)) for field in MEASURES for name, _ in [measure(field)]]
    shown = {
        "title": stream.title,
        "probe": probe,
        "scope": scope,
        "description": _description(probe),
        "caveats": stream.caveats,
        "columns": COLUMNS,
        "apart": apart_notes(stream, probe, scope),
        "first": stream.first.label,
        "reference_columns": REFERENCE_COLUMNS,
        "references": reference_rows(stream, probe, scope),
        "unequal": unequal_notes(stream),
        "summary": _marked([row for row in rows if row.label not in logged]),
        "logged": [(row.label, row.cells[0]) for row in rows if row.label in logged and row.cells[0].mean],
        "plugin_tables": plugin_tables(stream, probe, scope),
        "grid_columns": GRID_COLUMNS,
        "grid": grid_rows(stream, probe, scope),
        "grid_figure": figures.plugin_grid(stream, probe, scope),
        "vital_columns": list(VITALS),
        "vitals": vital_rows(stream),
        "experiences": stream.groups[0].runs[0].n_experiences,
        "paired_columns": PAIRED,
        "paired": paired_rows(stream, probe, scope),
        "columns_of_protocols": stream.labels,
        "protocols": protocol_rows(stream) + full_test_rows(stream),
        "tasks": _tasks(stream),
        "groups": [{"label": g.label, "heat_map": figures.heat_map(stream, g, probe, scope)} for g in stream.groups],
        "anytime": figures.anytime(stream, probe, scope),
        "forgetting": figures.forgetting(stream, probe, scope),
        "measures": [(name, figure) for name, figure in measures if figure],
        "embeddings": embeddings,
        "frames": sorted({frame.trained: frame.title for view in embeddings for frame in view.frames}.items()),
        "sheet": sheet,
        "cost_columns": COST_COLUMNS,
        "cost": cost_rows(stream),
        "runs": [_run(group, run) for group in stream.groups for run in group.runs],
    }
    absent = {
        key for key in ("references", "plugin_tables", "paired", "tasks", "measures", "embeddings") if not shown[key]
    }
    return shown | {"contents": [(part, name) for part, name, needs in PARTS if needs not in absent]}


def _marked(rows: list[Row]) -> list[Row]:
    """The rows of a summary, the best mean of each metric marked."""
    best = {(i, j) for j, metric in enumerate(COLUMNS) for i in best_rows(rows, j, metric)}
    return [
        replace(row, cells=[replace(cell, best=(i, j) in best) for j, cell in enumerate(row.cells)])
        for i, row in enumerate(rows)
    ]


def _description(probe: str) -> str:
    """What a probe protocol is; empty for one that is not known."""
    from avalanche_ssl.probes import PROTOCOLS

    name = probe.partition("@")[0]
    return PROTOCOLS[name].description if name in PROTOCOLS else ""


def _tasks(stream: Stream) -> dict[str, Any] | None:
    """What the template shows of the probing tasks."""
    found = latest_tasks(stream)
    if found is None:
        return None
    return {
        "test_set": found.test_set,
        "tables": [(n, task_rows(stream, found, n)) for n in (found.probing_tasks, found.groups) if n],
        "curves": [(name, figures.task(stream, name, found.chance[name])) for name in found.probing_tasks],
    }


def _run(group: Group, run: Run) -> dict[str, Any]:
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    return {"label": group.label, "seed": run.seed, "folder": run.folder, "notes": run.notes, "config": config}
