"""Read the folder of a run as far as it goes, and note what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import (
    ConsolidationEvent,
    CostEvent,
    CurveEvent,
    EndEvent,
    Event,
    ExperienceEvent,
    FullTestEvent,
    ProbeEvent,
    RepresentationEvent,
    RunEvent,
    TaskEvent,
    parse,
)
from avalanche_ssl.runs.config import today

AnyEvent = TypeVar("AnyEvent", bound=Event)
EventOfExperience = TypeVar("EventOfExperience", ExperienceEvent, RepresentationEvent)


@dataclass
class Run:
    """A run, finished or not. Where something was logged twice, after a restart, the later one counts."""

    folder: Path
    config: dict[str, Any]
    """All options and settings, by today's names; empty if the log has lost its beginning."""
    version: str
    """Version of the package that wrote the run."""
    accuracies: dict[tuple[str, str], Matrix]
    """(T + 1, T) by probe and scope: of the untrained encoder, then after each experience; NaN: not measured."""
    caveats: dict[str, str]
    """Caveats of probe protocols, by name."""
    curve: list[CurveEvent]
    full_test: dict[str, float]
    """Accuracy on all test images of the probes that otherwise use one in n of them, by name."""
    tasks: dict[int, list[TaskEvent]]
    """Results of the stream's probing tasks, by number of experiences trained."""
    full_test_tasks: list[TaskEvent]
    """Results on all test images, where `tasks` are about one in n."""
    consolidation: float
    """Of the last encoder; NaN: not measured."""
    experiences: list[ExperienceEvent]
    representation: list[RepresentationEvent]
    cost: CostEvent | None
    end: EndEvent | None
    notes: list[str] = field(default_factory=list)
    """What is wrong with the run, or to know about it."""

    @property
    def strategy(self) -> str:
        """Name of the strategy; for a file its stem."""
        return Path(str(self.config.get("strategy", "unknown"))).stem

    @property
    def seed(self) -> int | None:
        """Seed of weights, views and order; None if it is not known."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the recipe; empty if they are not known."""
        settings = self.config.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def n_experiences(self) -> int:
        """T, the length of the stream."""
        return int(next(iter(self.accuracies.values())).shape[1])

    @property
    def experiences_trained(self) -> int:
        """How many experiences were trained on and probed."""
        measured = [~np.isnan(rows).all(axis=1) for rows in self.accuracies.values()]
        return int(max(np.flatnonzero(m).max(initial=0) for m in measured))

    @property
    def finished(self) -> bool:
        """Whether the whole stream was trained on."""
        return self.end is not None and self.experiences_trained == self.n_experiences

    def matrix(self, probe: str, scope: str) -> Matrix:
        """R (t, t) over the experiences trained on."""
        return self.accuracies[probe, scope][1 : self.experiences_trained + 1, : self.experiences_trained]

    def untrained(self, probe: str, scope: str) -> Matrix:
        """Accuracies (t,) of the untrained encoder on the experiences trained on."""
        return self.accuracies[probe, scope][0, : self.experiences_trained]


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs in these folders, and why others cannot be used.

    Raises:
        UsageError: none can.
    """
    runs, notes = [], []
    for folder in dict.fromkeys(folders):
        try:
            runs.append(read_run(folder))
        except UsageError as error:
            notes.append(str(error))
    if not runs:
        raise UsageError(f"no run to report: {'; '.join(notes) or 'give folders of runs, e.g. runs/*'}")
    return runs, notes


def read_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        UsageError: there is no log, or no experience in it that was trained on and probed.
    """
    try:
        text = (folder / "log.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{folder} holds no run (log.jsonl: {error.strerror})") from error
    events, notes = _events(text)
    run = _run(folder, events, notes)
    if not run.accuracies or not run.experiences_trained:
        raise UsageError(f"{folder}: no experience was trained on and probed, nothing to report")
    if not run.finished:
        notes.append(f"unfinished: {run.experiences_trained} of {run.n_experiences} experiences")
    if run.version != version("avalanche-ssl"):
        notes.append(f"written by version {run.version}, read by {version('avalanche-ssl')}")
    if not run.config:
        notes.append("its beginning is missing: strategy, stream and seed are not known")
    return run


def _run(folder: Path, events: list[Event], notes: list[str]) -> Run:
    start, probes = _last(events, RunEvent), _of(events, ProbeEvent)
    tasks = {full: _tasks(e for e in _of(events, TaskEvent) if e.full_test_set == full) for full in (False, True)}
    consolidation = _last(events, ConsolidationEvent)
    return Run(
        folder=folder,
        config=today(start.config) if start else {},
        version=str(start.versions.get("avalanche-ssl", "unknown")) if start else "unknown",
        accuracies=_accuracies(probes, notes),
        caveats=_caveats(probes),
        curve=_of(events, CurveEvent),
        full_test={e.probe: e.accuracy for e in _of(events, FullTestEvent)},
        tasks=tasks[False],
        full_test_tasks=[task for found in tasks[True].values() for task in found],
        consolidation=consolidation.accuracy if consolidation else math.nan,
        experiences=_by_experience(_of(events, ExperienceEvent)),
        representation=_by_experience(_of(events, RepresentationEvent)),
        cost=_last(events, CostEvent),
        end=_last(events, EndEvent),
        notes=notes,
    )


def _events(text: str) -> tuple[list[Event], list[str]]:
    """All events, and one note on all lines that are none. The last line may have been cut off by a crash."""
    events, notes, broken = [], [], []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):
                notes.append("the last line was cut off")
            else:
                broken.append((number, "it is not JSON"))
            continue
        try:
            events += [event] if (event := _checked(parse(content))) else []
        except (ValueError, OverflowError) as error:
            broken.append((number, str(error)))
    if broken:
        number, reason = broken[0]
        count = "" if len(broken) == 1 else f"{len(broken)} lines are broken, the first: "
        notes.insert(0, f"{count}line {number} is broken: {reason}")
    return events, notes


def _checked(event: Event | None) -> Event | None:
    """The event, if what the schema leaves open is right too.

    Raises:
        ValueError: names the field that is not.
    """
    if isinstance(event, ProbeEvent) and event.experience < 1:
        raise ValueError("field 'experience' is 0, out of its range")
    if isinstance(event, TaskEvent):
        for groups in event.by_group.values():
            if not isinstance(groups, dict) or not all(isinstance(v, int | float) for v in groups.values()):
                raise ValueError("field 'by_group' holds no accuracies by group")
    return event


def _of(events: Iterable[Event], kind: type[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if isinstance(event, kind)]


def _last(events: Iterable[Event], kind: type[AnyEvent]) -> AnyEvent | None:
    return next(iter(reversed(_of(events, kind))), None)


def _by_experience(events: Iterable[EventOfExperience]) -> list[EventOfExperience]:
    """One event for each number of experiences, in order."""
    latest = {event.experiences_trained: event for event in events}
    return [latest[t] for t in sorted(latest)]


def _accuracies(events: Sequence[ProbeEvent], notes: list[str]) -> dict[tuple[str, str], Matrix]:
    """Accuracies (T + 1, T) by probe and scope. A stream has no more experiences than there are events."""
    possible = [e for e in events if e.experience <= len(events)]
    if len(possible) < len(events):
        notes.append(f"{len(events) - len(possible)} probe events are of experiences that the stream does not have")
    size = max((e.experience for e in possible), default=0)
    found: dict[tuple[str, str], Matrix] = {}
    for e in possible:
        rows = found.setdefault((e.probe, e.scope), np.full((size + 1, size), np.nan))
        if e.experiences_trained <= size:
            rows[e.experiences_trained, e.experience - 1] = e.accuracy
    return found


def _tasks(events: Iterable[TaskEvent]) -> dict[int, list[TaskEvent]]:
    """Results by number of experiences trained."""
    found: dict[int, dict[str, TaskEvent]] = {}
    for event in events:
        found.setdefault(event.experiences_trained, {})[event.task] = event
    return {t: list(found[t].values()) for t in sorted(found)}


def _caveats(events: Iterable[ProbeEvent]) -> dict[str, str]:
    """Caveats as logged; of runs of older versions, which did not log them, as known today."""
    from avalanche_ssl.probes import PROTOCOLS

    logged = {e.probe: e.caveat for e in events}
    known = {name: PROTOCOLS[base].caveat for name in logged if (base := name.partition("@")[0]) in PROTOCOLS}
    return {name: text for name, caveat in logged.items() if (text := caveat or known.get(name))}
