"""Compare runs: a table on screen, and one page with pictures that opens anywhere.

python benchmarks/report.py runs/cmc-* runs/moco-*            # writes report.html
python benchmarks/report.py runs/cmc-* --references           # and what to measure them against, computed once
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import exhibits
import pictures
import yaml
from asked import Asked, asked
from comparing import Group, Stream, paired, spread, streams
from glossary import WORDS
from references import references

import avalanche_ssl
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.reader import Run, read_all

COLUMNS = (
    "average accuracy",
    "gain",
    "anytime accuracy",
    "forgetting",
    "forward transfer",
    "knowledge gain",
    "consolidation",
    "untrained accuracy",
)
PAIRED = ("average accuracy", "gain", "anytime accuracy", "forgetting")
HEALTH = {
    "feature_std": "feature spread",
    "rankme": "effective rank",
    "drift_cka": "likeness to the first",
    "alignment": "alignment",
    "uniformity": "uniformity",
}
Cell = tuple[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders that run.py wrote")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page (report.html)")
    parser.add_argument(
        "--references", action="store_true", help="add raw pixels, untrained, iid and supervised (trains encoders)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/references"), metavar="DIR", help="of references (runs/references)"
    )
    options = parser.parse_args(arguments)
    try:
        runs, notes = read_all(options.runs)
        found = streams(runs)
        notes += [f"{run.folder}: {note}" for run in runs for note in run.notes]
        if options.references:
            notes += _refer(found, options.cache)
        print(table(found, notes))
        write(options.out, page(found, notes))
    except UsageError as error:
        print("report.py:", error, file=sys.stderr)
        return 2
    print(f"\nwritten: {options.out}")
    return 0


def _refer(found: list[Stream], cache: Path) -> list[str]:
    """Give each stream the references of its groups; why some have none."""
    notes = []
    for stream in found:
        for group in stream.groups:
            try:
                new = references(group.label, group.runs, cache)
            except UsageError as error:
                notes.append(f"no references of {group.label}: {error}")
                continue
            known = {reference.label for reference in stream.references}
            stream.references += [reference for reference in new if reference.label not in known]
    return notes


def table(found: list[Stream], notes: list[str]) -> str:
    """The comparison as text, the streams apart, each with its protocol."""
    lines = [f"note: {note}" for note in notes]
    if len(found) > 1:
        lines.append(f"note: {len(found)} different streams are kept apart: their accuracies cannot be compared")
    for stream in found:
        probe, scope = stream.protocols[0]
        width = max(len(text) for text in ("strategy", *(g.label for g in (*stream.groups, *stream.references)))) + 2
        lines += ["", f"{stream.title}; probe {probe}, scope {scope}; per cent, mean ± standard deviation over seeds"]
        lines.append("strategy".ljust(width) + "seeds" + "".join(c.rjust(20) for c in COLUMNS))
        for row in summary(stream, probe, scope):
            cells = "".join(_text(c).rjust(20) for c in row["cells"])
            lines.append(row["label"].ljust(width) + str(row["seeds"]).rjust(5) + cells)
        for row in differences(stream, probe, scope):
            cells = ", ".join(f"{name} {_text(c)}" for name, c in zip(PAIRED, row["cells"], strict=True))
            lines.append(f"{row['label']} minus {stream.groups[0].label}, {row['seeds']} paired seeds: {cells}")
        lines += [f"odd about {name}: {odd}" for name, odd in _odd(stream)]
        lines += _answers_table(stream, width)
    return "\n".join(lines)


def _answers_table(stream: Stream, width: int) -> list[str]:
    """The latest answers as lines of text; none if nothing was asked."""
    found = asked(stream)
    if found is None:
        return []
    names = found.groups + found.questions
    column = max(16, *(len(name) + 2 for name in names))
    lines = [f"further questions; {_tested(found)}", "strategy".ljust(width) + "".join(n.rjust(column) for n in names)]
    for row in answered(stream, found, names):
        lines.append(row["label"].ljust(width) + "".join(_text(c).rjust(column) for c in row["cells"]))
    return ["", *lines]


def _tested(found: Asked) -> str:
    return f"last encoder on {'all test images' if found.whole else 'the test images of the matrix'}"


def answered(stream: Stream, found: Asked, names: list[str]) -> list[dict[str, Any]]:
    """A row for each group of what its runs answered, and one for chance where it is known."""

    def cells(runs: list[dict[str, float]]) -> list[Cell]:
        return [_cell([run[name] for run in runs if name in run]) for name in names]

    rows = [{"label": g.label, "cells": cells(runs)} for g, runs in zip(stream.groups, found.latest, strict=True)]
    told = any(name in found.chance for name in names)
    return rows + ([{"label": "chance", "cells": cells([found.chance]), "reference": True}] if told else [])


def _odd(stream: Stream) -> list[tuple[str, str]]:
    """Probes of which something must be known before their numbers are compared, with what that is."""
    return list({name: odd for g in stream.groups for r in g.runs for name, odd in r.odd.items()}.items())


def summary(stream: Stream, probe: str, scope: str) -> list[dict[str, Any]]:
    """A row for each group and each reference, which has an average accuracy only."""

    def cells(group: Group) -> list[Cell]:
        return [_cell(list(group.values(metric, probe, scope).values())) for metric in COLUMNS]

    rows = [{"label": g.label, "seeds": len(g.runs), "cells": cells(g)} for g in stream.groups]
    for reference in stream.references:
        values = reference.averages(probe, scope)
        blank: list[Cell] = [("", "")] * (len(COLUMNS) - 1)
        rows.append(
            {"label": reference.label, "seeds": len(values), "cells": [_cell(values), *blank], "reference": True}
        )
    return rows


def differences(stream: Stream, probe: str, scope: str) -> list[dict[str, Any]]:
    """Each group minus the first, seed by seed; only where both finished and have seeds in common."""
    first, *others = stream.groups
    rows = []
    for group in others:
        found = [paired(first, group, metric, probe, scope) for metric in PAIRED]
        if found[0][2] and first.runs[0].trained == group.runs[0].trained:
            cells = [(_number(100 * mean, signed=True), _number(100 * std)) for mean, std, _ in found]
            rows.append({"label": group.label, "seeds": found[0][2], "cells": cells})
    return rows


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
    from avalanche_ssl.probes.protocols import PROBES

    probe, scope = stream.protocols[0]
    shown = [exhibits.exhibit(g.runs[0].folder, f"{g.label}, seed {g.runs[0].seed}") for g in stream.groups]
    kept = [e for e in shown if e]
    bases = {name: PROBES[name.partition("@")[0]] for name, _ in stream.protocols if name.partition("@")[0] in PROBES}
    health = [(title, pictures.health(stream, field, title)) for field, title in HEALTH.items()]
    return {
        "title": stream.title,
        "probe": probe,
        "scope": scope,
        "about": bases[probe].about if probe in bases else "",
        "odd": _odd(stream),
        "columns": COLUMNS,
        "summary": summary(stream, probe, scope),
        "paired_columns": PAIRED,
        "paired": differences(stream, probe, scope),
        "columns_of_protocols": [entry.label for entry in (*stream.groups, *stream.references)],
        "protocols": [*(_protocol(stream, *key) for key in stream.protocols), *_whole(stream)],
        "asked": _asked(stream),
        "groups": [{"label": g.label, "heat_map": pictures.heat_map(g, probe, scope)} for g in stream.groups],
        "anytime": pictures.anytime(stream, probe, scope),
        "forgetting": pictures.forgetting(stream, probe, scope),
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
    tables = [names for names in (found.questions, found.groups) if names]
    return {
        "tested": _tested(found),
        "tables": [(names, answered(stream, found, names)) for names in tables],
        "curves": [(name, pictures.answers(stream, name, found.chance[name])) for name in found.questions],
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


def _cell(values: list[float]) -> Cell:
    mean, std = spread(values)
    return _number(100 * mean), _number(100 * std)


def _plain(values: list[float]) -> Cell:
    mean, std = spread(values)
    return _number(mean, digits=0) or "-", _number(std, digits=0)


def _number(value: float, signed: bool = False, digits: int = 1) -> str:
    """Empty where it is not defined."""
    return "" if value != value else f"{value:{'+' if signed else ''},.{digits}f}"


def _text(cell: Cell) -> str:
    return (cell[0] or "-") + (f" ± {cell[1]}" if cell[1] else "")


if __name__ == "__main__":
    sys.exit(main())
