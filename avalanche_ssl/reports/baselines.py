"""What are a run's numbers to be measured against? Reference accuracies under its own probes, computed once and kept.

- raw pixels: the probes on the images themselves, sides above 16 pixels averaged down to that;
- untrained: the run's method before any training, five initialisations;
- iid: the run's recipe on the whole stream at once, for as many images as the run has learnt, with its seed;
- supervised: the run's encoder trained on the labels in the same way.

Each is a JSON file in the cache, whose name has a hash of every setting that matters to it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import avalanche_ssl
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.runs.reader import Run

Rows = dict[tuple[str, str], NDArray[np.float64]]
"""Accuracies (T,) by probe and scope."""

INITIALISATIONS = 5

SIDE = 16
"""Pixels of an image side at most: ridge regression on all of 32x32 takes minutes for each fit."""

TRAINING = ("batch_size", "epochs", "optimizer", "lr", "weight_decay", "schedule", "max_grad_norm")
"""Settings that do not matter to an untrained encoder."""

SHARED = ("encoder", "batch_size", "epochs", "schedule")
"""Settings that the supervised reference takes from the run."""

AT_ONCE = {"hidden_dim": 0, "lr": 0.001}
"""Settings of its recipe that are made for streams, as they are best where nothing can be forgotten."""


@dataclass
class Reference:
    """Accuracies to compare with, one or several times over."""

    label: str
    repeats: list[Rows]

    def averages(self, probe: str, scope: str) -> list[float]:
        """Average accuracy of each repeat that has a protocol."""
        return [float(rows[probe, scope].mean()) for rows in self.repeats if (probe, scope) in rows]


class Job(NamedTuple):
    """One repeat of a reference."""

    label: str
    kind: str
    key: dict[str, Any]
    """All settings that matter."""
    compute: Callable[[], Rows]


def references(label: str, runs: list[Run], folder: Path, say: Callable[[str], None] = print) -> list[Reference]:
    """All references of runs that differ in their seed only, from the cache or computed and put there.

    Args:
        label: of the runs.
        runs: finished ones.
        folder: the cache.
        say: told what is computed.

    Raises:
        UsageError: a run is unfinished, or its strategy or data are not here any more; the cache cannot be written.
    """
    found: dict[str, dict[Path, Rows]] = {}
    for run in runs:
        for job in _jobs(label, run):
            path, rows = _kept(job, folder, say)
            found.setdefault(job.label, {})[path] = rows
    return [Reference(name, list(repeats.values())) for name, repeats in found.items()]


def _jobs(label: str, run: Run) -> list[Job]:
    from avalanche_ssl.probes.protocols import get_protocol
    from avalanche_ssl.recipes.loading import load_recipe
    from avalanche_ssl.runs.build import _benchmark, _machine
    from avalanche_ssl.runs.config import DEFAULTS

    if not run.finished or not run.end or not run.config.get("settings"):
        raise UsageError(f"{run.folder} is unfinished, or its configuration is not known: finish it with --resume")
    config = DEFAULTS | run.config
    settings, seed, images = config["settings"], config["seed"], int(run.end["images"])
    recipe = load_recipe(config["strategy"]).override(settings)
    device, precision = _machine("auto", config["precision"])
    probes = [name for name in config["probes"].split(",") if not get_protocol(name).online]
    stream = {name: config[name] for name in ("benchmark", "data", "stream")} | {"probes": probes}
    encoded = stream | {"precision": config["precision"]}
    mine = encoded | {"strategy": config["strategy"]}
    untrained = {name: value for name, value in settings.items() if name not in TRAINING}
    labeled = {name: settings[name] for name in SHARED} | AT_ONCE
    whole = {"seed": seed, "images": images}

    @cache
    def benchmark() -> Any:
        return _benchmark(config)

    def built(recipe: Any, seed: int) -> Any:
        return recipe.build(seed=seed, device=device, precision=precision)

    def pixels() -> Rows:
        return _measured(_pixels(), benchmark(), probes)

    def fresh(seed: int) -> Rows:
        return _measured(built(recipe, seed), benchmark(), probes)

    def parallel_map(recipe: Any) -> Rows:
        data = _joined(benchmark())
        epochs = max(1, round(images / len(data.dataset)))
        strategy = built(recipe.override({"epochs": epochs}), seed)
        strategy.train(data, eval_streams=[])
        return _measured(strategy, benchmark(), probes)

    def supervised() -> Rows:
        classes = {"classes": max(2, len(benchmark().class_names))}
        return parallel_map(load_recipe("supervised").override(labeled | classes))

    starts = [
        Job(f"{label}: untrained", "untrained", mine | {"settings": untrained, "seed": s}, partial(fresh, s))
        for s in range(INITIALISATIONS)
    ]
    return [
        Job(f"raw pixels, {SIDE}x{SIDE}", "pixels", stream | {"side": SIDE}, pixels),
        *starts,
        Job(f"{label}: iid", "iid", mine | whole | {"settings": settings}, partial(parallel_map, recipe)),
        Job(f"{label}: supervised, iid", "supervised", encoded | whole | {"settings": labeled}, supervised),
    ]


def _pixels() -> Any:
    """What `ProbePlugin` takes for a strategy, with images (B, C, H, W) as features (B, C H W)."""
    import torch
    from torch.nn import functional as F

    class Pixels(torch.nn.Module):
        def extract_features(self, x: torch.Tensor) -> torch.Tensor:
            return F.adaptive_avg_pool2d(x.float() / 255, [min(side, SIDE) for side in x.shape[-2:]]).flatten(1)

    clock = SimpleNamespace(train_iterations=0)
    return SimpleNamespace(model=Pixels(), device=torch.device("cpu"), use_dataset_transforms=False, clock=clock)


def _joined(benchmark: Any) -> Any:
    """All experiences as one."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils import concat_datasets

    whole = concat_datasets([experience.dataset for experience in benchmark.train_stream])
    return benchmark_from_datasets(train=[whole], test=[]).train_stream[0]


def _measured(strategy: Any, benchmark: Any, probes: list[str]) -> Rows:
    from avalanche_ssl.plugins.probe import ProbePlugin

    plugin = ProbePlugin(benchmark, probes=probes)
    found = plugin.accuracies(strategy, seen=len(plugin.train))
    return {(name, scope): row for name, scopes in found.items() for scope, row in scopes.items()}


def _kept(job: Job, folder: Path, say: Callable[[str], None]) -> tuple[Path, Rows]:
    """From the cache; a file that is damaged or of other settings is written anew."""
    key = json.loads(json.dumps({"version": avalanche_ssl.__version__} | job.key, default=str))
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{job.kind}-{name}.json"
    rows = _read(path, key)
    if rows is None:
        say(f"computing a reference, {job.label} -> {path}")
        rows = job.compute()
        _write(path, key, rows)
    return path, rows


def _read(path: Path, key: dict[str, Any]) -> Rows | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        rows = {(str(r["probe"]), str(r["scope"])): np.array(r["accuracies"], np.float64) for r in kept["rows"]}
        return rows if kept["key"] == key and rows else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, key: dict[str, Any], rows: Rows) -> None:
    listed = [
        {"probe": probe, "scope": scope, "accuracies": [None if math.isnan(a) else a for a in row.tolist()]}
        for (probe, scope), row in rows.items()
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps({"key": key, "rows": listed}, indent=1).encode())
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): give another --cache") from error
