"""What did a run leave behind? Reads its folder as far as it goes, and notes what is wrong with it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import avalanche_ssl
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.tasks import TaskResult

Matrix = NDArray[np.float64]


@dataclass
class Run:
    """One run of `benchmarks/run.py`, finished or not."""

    folder: Path
    config: dict[str, Any]
    version: str
    accuracies: dict[tuple[str, str], Matrix]
    """(T + 1, T) by probe and scope: of the untrained encoder, then after each experience; NaN: not measured."""
    learnt: list[dict[str, Any]]
    vitals: list[dict[str, Any]]
    training_cost: dict[str, Any]
    end: dict[str, Any] | None
    consolidation: float = math.nan
    """Of the last encoder."""
    caveat: dict[str, str] = field(default_factory=dict)
    """What is odd about probes, by name."""
    task_results: dict[int, list[TaskResult]] = field(default_factory=dict)
    """To the stream's further questions, by number of experiences learnt."""
    full_test_results: list[TaskResult] = field(default_factory=list)
    """About all test images, where `task_results` are about some."""
    final: dict[str, float] = field(default_factory=dict)
    """Accuracy on all test images of probes that otherwise look at some, by name."""
    notes: list[str] = field(default_factory=list)

    @property
    def strategy(self) -> str:
        """Name of the strategy, of a file its stem."""
        return Path(str(self.config.get("strategy", "unknown"))).stem

    @property
    def seed(self) -> Any:
        """Seed of weights, views and order."""
        return self.config.get("seed")

    @property
    def experiences(self) -> int:
        """T, of the whole stream."""
        return next(iter(self.accuracies.values())).shape[1]

    @property
    def trained(self) -> int:
        """How many experiences were learnt and probed."""
        measured = [~np.isnan(rows).all(axis=1) for rows in self.accuracies.values()]
        return int(max(np.flatnonzero(m).max(initial=0) for m in measured))

    @property
    def finished(self) -> bool:
        """Whether the whole stream was learnt."""
        return self.end is not None and self.trained == self.experiences

    def matrix(self, probe: str, scope: str) -> Matrix:
        """R (t, t) over what was learnt."""
        return self.accuracies[probe, scope][1 : self.trained + 1, : self.trained]

    def untrained(self, probe: str, scope: str) -> Matrix:
        """Accuracies (t,) of the untrained encoder on what was learnt."""
        return self.accuracies[probe, scope][0, : self.trained]


def read_all(folders: list[Path]) -> tuple[list[Run], list[str]]:
    """The runs in these folders, and why others cannot be used.

    Raises:
        UsageError: none can.
    """
    runs, notes = [], []
    for folder in dict.fromkeys(folders):
        try:
            runs.append(read(folder))
        except UsageError as error:
            notes.append(str(error))
    if not runs:
        raise UsageError(f"no run to report: {'; '.join(notes) or 'give folders of runs, e.g. runs/*'}")
    return runs, notes


def read(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        UsageError: there is no log, or nothing in it that was learnt and probed.
    """
    try:
        text = (folder / "log.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{folder} holds no run (log.jsonl: {error.strerror})") from error
    events, notes = _events(text)
    kinds = {
        kind: [e for e in events if e["event"] == kind]
        for kind in ("run", "probe", "final", "answer", "consolidation", "experience", "vitals", "spent", "end")
    }
    config, version = _head(kinds["run"])
    task_results = _answers(kinds["answer"], notes)
    run = Run(
        folder=folder,
        config=config,
        version=version,
        accuracies=_accuracies(kinds["probe"], notes),
        learnt=_by_experience(kinds["experience"]),
        vitals=_by_experience(kinds["vitals"]),
        spent=kinds["spent"][-1] if kinds["spent"] else {},
        end=kinds["end"][-1] if kinds["end"] else None,
        consolidation=_number(kinds["consolidation"][-1].get("accuracy")) if kinds["consolidation"] else math.nan,
        caveat=_caveat(kinds["probe"]),
        task_results={t: list(found.values()) for (t, whole), found in sorted(task_results.items()) if not whole},
        full_test_results=[one for (_, whole), found in task_results.items() if whole for one in found.values()],
        final={str(e.get("probe")): _number(e.get("accuracy")) for e in kinds["final"]},
        notes=notes,
    )
    if not run.accuracies or not run.trained:
        raise UsageError(f"{folder}: no experience was learnt and probed, nothing to report")
    if not run.finished:
        notes.append(f"unfinished: {run.trained} of {run.experiences} experiences")
    if version != avalanche_ssl.__version__:
        notes.append(f"written by version {version}, read by {avalanche_ssl.__version__}")
    if not kinds["run"]:
        notes.append("its beginning is missing: strategy, stream and seed are not known")
    return run


def _events(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """All events, and which lines are none. The last line may have been cut off by a crash."""
    events, notes = [], []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                raise ValueError
            events.append(event)
        except ValueError:
            notes.append("the last line was cut off" if number == len(lines) else f"line {number} is broken")
    return events, notes


def _head(starts: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    head = starts[-1] if starts else {}
    config, versions = head.get("config"), head.get("versions")
    known = config if isinstance(config, dict) else {}
    return known, str(versions.get("avalanche-ssl", "unknown")) if isinstance(versions, dict) else "unknown"


def _accuracies(events: list[dict[str, Any]], notes: list[str]) -> dict[tuple[str, str], Matrix]:
    """By probe and scope; what was measured twice, after a restart, counts as measured last."""
    cells: dict[tuple[str, str], dict[tuple[int, int], float]] = {}
    broken = 0
    for e in events:
        try:
            place = int(e["trained"]), int(e["evaluated"]) - 1
            value = math.nan if e["accuracy"] is None else float(e["accuracy"])
            cells.setdefault((str(e.get("probe", "ridge")), str(e["scope"])), {})[place] = value
            broken += min(place) < 0
        except (KeyError, TypeError, ValueError):
            broken += 1
    if broken:
        notes.append(f"{broken} probe events are broken")
    size = max((j + 1 for cell in cells.values() for _, j in cell), default=0)
    return {key: _filled(cell, size) for key, cell in cells.items()}


def _answers(events: list[dict[str, Any]], notes: list[str]) -> dict[tuple[int, bool], dict[str, TaskResult]]:
    """By number of experiences and whether about all test images, then by question; what was asked last counts."""
    found: dict[tuple[int, bool], dict[str, TaskResult]] = {}
    broken = 0
    for e in events:
        try:
            by = {str(name): {str(g): float(v) for g, v in groups.items()} for name, groups in e["by"].items()}
            one = TaskResult(str(e["question"]), float(e["accuracy"]), float(e["chance"]), by)
            found.setdefault((int(e["trained"]), e.get("whole") is True), {})[one.question] = one
        except (KeyError, TypeError, ValueError, AttributeError):
            broken += 1
    if broken:
        notes.append(f"{broken} answer events are broken")
    return found


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _caveat(events: list[dict[str, Any]]) -> dict[str, str]:
    """As the run said it; of runs of older versions, which did not, as we know it."""
    from avalanche_ssl.probes.protocols import PROTOCOLS

    names = {str(e.get("probe", "ridge")): e.get("caveat") for e in events}
    known = {name: PROTOCOLS[base].caveat for name in names if (base := name.partition("@")[0]) in PROTOCOLS}
    return {name: str(text) for name, said in names.items() if (text := said or known.get(name))}


def _filled(cell: dict[tuple[int, int], float], size: int) -> Matrix:
    rows = np.full((size + 1, size), np.nan)
    for (t, j), value in cell.items():
        if 0 <= t <= size and j >= 0:
            rows[t, j] = value
    return rows


def _by_experience(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One event for each number of experiences, the last of them, in order."""
    latest = {e["trained"]: e for e in events if isinstance(e.get("trained"), int)}
    return [latest[t] for t in sorted(latest)]
