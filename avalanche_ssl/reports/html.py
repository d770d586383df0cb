"""The comparison of runs as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import avalanche_ssl
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import figures
from avalanche_ssl.reports.comparison import Group, Stream
from avalanche_ssl.reports.figures import anytime, forgetting, heat_map, task_results
from avalanche_ssl.reports.glossary import WORDS
from avalanche_ssl.reports.neighbors import exhibit
from avalanche_ssl.reports.tables import (
    COLUMNS,
    PAIRED,
    Cell,
    _caveat,
    _cell,
    _plain,
    _tested,
    answered,
    differences,
    summary,
)
from avalanche_ssl.reports.tasks import asked
from avalanche_ssl.runs.reader import Run

HEALTH = {
    "feature_std": "feature spread",
    "rankme": "effective rank",
    "drift_cka": "likeness to the first",
    "alignment": "alignment",
    "uniformity": "uniformity",
}


def page(found: list[Stream], notes: list[str]) -> str:
    """The page; whatever comes from files is escaped."""
    from jinja2 import Environment, FileSystemLoader

    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    count = sum(len(g.runs) for s in found for g in s.groups)
    parts = [_stream(s) for s in found]
    template = templates.get_template("report.html.j2")
    return template.render(streams=parts, notes=notes, count=count, glossary=WORDS, version=avalanche_ssl.__version__)


def write(path: Path, text: str) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): give another --out") from error


def _stream(stream: Stream) -> dict[str, Any]:
    from avalanche_ssl.probes.protocols import PROTOCOLS

    probe, scope = stream.protocols[0]
    shown = [exhibit(g.runs[0].folder, f"{g.label}, seed {g.runs[0].seed}") for g in stream.groups]
    kept = [e for e in shown if e]
    bases = {
        name: PROTOCOLS[name.partition("@")[0]] for name, _ in stream.protocols if name.partition("@")[0] in PROTOCOLS
    }
    health = [(title, figures.health(stream, field, title)) for field, title in HEALTH.items()]
    return {
        "title": stream.title,
        "probe": probe,
        "scope": scope,
        "about": bases[probe].about if probe in bases else "",
        "caveat": _caveat(stream),
        "columns": COLUMNS,
        "summary": summary(stream, probe, scope),
        "paired_columns": PAIRED,
        "paired": differences(stream, probe, scope),
        "columns_of_protocols": [entry.label for entry in (*stream.groups, *stream.references)],
        "protocols": [*(_protocol(stream, *key) for key in stream.protocols), *_whole(stream)],
        "asked": _asked(stream),
        "groups": [{"label": g.label, "heat_map": heat_map(g, probe, scope)} for g in stream.groups],
        "anytime": anytime(stream, probe, scope),
        "forgetting": forgetting(stream, probe, scope),
        "health": [(title, picture) for title, picture in health if picture],
        "exhibits": kept,
        "moments": [f.title for f in max((e.frames for e in kept), key=len, default=[])],
        "cost": [_cost(g) for g in stream.groups],
        "runs": [_run(g, r) for g in stream.groups for r in g.runs],
    }


def _protocol(stream: Stream, probe: str, scope: str) -> dict[str, Any]:
    cells = [_cell(list(g.values("average accuracy", probe, scope).values())) for g in stream.groups]
    cells += [_cell(reference.averages(probe, scope)) for reference in stream.references]
    return {"name": f"{probe}, {scope}", "cells": cells}


def _whole(stream: Stream) -> list[dict[str, Any]]:
    """Of probes that look at some of the test images, the accuracy of the last encoder on all of them."""
    names = dict.fromkeys(name for g in stream.groups for r in g.runs for name in r.final)
    blank: list[Cell] = [("", "")] * len(stream.references)

    def cells(name: str) -> list[Cell]:
        return [_cell([r.final[name] for r in g.runs if name in r.final]) for g in stream.groups] + blank

    return [{"name": f"{name}, all, on all test images", "cells": cells(name)} for name in names]


def _asked(stream: Stream) -> dict[str, Any] | None:
    """What the page shows of the further questions."""
    found = asked(stream)
    if found is None:
        return None
    tables = [names for names in (found.probing_tasks, found.groups) if names]
    return {
        "tested": _tested(found),
        "tables": [(names, answered(stream, found, names)) for names in tables],
        "curves": [(name, task_results(stream, name, found.chance[name])) for name in found.probing_tasks],
    }


def _cost(group: Group) -> dict[str, Any]:
    ends = [r.end or {} for r in group.runs]
    seconds = [e["train_seconds"] for e in ends if e.get("train_seconds")]
    rates = [e["images"] / e["train_seconds"] for e in ends if e.get("train_seconds")]
    first = group.runs[0].spent
    counts = [
        (f"{first[n]:,}" if n in first else "-", "") for n in ("views", "steps", "parameters", "bytes_remembered")
    ]
    return {"label": group.label, "cells": [_plain(seconds), _plain(rates), *counts]}


def _run(group: Group, run: Run) -> dict[str, Any]:
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    return {"label": group.label, "seed": run.seed, "folder": run.folder, "notes": run.notes, "config": config}
