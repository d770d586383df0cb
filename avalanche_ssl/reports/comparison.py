"""Which runs can be compared, and how they differ: groups of seeds, means, paired differences."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avalanche_ssl.evaluation import Matrix, RawPixels, anytime_accuracy, forgetting_by_experience
from avalanche_ssl.recipes import flatten
from avalanche_ssl.reports.baseline_cache import ProtocolAccuracies
from avalanche_ssl.reports.baselines import Baseline
from avalanche_ssl.runs import METRICS, Run, printable
from avalanche_ssl.streams import BENCHMARKS

IDENTITY = ("benchmark", "data", "benchmark_options", "stream_seed", "eval_on", "online_batch_size")
"""Options that make the stream."""

SUPERVISED = "supervised"
"""The strategy that reads labels."""

CHANCE = "chance"
"""The baseline of guessing among all classes."""

LONGEST = 200
"""Characters of the label of a group and of the title of a stream."""


@dataclass
class Group:
    """Runs that differ in their seed only.

    Args:
        label: what they are called: method and plugins, and how far they came if they are unfinished.
        runs: at least one.
        method: their strategy, with the settings that tell it apart from others of its name.
        plugins: what joined it; empty for nothing.
        reference: what it is to compare others with: "iid", "supervised" or "supervised iid"; empty for no reference.
    """

    label: str
    runs: list[Run]
    method: str = ""
    plugins: str = ""
    reference: str = ""

    def values(self, metric: str, probe: str, scope: str) -> dict[int | None, float]:
        """A metric by seed."""
        function = METRICS[metric].function
        if function is None:
            return {run.seed: run.consolidation for run in self.runs}
        if METRICS[metric].frozen:
            matrices = [(run, run.frozen_matrix(probe, scope)) for run in self.having(probe, scope)]
            return {run.seed: function(F, run.untrained(probe, scope)) for run, F in matrices if F is not None}
        return {
            run.seed: function(run.matrix(probe, scope), run.untrained(probe, scope))
            for run in self.having(probe, scope)
        }

    def mean(self, metric: str, probe: str, scope: str) -> float:
        """Mean of a metric over seeds; NaN where it is not defined."""
        return mean_and_std(list(self.values(metric, probe, scope).values()))[0]

    def having(self, probe: str, scope: str) -> list[Run]:
        """The runs that have a probe."""
        return [run for run in self.runs if (probe, scope) in run.accuracies]

    def mean_rows(self, probe: str, scope: str) -> Matrix:
        """Accuracies (T + 1, T) of the untrained encoder, then after each experience; mean over seeds."""
        rows: Matrix = np.mean([run.accuracies[probe, scope] for run in self.having(probe, scope)], axis=0)
        return rows

    def anytime(self, probe: str, scope: str) -> Matrix:
        """Accuracy (seeds, t) on the experiences seen so far, after each."""
        return np.array([anytime_accuracy(run.matrix(probe, scope)) for run in self.having(probe, scope)])

    def forgetting(self, probe: str, scope: str) -> Matrix:
        """Forgetting (seeds, t - 1) of each experience but the last."""
        return np.array([forgetting_by_experience(run.matrix(probe, scope)) for run in self.having(probe, scope)])


@dataclass
class Stream:
    """Groups that were trained and tested on the same data, in the same order."""

    title: str
    groups: list[Group]
    baselines: list[Baseline] = field(default_factory=list)

    @property
    def first(self) -> Group:
        """The group that others are compared with: the first that is no reference."""
        return next((group for group in self.groups if not group.reference), self.groups[0])

    @property
    def protocols(self) -> list[tuple[str, str]]:
        """Probes and scopes that all groups have, by probe; the headline first."""
        each = [{key for run in group.runs for key in run.accuracies} for group in self.groups]
        first = self.groups[0].runs[0].accuracies
        probes = list(dict.fromkeys(probe for probe, _ in first))
        shared = [key for key in first if all(key in keys for keys in each)] or list(first)[:1]
        return sorted(shared, key=lambda key: probes.index(key[0]))

    def chance(self, scope: str) -> float | None:
        """Accuracy of guessing in the scope "all"; None in other scopes, and where a run does not say it."""
        known = {run.classes for group in self.groups for run in group.runs}
        classes = next(iter(known)) if len(known) == 1 else None
        return 1 / classes if classes and scope == "all" else None

    def pixels(self, probe: str, scope: str) -> float | None:
        """Accuracy of raw pixels, mean over the streams of the runs; None where no run has logged it."""
        found = [value for b in self.baselines if b.label == RawPixels.name for value in b.averages(probe, scope)]
        return float(np.mean(found)) if found else None

    @property
    def labels(self) -> list[str]:
        """What groups and baselines are called."""
        return [group.label for group in self.groups] + [baseline.label for baseline in self.baselines]

    @property
    def caveats(self) -> dict[str, str]:
        """Caveats of probe protocols, by name."""
        return {name: text for group in self.groups for run in group.runs for name, text in run.caveats.items()}


def streams(runs: list[Run]) -> list[Stream]:
    """The runs by stream; those on different streams are kept apart, because their numbers cannot be compared."""
    apart: dict[str, list[Run]] = {}
    for run in runs:
        key = _hashable([run.n_experiences, *(_of_stream(run.config.get(name)) for name in IDENTITY)])
        apart.setdefault(key, []).append(run)
    titles = [_title(part) for part in apart.values()]
    repeated = {title for title in titles if titles.count(title) > 1}
    return [
        Stream(_with_data(title, part) if title in repeated else title, _groups(part), _logged(part))
        for title, part in zip(titles, apart.values(), strict=True)
    ]


def _logged(runs: list[Run]) -> list[Baseline]:
    """Raw pixels and chance, as runs log them; one repeat of pixels for each order of classes and choice of images."""
    found = []
    for name in (RawPixels.name, CHANCE):
        repeats: dict[str, ProtocolAccuracies] = {}
        for run in runs:
            accuracies = {key: np.array([value]) for key, value in run.baselines.get(name, {}).items()}
            repeats.setdefault("" if name == CHANCE else run.stream or str(run.seed), {}).update(accuracies)
        found += [Baseline(name, list(repeats.values()), logged=True)] if any(repeats.values()) else []
    return found


def _of_stream(value: Any) -> Any:
    """Options without those that are null (an option that came with a later version changes no stream) and the regime.

    Runs that train on the data of a stream jointly or cumulatively are compared with others on it.
    """
    if not isinstance(value, dict):
        return value
    return {name: given for name, given in value.items() if given is not None and name != "regime"}


def _regime(run: Run) -> str | None:
    """What a run was trained on, if not one experience after the other."""
    options = run.config.get("benchmark_options")
    regime = options.get("regime") if isinstance(options, dict) else None
    return regime if isinstance(regime, str) else None


def _features(run: Run) -> str:
    """The precision of the features that a run was probed on; empty if it is not known."""
    return str(run.config.get("eval_precision", ""))


def _hashable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _title(runs: list[Run]) -> str:
    """Benchmark, those of its options that are not at their defaults, and how it is cut into mini-batches."""
    config = runs[0].config
    options = _of_stream(config.get("benchmark_options"))
    defaults = _default_options(config.get("benchmark"))
    given = options.items() if isinstance(options, dict) else ()
    words = [f"{name} {value}" for name, value in given if name not in defaults or value != defaults[name]]
    words += [] if config.get("stream_seed") is None else [f"stream seed {config['stream_seed']}"]
    words += [] if config.get("eval_on") in (None, "test") else [f"scored on {config['eval_on']}"]
    if config.get("online_batch_size"):
        words += [f"in mini-batches of {config['online_batch_size']}", *_passes(runs)]
    name = str(config.get("benchmark", "unknown stream"))
    return _short(f"{name} ({', '.join(words)})" if words else name)


def _default_options(benchmark: Any) -> dict[str, Any]:
    """Defaults of a benchmark's options; empty for one that is not known."""
    builder = BENCHMARKS.get(benchmark) if isinstance(benchmark, str) else None
    return {name: p.default for name, p in inspect.signature(builder).parameters.items()} if builder else {}


def _with_data(title: str, runs: list[Run]) -> str:
    """The title with the folder or list of the images, where streams have the same title without it."""
    data = runs[0].config.get("data")
    return _short(f"{title} of {data}" if data else title)


def _passes(runs: list[Run]) -> list[str]:
    """How often each mini-batch is trained on, in words; none if a run does not say."""
    known = [run.settings.get("epochs") for run in runs]
    epochs = sorted({number for number in known if isinstance(number, int)})
    if not all(isinstance(number, int) for number in known):
        return []
    return ["one pass" if epochs == [1] else f"{' or '.join(map(str, epochs))} passes"]


def _groups(runs: list[Run]) -> list[Group]:
    """Runs of equal settings; the label names the settings that tell two groups of a strategy apart."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        begun = [bool(run.config.get("continue_from")), run.config.get("init_sha256")]
        key = _hashable(
            [run.strategy, _regime(run), begun, run.settings, _plugins(run), run.experiences_trained, _features(run)]
        )
        groups.setdefault(key, []).append(run)
    found = [_group(_one_of_each_seed(part), runs) for part in groups.values()]
    for group in found:
        group.reference = _reference(group.runs[0], runs)
    return found


def _one_of_each_seed(runs: list[Run]) -> list[Run]:
    """The runs by seed; of several of one seed, such as on other machines, the last, which is noted of the others."""
    latest = {run.seed: run for run in runs}
    for run in runs:
        if (other := latest[run.seed]) is not run:
            note = f"not counted: {printable(str(other.folder))} is of the same settings and seed"
            run.notes += [] if note in run.notes else [note]
    return [latest[seed] for seed in sorted(latest, key=lambda seed: -1 if seed is None else seed)]


def _reference(run: Run, others: list[Run]) -> str:
    """What a run is a reference for, beside others: its own method on all data at once, or labels."""
    joint = _regime(run) == "joint"
    if run.strategy == SUPERVISED:
        among_methods = any(other.strategy != SUPERVISED for other in others)
        return ("supervised iid" if joint else "supervised") if among_methods else ""
    sequential = any(other.strategy == run.strategy and _regime(other) is None for other in others)
    return "iid" if joint and sequential else ""


def _group(part: list[Run], runs: list[Run]) -> Group:
    run = part[0]
    method, plugins = _method(run, runs), _plugin_words(run, runs)
    words = " + ".join(filter(None, [method, plugins]))
    words += "" if run.finished else f" (unfinished: {run.experiences_trained} of {run.n_experiences})"
    return Group(_short(words), part, _short(method), plugins)


def _plugins(run: Run) -> dict[str, dict[str, Any]]:
    """The settings of the plugins of a run, by name."""
    plugins = run.config.get("plugins")
    named = plugins if isinstance(plugins, dict) else {}
    return {str(name): settings if isinstance(settings, dict) else {} for name, settings in named.items()}


def _plugin_words(run: Run, others: list[Run]) -> str:
    """The plugins of a run, with the settings that tell them apart from those of their name; empty for none."""
    words = []
    for name, mine in _plugins(run).items():
        theirs = [_plugins(other)[name] for other in others if name in _plugins(other)]
        differing = [key for key in mine if any(settings.get(key) != mine[key] for settings in theirs)]
        words.append(" ".join([name, *(f"{key}={mine[key]}" for key in differing)]))
    return " + ".join(words)


def _method(run: Run, others: list[Run]) -> str:
    mine = flatten(run.settings)
    same = [other for other in others if other.strategy == run.strategy]
    theirs = [flatten(other.settings) for other in same]
    differing = [name for name in mine if any(settings.get(name) != mine[name] for settings in theirs)]
    begun = "continued" if run.config.get("continue_from") else "from given weights" if run.config.get("init") else None
    words = [run.strategy, *filter(None, [_regime(run), begun]), *(f"{name}={mine[name]}" for name in differing)]
    words += [f"eval_precision={_features(run)}"] if any(_features(other) != _features(run) for other in same) else []
    return " ".join(words)


def _short(text: str) -> str:
    """The text with the end left out where it would fill the screen."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def mean_and_std(values: list[float]) -> tuple[float, float]:
    """Mean, and standard deviation with n - 1; NaN where it is not defined."""
    if not values:
        return float("nan"), float("nan")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
