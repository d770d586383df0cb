"""Read the folder of a run as far as it goes, and note what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.evaluation import Matrix
from avalanche_ssl.logging import (
    BaselineEvent,
    ConsolidationEvent,
    CostEvent,
    CurveEvent,
    EndEvent,
    Event,
    ExperienceEvent,
    FrozenProbeEvent,
    FullTestEvent,
    ProbeEvent,
    RepresentationEvent,
    RunEvent,
    TaskEvent,
)
from avalanche_ssl.recipes import convert
from avalanche_ssl.runs.accuracies import (
    accuracy_rows,
    baseline_accuracies,
    check_names,
    frozen_rows,
    stream_length,
)
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import former, today
from avalanche_ssl.runs.log_reader import printable, read_log

AnyEvent = TypeVar("AnyEvent", bound=Event)
EventOfExperience = TypeVar("EventOfExperience", ExperienceEvent, RepresentationEvent)


@dataclass
class Run:
    """A run, finished or not. Where something was logged twice, after a restart, the later one counts."""

    folder: Path
    config: dict[str, Any] = field(repr=False)
    """All options and settings, by today's names; empty if the log has lost its beginning."""
    version: str
    """Version of the package that wrote the run."""
    commit: str
    """Commit of its code, `-dirty` where files were changed; empty if it is not known."""
    stream: str
    """Hash of what the stream is made of; empty if it is not known."""
    images: int | None
    """Training images of the stream, each counted once; None if it is not known."""
    accuracies: dict[tuple[str, str], Matrix] = field(repr=False)
    """(T + 1, T) by probe and scope: of the untrained encoder, then after each experience, in the order of training;
    NaN: not measured. (T + 1, 1) where all experiences share one test set."""
    classes: int | None
    """Classes of the stream; None if they are not known."""
    caveats: dict[str, str]
    """Caveats of probe protocols, by name."""
    curve: list[CurveEvent] = field(repr=False)
    full_test: dict[str, float]
    """Accuracy on all test images of the probes that otherwise use one in n of them, by name."""
    tasks: dict[int, list[TaskEvent]] = field(repr=False)
    """Results of the stream's probing tasks, by number of experiences trained."""
    full_test_tasks: list[TaskEvent] = field(repr=False)
    """Results on all test images, where `tasks` are about one in n."""
    consolidation: float
    """Of the last encoder; NaN: not measured."""
    experiences: list[ExperienceEvent] = field(repr=False)
    representation: list[RepresentationEvent] = field(repr=False)
    cost: CostEvent | None
    end: EndEvent | None
    notes: list[str] = field(default_factory=list)
    """What is wrong with the run, or to know about it."""
    baselines: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict, repr=False)
    """Mean accuracies by name ("chance", "raw pixels 16x16", "untrained", ...), then by probe and scope; empty for runs
    of older versions."""
    frozen: dict[tuple[str, str], Matrix] = field(default_factory=dict, repr=False)
    """F (T, T) of frozen probes by probe and scope, in the order of training, see `FrozenProbes`."""
    log_digest: str = field(default="", compare=False, repr=False)
    """SHA-256 of its log."""

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
        return len(next(iter(self.accuracies.values()))) - 1

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
        """R (t, t) over the experiences trained on; UsageError where the run has no such probe."""
        return self._rows(probe, scope)[1 : self.experiences_trained + 1, : self.experiences_trained]

    def untrained(self, probe: str, scope: str) -> Matrix:
        """Accuracies (t,) of the untrained encoder on the experiences trained on; UsageError as `matrix`."""
        return self._rows(probe, scope)[0, : self.experiences_trained]

    def frozen_matrix(self, probe: str, scope: str) -> Matrix | None:
        """F (t, t) over the experiences trained on; None where the probe was not kept."""
        t, found = self.experiences_trained, self.frozen.get((probe, scope))
        return None if found is None else found[:t, :t]

    def _rows(self, probe: str, scope: str) -> Matrix:
        if (probe, scope) not in self.accuracies:
            raise unknown_name("probe and scope", f"{probe}, {scope}", (", ".join(key) for key in self.accuracies))
        return self.accuracies[probe, scope]


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs in these folders, each once, and why others are not among them.

    Raises:
        UsageError: none can be used.
    """
    runs, notes = [], []
    places: dict[Path, Path] = {}
    logs: dict[str, Path] = {}
    for folder in folders:
        name, place = printable(str(folder)), _place(folder)
        if place in places:
            if folder != places[place]:
                notes.append(f"{name} is {printable(str(places[place]))} by another path: it counts once")
            continue
        places[place] = folder
        try:
            run = read_run(folder)
        except UsageError as error:
            notes.append(str(error))
            continue
        if run.log_digest in logs:
            notes.append(
                f"{name} is a copy of {printable(str(logs[run.log_digest]))}, with the same log: it counts once"
            )
            continue
        logs[run.log_digest] = folder
        runs.append(run)
    if not runs:
        above = [printable(str(folder)) for folder in folders if any(folder.glob("*/log.jsonl"))]
        remedy = [f"give the runs in it, {above[0]}/*/"] if above else []
        raise UsageError(f"no run to report: {'; '.join(notes + remedy) or 'give folders of runs, e.g. runs/*'}")
    return runs, notes


def _place(folder: Path) -> Path:
    """The folder without symbolic links, by which it is the same however it was given."""
    try:
        return folder.resolve()
    except (OSError, ValueError, RuntimeError):  # no such path, or links in a circle
        return folder


def read_run(folder: str | Path) -> Run:
    """The run in a folder, of whatever can be read and is plausible.

    Raises:
        UsageError: there is no log, or no experience in it that was trained on and probed.
    """
    folder = Path(folder)
    log = read_log(folder)
    run = _run(folder, log.events, log.notes)
    run.log_digest = log.digest
    if not run.accuracies or not run.experiences_trained:
        reason = "".join(f" ({note})" for note in log.notes[:1])
        raise UsageError(
            f"{printable(str(folder))}: no experience was trained on and probed, nothing to report{reason}"
        )
    notes = run.notes
    if not run.finished:
        notes.append(f"unfinished: {run.experiences_trained} of {run.n_experiences} experiences")
    if run.version != version("avalanche-ssl"):
        notes.append(f"written by version {run.version}, read by {version('avalanche-ssl')}")
    if not run.config:
        notes.append("its beginning is missing: strategy, stream and seed are not known")
    return run


def _run(folder: Path, events: list[Event], notes: list[str]) -> Run:
    start = _last(events, RunEvent)
    size = stream_length(_of(events, ProbeEvent), notes)
    events = [event for event in events if getattr(event, "experiences_trained", 0) <= size]
    probes, full_test = _of(events, ProbeEvent), _of(events, FullTestEvent)
    tasks = {full: _tasks(e for e in _of(events, TaskEvent) if e.full_test_set == full) for full in (False, True)}
    consolidation = _last(events, ConsolidationEvent)
    baselines = _of(events, BaselineEvent)
    check_names(folder, probes, full_test, _of(events, TaskEvent), baselines, size)
    return Run(
        folder=folder,
        config=_config(start.config, notes) if start else {},
        version=str(start.versions.get("avalanche-ssl", "unknown"))[:40] if start else "unknown",
        commit=(start.commit or "")[:40] if start else "",
        stream=(start.stream or "")[:40] if start else "",
        images=start.images if start else None,
        accuracies=accuracy_rows(probes, size),
        classes=start.classes if start else None,
        caveats=_caveats(probes),
        curve=_of(events, CurveEvent),
        full_test={e.probe: e.accuracy for e in full_test},
        tasks=tasks[False],
        full_test_tasks=[task for found in tasks[True].values() for task in found],
        consolidation=consolidation.accuracy if consolidation else math.nan,
        experiences=_by_experience(_of(events, ExperienceEvent)),
        representation=_by_experience(_of(events, RepresentationEvent)),
        cost=_last(events, CostEvent),
        end=_last(events, EndEvent),
        notes=notes,
        baselines=baseline_accuracies(baselines, probes),
        frozen=frozen_rows(_of(events, FrozenProbeEvent), probes, size),
    )


def _config(values: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Options by today's names, without those whose values are none, which are noted."""
    known = former(today(values))
    wrong = [name for name, kind in get_type_hints(RunConfig).items() if name in known and not _fits(known[name], kind)]
    if wrong:
        notes.append(f"options with wrong values are left out: {', '.join(wrong)}")
    return {name: value for name, value in known.items() if name not in wrong}


def _fits(value: Any, kind: Any) -> bool:
    """Whether an option of a declared type can have the value."""
    if kind == dict[str, Any]:
        return isinstance(value, dict)
    try:
        convert(value, kind, "")
    except UsageError:
        return False
    return kind is not int or 0 <= value < 2**63


def _of(events: Iterable[Event], kind: type[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if isinstance(event, kind)]


def _last(events: Iterable[Event], kind: type[AnyEvent]) -> AnyEvent | None:
    return next(iter(reversed(_of(events, kind))), None)


def _by_experience(events: Iterable[EventOfExperience]) -> list[EventOfExperience]:
    """One event for each number of experiences, in order."""
    latest = {event.experiences_trained: event for event in events}
    return [latest[t] for t in sorted(latest)]


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
