"""The registry: entries read from the YAML files of this folder and checked.

A file is about one paper and has groups, which share a table of the paper, the options of a run, and deviations from
the paper's protocol; an entry of a group is one number, with what is its own. `GROUP` and `ROW` name the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.reproductions.data import DATA
from avalanche_ssl.runs import METRICS, RunConfig

EVIDENCE = ("read", "quoted", "memory", "none")
"""Where a published number is from: read in the paper or its repository, quoted by others, from memory and to be
checked, or not known."""
GROUP = ("name", "table", "metric", "probe", "scope", "evidence", "seeds", "time", "gpu", "data", "options")
"""Fields of a group besides `deviations` and `entries`."""
ROW = ("published", "spread", "evidence", "time", "gpu", "data", "options", "deviations")
"""Fields of an entry."""


@dataclass(frozen=True)
class Entry:
    """A published number, and the run that reproduces it.

    Args:
        name: such as "cla/cifar100/low/simclr/finetune".
        paper: authors, title in short, venue.
        table: which table or figure, and what its numbers are.
        published: in percent; None where it is not known to us.
        spread: standard deviation over the paper's seeds, in percent, if it says one.
        evidence: one of `EVIDENCE`.
        seeds: how many seeds the published number is of, in words.
        metric: one of `avalanche_ssl.runs.METRICS`.
        probe: protocol that it is measured by.
        scope: scope of the probe.
        time: how long a seed takes, in words, on what.
        gpu: whether it is meant for one.
        data: one of `DATA`, what the run needs.
        options: of the run, by name as in `config.yaml`.
        deviations: from the paper's protocol, and what of it is not known to us.
    """

    name: str
    paper: str
    table: str
    published: float | None
    spread: float | None
    evidence: str
    seeds: str
    metric: str
    probe: str
    scope: str
    time: str
    gpu: bool
    data: str
    options: Mapping[str, Any]
    deviations: tuple[str, ...]

    def __post_init__(self) -> None:
        for what, value, known in (
            ("evidence", self.evidence, EVIDENCE),
            ("metric", self.metric, METRICS),
            ("data", self.data, DATA),
        ):
            if value not in known:
                raise unknown_name(f"{what} of {self.name}", value, known)
        if (self.published is None) != (self.evidence == "none"):
            raise UsageError(f"{self.name}: a published number has evidence, and evidence is of a number")
        if self.probe not in self.config(data="images").probes.split(","):
            raise UsageError(f"{self.name}: its options have no probe '{self.probe}'")

    def config(self, *, seed: int = 0, data: str | None = None) -> RunConfig:
        """The configuration of its run."""
        given = {"data": data} if data is not None and DATA[self.data].taken else {}
        return RunConfig.from_mapping({**self.options, "seed": seed, **given}, self.name)


@cache
def read_entries() -> dict[str, Entry]:
    """All entries by name, in the order of the files."""
    import yaml

    found: dict[str, Entry] = {}
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for entry in _entries(content, path.name):
            if entry.name in found:
                raise UsageError(f"{path.name}: '{entry.name}' is there twice")
            found[entry.name] = entry
    return found


def find_entries(name: str) -> list[Entry]:
    """The entry of a name, or all whose names begin with it and a slash.

    Raises:
        UsageError: there is none; the nearest is proposed.
    """
    entries = read_entries()
    start = name.rstrip("/")
    if start in entries:
        return [entries[start]]
    found = [entry for entry in entries.values() if entry.name.startswith(f"{start}/")]
    if not found:
        groups = {key.rpartition("/")[0] for key in entries}
        raise unknown_name("entry", name, [*entries, *sorted(groups)])
    return found


def _entries(content: Mapping[str, Any], file: str) -> Iterable[Entry]:
    for group in content["groups"]:
        _check(group, (*GROUP, "deviations", "entries"), f"{file}, {group.get('name')}")
        shared = {field: group[field] for field in GROUP if field in group}
        for name, row in group["entries"].items():
            _check(row, ROW, f"{file}, {group['name']}/{name}")
            own = {field: row[field] for field in ROW if field in row}
            values: dict[str, Any] = {"scope": "all", "gpu": False, "spread": None, "published": None} | shared | own
            values["name"] = f"{group['name']}/{name}"
            values["options"] = _merged(group.get("options", {}), row.get("options", {}))
            values["deviations"] = (*group.get("deviations", ()), *row.get("deviations", ()))
            yield Entry(paper=content["paper"], **values)


def _check(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for field in values:
        if field not in known:
            raise unknown_name(f"field in {where}", field, known)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; those of the second take precedence, also inside mappings."""
    merged = dict(first)
    for name, value in second.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
