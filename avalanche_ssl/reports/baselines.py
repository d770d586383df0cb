"""Baselines of a run: accuracies to compare with, under the probes of the run, computed once and cached.

- raw pixels: the probes on the images themselves, sides above 16 pixels averaged down to 16;
- untrained: the run's method before any training, with five initializations;
- iid: the run's recipe on the whole stream at once, on as many images as the run, with its seed;
- supervised: the run's encoder trained on the labels of the whole stream at once, on as many views as the run.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.reports.baseline_cache import CacheEntry, ProtocolAccuracies
from avalanche_ssl.runs import JOINT, SHARED, Run, RunConfig

INITIALIZATIONS = 5

TRAINING = ("batch_size", "epochs", "optimizer", "lr", "weight_decay", "schedule", "max_grad_norm")
"""Settings that do not matter to an untrained encoder."""


@dataclass
class Baseline:
    """Accuracies to compare with.

    Args:
        label: what they are of.
        repeats: accuracies of one or several repeats.
        logged: whether every run logs it, so that a page has it in its text and not as a row.
    """

    label: str
    repeats: list[ProtocolAccuracies]
    logged: bool = False

    def averages(self, probe: str, scope: str) -> list[float]:
        """Average accuracy of each repeat that has a probe."""
        return [float(rows[probe, scope].mean()) for rows in self.repeats if (probe, scope) in rows]


def baselines(
    label: str, runs: list[Run], folder: Path, say: Callable[[str], None] = print, *, trust_strategy: bool = False
) -> list[Baseline]:
    """All baselines of runs that differ in their seed only, from the cache or computed and written to it.

    Args:
        label: what the runs are called.
        runs: finished runs.
        folder: the cache.
        say: called with a line about each baseline that is computed.
        trust_strategy: as for `RunConfig.from_mapping`.

    Raises:
        UsageError: a run is unfinished, its strategy or data are gone, or the cache cannot be written.
    """
    found: dict[str, dict[Path, ProtocolAccuracies]] = {}
    for run in runs:
        for job in jobs(label, run, trust_strategy):
            entry = CacheEntry.of(folder, job.kind, job.key)
            accuracies = entry.read()
            if accuracies is None:
                say(f"computing a baseline, {job.label} -> {entry.path}")
                accuracies = job.subject.measure(job.strategy())
                entry.write(accuracies)
            found.setdefault(job.label, {})[entry.path] = accuracies
    return [Baseline(name, list(repeats.values())) for name, repeats in found.items()]


def jobs(label: str, run: Run, trust_strategy: bool = False) -> Iterator[Job]:
    """Every repeat of every baseline of a run.

    Raises:
        UsageError: the run is unfinished or its log damaged, or its strategy or data are gone.
    """
    if not run.finished or not run.end or not run.settings:
        raise UsageError(f"{run.folder} is unfinished, or its configuration is not known: finish it with --resume")
    if run.experiences and run.experiences[-1].images_trained != run.end.images_trained:
        raise UsageError(
            f"the log of {run.folder} contradicts itself on how many images it was trained on: run it again"
        )
    config = RunConfig.from_mapping(run.config, str(run.folder), trust_strategy=trust_strategy)
    subject = Subject(label, config, run.end.images_trained, run.cost.views if run.cost else 0)
    yield RawPixels(subject)
    yield from (Untrained(subject, seed) for seed in range(INITIALIZATIONS))
    yield IID(subject)
    yield SupervisedIID(subject)


@dataclass(frozen=True)
class Subject:
    """The run whose baselines are computed, with what they share.

    Args:
        label: what the run is called.
        config: its configuration.
        images: images that it was trained on, each pass counted.
        views: views that it has encoded of them; 0 where they are not known.
    """

    label: str
    config: RunConfig
    images: int
    views: int = 0

    @cached_property
    def recipe(self) -> Recipe:
        """The run's recipe with all its settings."""
        from avalanche_ssl.recipes import load_recipe

        return load_recipe(self.config.strategy, self.config.strategy_sha256).override(self.config.settings)

    @cached_property
    def benchmark(self) -> Any:
        """The run's benchmark."""
        from avalanche_ssl.runs import build_benchmark

        return build_benchmark(self.config)

    @cached_property
    def probes(self) -> list[str]:
        """The run's probes that are fitted on frozen features."""
        from avalanche_ssl.probes import get_protocol

        return [name for name in self.config.probes.split(",") if not get_protocol(name).online]

    @cached_property
    def machine(self) -> dict[str, str]:
        """Device and precision of what is trained here."""
        from avalanche_ssl.runs import resolve_machine

        device, precision = resolve_machine("auto", self.config.precision)
        return {"device": device, "precision": precision}

    @cached_property
    def stream(self) -> str:
        """A hash of what the stream is made of, wherever its images lie."""
        from avalanche_ssl.checkpointing import stream_fingerprint

        streams = (self.benchmark.train_stream, self.benchmark.test_stream, self.benchmark.class_names)
        return hashlib.sha256(json.dumps(stream_fingerprint(*streams), sort_keys=True).encode()).hexdigest()

    def key(self, *options: str) -> dict[str, Any]:
        """Stream, probes and some other options of the run: those that matter to a baseline.

        A strategy that is a file counts by its content.
        """
        key = {
            name: getattr(self.config, name) for name in ("benchmark", "benchmark_options", "seed_of_stream", *options)
        }
        if "strategy" in key and self.config.is_file:
            key |= {"strategy": self.config.strategy_name, "strategy_sha256": self.config.strategy_sha256}
        return key | {"stream": self.stream, "probes": self.probes}

    def measure(self, strategy: Any) -> ProtocolAccuracies:
        """Accuracies (T,) of the run's probes on the features of a strategy."""
        from avalanche_ssl.evaluation import Evaluator
        from avalanche_ssl.probes import get_protocol

        config, has_readouts = self.config, hasattr(strategy.model, "read_out")  # pixels have none
        names = [name for name in self.probes if has_readouts or not get_protocol(name).readout]
        options: dict[str, Any] = {"seed": config.seed_of_stream, "precision": config.eval_precision}
        evaluator = Evaluator(self.benchmark, names, **options)
        everything = range(len(evaluator.train))
        found = evaluator.evaluate(strategy, seen=everything, at_boundary=False).accuracies
        return {(name, scope): row for name, scopes in found.items() for scope, row in scopes.items()}

    def trained_jointly(self, recipe: Recipe, images: int) -> Any:
        """The strategy of a recipe, trained on the whole stream at once for so many images."""
        from avalanche_ssl.streams import joint_experience

        experience = joint_experience(self.benchmark)
        epochs = max(1, round(images / len(experience.dataset)))
        strategy = recipe.override({"epochs": epochs}).build(seed=self.config.seed, **self.machine)
        strategy.train(experience, eval_streams=[])
        return strategy


class Job(ABC):
    """One repeat of a baseline.

    Args:
        subject: the run.
        label: what the baseline is called in a report.
        key: all settings that matter to it.
    """

    kind: ClassVar[str]
    """The beginning of its name in the cache."""

    def __init__(self, subject: Subject, label: str, key: Mapping[str, Any]) -> None:
        self.subject, self.label, self.key = subject, label, key

    @abstractmethod
    def strategy(self) -> Any:
        """The strategy whose features are probed."""


class RawPixels(Job):
    """The images themselves as features."""

    kind = "pixels"

    def __init__(self, subject: Subject) -> None:
        from avalanche_ssl.evaluation import RawPixels

        self.model = RawPixels()
        super().__init__(subject, self.model.name, subject.key() | {"side": self.model.side})

    def strategy(self) -> Any:
        """What the probes need of a strategy."""
        import torch

        clock = SimpleNamespace(train_iterations=0)
        return SimpleNamespace(model=self.model, device=torch.device("cpu"), use_dataset_transforms=False, clock=clock)


class Untrained(Job):
    """The run's method before any training."""

    kind = "untrained"

    def __init__(self, subject: Subject, seed: int) -> None:
        settings = {name: value for name, value in subject.config.settings.items() if name not in TRAINING}
        key = subject.key("precision", "eval_precision", "strategy") | {"settings": settings, "seed": seed}
        super().__init__(subject, f"{subject.label}: untrained", key)
        self.seed = seed

    def strategy(self) -> Any:
        """The run's strategy, not trained."""
        return self.subject.recipe.build(seed=self.seed, **self.subject.machine)


class IID(Job):
    """The run's recipe on the whole stream at once."""

    kind = "iid"

    def __init__(self, subject: Subject) -> None:
        options = ("precision", "eval_precision", "strategy", "seed", "settings")
        key = subject.key(*options) | {"images": subject.images}
        super().__init__(subject, f"{subject.label}: iid", key)

    def strategy(self) -> Any:
        """The run's strategy, trained jointly."""
        return self.subject.trained_jointly(self.subject.recipe, self.subject.images)


class SupervisedIID(Job):
    """The run's encoder trained on the labels of the whole stream at once."""

    kind = "supervised"

    def __init__(self, subject: Subject) -> None:
        given = subject.config.settings
        self.settings = {name: given[name] for name in SHARED if given.get(name) is not None} | JOINT
        self.images = subject.views or subject.images  # a step sees one view of an image
        options = ("precision", "eval_precision", "seed")
        key = subject.key(*options) | {"images": self.images, "settings": self.settings}
        super().__init__(subject, f"{subject.label}: supervised, iid", key)

    def strategy(self) -> Any:
        """The supervised strategy, trained jointly."""
        from avalanche_ssl.recipes import load_recipe
        from avalanche_ssl.streams import class_index

        benchmark = self.subject.benchmark
        names = benchmark.class_names or class_index(benchmark, [e.dataset for e in benchmark.train_stream])
        classes = {"classes": max(2, len(names))}
        return self.subject.trained_jointly(load_recipe("supervised").override(self.settings | classes), self.images)
