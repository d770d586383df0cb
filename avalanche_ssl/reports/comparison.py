"""Which runs can be compared, and how do they differ? Groups of seeds, means, paired differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.evaluation import metrics
from avalanche_ssl.evaluation.metrics import (
    anytime_accuracy,
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    forgetting_by_experience,
    forgetting_chaudhry,
    forward_transfer,
    knowledge_gain,
)
from avalanche_ssl.reports.baselines import Reference
from avalanche_ssl.runs.reader import Run

Matrix = NDArray[np.float64]

METRICS: dict[str, Callable[[Matrix, Matrix], float]] = {
    "average accuracy": lambda R, u: average_accuracy(R),
    "gain": lambda R, u: average_accuracy(R) - float(np.mean(u)),
    "anytime accuracy": lambda R, u: average_anytime_accuracy(R),
    "forgetting": lambda R, u: metrics.forgetting(R),
    "forgetting (Chaudhry)": lambda R, u: forgetting_chaudhry(R),
    "backward transfer": lambda R, u: backward_transfer(R),
    "forward transfer": lambda R, u: forward_transfer(R, u),
    "knowledge gain": lambda R, u: knowledge_gain(R),
    "untrained accuracy": lambda R, u: float(np.mean(u)),
}
"""Of an accuracy matrix R (T, T) and the untrained encoder's accuracies (T,)."""


@dataclass
class Group:
    """Runs that differ in their seed only."""

    label: str
    runs: list[Run]

    def values(self, metric: str, probe: str, scope: str) -> dict[Any, float]:
        """A metric by seed; consolidation is of no probe but the features."""
        if metric == "consolidation":
            return {r.seed: r.consolidation for r in self.runs}
        return {
            r.seed: METRICS[metric](r.matrix(probe, scope), r.untrained(probe, scope))
            for r in self.having(probe, scope)
        }

    def having(self, probe: str, scope: str) -> list[Run]:
        """The runs that have a probe."""
        return [r for r in self.runs if (probe, scope) in r.accuracies]

    def mean_rows(self, probe: str, scope: str) -> Matrix:
        """(T + 1, T), mean over the seeds."""
        return np.mean([r.accuracies[probe, scope] for r in self.having(probe, scope)], axis=0)

    def anytime(self, probe: str, scope: str) -> Matrix:
        """(seeds, t): accuracy on the experiences seen so far, after each."""
        return np.array([anytime_accuracy(r.matrix(probe, scope)) for r in self.having(probe, scope)])

    def forgetting(self, probe: str, scope: str) -> Matrix:
        """(seeds, t - 1): forgetting of each experience but the last."""
        runs = self.having(probe, scope)
        return np.array([forgetting_by_experience(r.matrix(probe, scope)) for r in runs])


@dataclass
class Stream:
    """Groups that learnt and were tested on the same data, in the same order."""

    title: str
    groups: list[Group]
    references: list[Reference] = field(default_factory=list)

    @property
    def protocols(self) -> list[tuple[str, str]]:
        """Probes and scopes that all groups have; the headline first."""
        each = [{key for r in g.runs for key in r.accuracies} for g in self.groups]
        first = self.groups[0].runs[0].accuracies
        return [key for key in first if all(key in keys for keys in each)] or list(first)[:1]


def streams(runs: list[Run]) -> list[Stream]:
    """The runs by stream; those on different streams are kept apart, because their numbers cannot be compared."""
    apart: dict[str, list[Run]] = {}
    for run in runs:
        apart.setdefault(_stream_key(run), []).append(run)
    return [Stream(_title(part), _groups(part)) for part in apart.values()]


def _stream_key(run: Run) -> str:
    names = ("benchmark", "data", "stream", "online")
    return json.dumps([run.experiences, *(run.config.get(n) for n in names)], sort_keys=True, default=str)


def _title(runs: list[Run]) -> str:
    config = runs[0].config
    options = config.get("stream") or {}
    words = [f"{k} {v}" for k, v in options.items() if v is not None] if isinstance(options, dict) else []
    if config.get("online"):
        words += [f"in mini-batches of {config['online']}", *_passes(runs)]
    return (
        f"{config.get('benchmark', 'unknown stream')} ({', '.join(words)})" if words else str(config.get("benchmark"))
    )


def _passes(runs: list[Run]) -> list[str]:
    """How often each mini-batch is learnt, in words; none where a run does not say."""
    epochs = {(run.config.get("settings") or {}).get("epochs") for run in runs}
    if not all(isinstance(number, int) for number in epochs):
        return []
    return ["one pass" if epochs == {1} else f"{' or '.join(map(str, sorted(epochs)))} passes"]


def _groups(runs: list[Run]) -> list[Group]:
    """Runs of equal settings; the label names the settings that tell two groups of a strategy apart."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        settings = json.dumps(run.config.get("settings"), sort_keys=True, default=str)
        groups.setdefault(json.dumps([run.strategy, settings, run.trained]), []).append(run)
    return [Group(_label(part[0], runs), part) for part in groups.values()]


def _label(run: Run, others: list[Run]) -> str:
    same = [r for r in others if r.strategy == run.strategy]
    mine = flat(run.config.get("settings") or {})
    theirs = [flat(r.config.get("settings") or {}) for r in same]
    differing = [k for k in mine if any(t.get(k) != mine[k] for t in theirs)]
    words = [run.strategy, *(f"{k}={mine[k]}" for k in differing)]
    words += [] if run.finished else [f"(unfinished: {run.trained} of {run.experiences})"]
    return " ".join(words)


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    if not isinstance(settings, dict):
        return {prefix.rstrip("."): settings}
    return {name: value for k, v in settings.items() for name, value in flat(v, f"{prefix}{k}.").items()}


def paired(first: Group, second: Group, metric: str, probe: str, scope: str) -> tuple[float, float, int]:
    """Mean and standard deviation of second minus first over the seeds that both have, and how many these are."""
    a, b = first.values(metric, probe, scope), second.values(metric, probe, scope)
    differences = [b[seed] - a[seed] for seed in a if seed in b]
    return (*spread(differences), len(differences))


def spread(values: list[float]) -> tuple[float, float]:
    """Mean, and standard deviation with n - 1 (NaN of a single value)."""
    if not values:
        return float("nan"), float("nan")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
