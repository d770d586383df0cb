"""The main job behind run.py: learn a stream, probe, show progress, write the run's files."""

import math
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import avalanche_ssl
from avalanche_ssl.checkpointing.checkpointer import Checkpointer
from avalanche_ssl.checkpointing.encoder_weights import write_encoder
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.cost import training_cost
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.files import locked
from avalanche_ssl.logging.jsonl import JSONLinesLogger
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.plugins.progress import Progress
from avalanche_ssl.plugins.replay import _replay
from avalanche_ssl.recipes.recipe import Recipe
from avalanche_ssl.rng import _seed
from avalanche_ssl.runs.console import _parts, _report
from avalanche_ssl.runs.embeddings import EmbeddingSnapshots
from avalanche_ssl.runs.folder import FILES, _open
from avalanche_ssl.runs.summary import percent
from avalanche_ssl.streams import online_stream

SIGNS = ("feature_std", "rankme", "alignment", "uniformity", "drift_cka")

ROWS = 40
"""A stream of more experiences is probed after as many of them at most, unless the user says how often."""

DEAD = 0.001
"""Share of the healthy standard deviation of unit features below which nothing can be learnt any more."""


def train(
    recipe: Recipe,
    benchmark: Any,
    config: dict[str, Any],
    out: Path,
    *,
    every: str = "10min",
    resume: bool = False,
    before: Mapping[str, float] = {},
) -> None:
    """Learn the whole stream and leave config.yaml, log.jsonl, accuracy.csv, accuracy.png and a checkpoint in `out`.

    A stream without labels cannot be probed: of it, accuracy.csv and accuracy.png are not left.

    Args:
        recipe: what learns.
        benchmark: the stream.
        config: all settings; a resumed run must have the same.
        out: the run's folder.
        every: how often a checkpoint is written inside an experience, see `SaveInterval.parse`.
        resume: go on from the checkpoint in `out`, if there is one.
        before: seconds that were spent before, by what they were spent on; told at the end.

    Raises:
        UsageError: the run cannot go on; the message says why and where its last checkpoint is.
        RunInterruptedError: a signal came, and the state is saved.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = ExitStack()
        lock.enter_context(locked(out))
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    with lock:
        try:
            _train(recipe, benchmark, config, out, every, resume, before)
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}; make room, then --resume") from error


def _train(
    recipe: Recipe,
    benchmark: Any,
    config: dict[str, Any],
    out: Path,
    every: str,
    resume: bool,
    before: Mapping[str, float],
) -> None:
    log = JSONLinesLogger(out / "log.jsonl")
    names = config["probes"].split(",")
    at = ProbeSchedule.parse(config["probe_every"]) if config["probe_every"] else None
    boundaries = config["probe_boundaries"] or -(-len(benchmark.train_stream) // ROWS)
    probe = (
        ProbePlugin(benchmark, probes=names, points=at, log=log, boundaries=boundaries)
        if benchmark.class_names
        else None
    )
    shuffle = not getattr(benchmark, "ordered", False)
    progress = Progress(len(benchmark.train_stream))
    vitals = RepresentationMonitor(benchmark, log=log, boundaries=boundaries)
    device, precision = config["device"], config["precision"]
    given = [progress, _replay(config), vitals, probe]
    strategy = recipe.build(
        seed=config["seed"],
        device=device,
        precision=precision,
        compile=config["compile"],
        on_nan=config["on_nan"],
        plugins=[plugin for plugin in given if plugin],
    )
    settings = {name: value for name, value in config.items() if name != "workers"}  # they change no result
    checkpoints = Checkpointer(
        out / "checkpoint", strategy, benchmark.train_stream, every=every, config=settings, log=log
    )
    name = f"{Path(config['strategy']).stem} on {config['benchmark']}, seed {config['seed']}"
    resumed = resume and checkpoints.resume()
    if not resumed:
        _open(out, config)
        log("run", name=name, config=config, device=device, precision=precision, versions=_versions())
        _seed(config["seed"])
    encoder = f"{recipe.encoder}, compiled" if config["compile"] else recipe.encoder
    print(f"{name} ({device}, {precision}, {encoder}) -> {out}")
    gallery = EmbeddingSnapshots(probe.test, out) if probe else None
    if resumed:
        print(f"resumed after {strategy.clock.train_iterations} steps, {checkpoints.done} experiences complete")
    elif probe and gallery:
        probe.measure(strategy)
        gallery.save(0, probe.latest)
        print(f"untrained encoder: all {percent(float(np.mean(probe.untrained('all'))))} %")
    if not probe:
        print("the stream has no labels: nothing to probe, watch the loss")
    try:
        with checkpoints.signals():
            for experience in checkpoints.stream(benchmark.train_stream):
                part = _cut(experience, config, shuffle)
                with progress.watch(len(experience.dataset) * recipe.epochs):
                    strategy.train(
                        part, eval_streams=[], num_workers=config["workers"], shuffle=shuffle or config["online"] > 0
                    )
                log("experience", **progress.last)
                if probe and gallery and probe.measured:
                    gallery.save(progress.learnt, probe.latest)
                write_encoder(out / "encoder.pt", strategy.model.encoder.state_dict())
                print(progress.line(probe))
                _check_alive(vitals)
    except UsageError as error:
        raise UsageError(f"{error}; {_where(checkpoints, vitals, strategy)}") from error
    clocks = {
        "train_seconds": progress.seconds,
        "seconds": checkpoints.seconds + sum(before.values()),
        "checkpoint_seconds": checkpoints.writing,
        "probe_seconds": probe.eval_seconds if probe else 0.0,
        **{f"{name}_seconds": value for name, value in before.items()},
    }
    log("spent", **training_cost(strategy, progress.example, progress.images, progress.steps))
    log("end", images=progress.images, **{name: round(value, 3) for name, value in clocks.items()})
    if probe:
        _report(probe, out, name)
    print(f"\ntraining {progress.seconds:.1f} s, {progress.rate:,.0f} images/s", end="; ")
    print(f"everything {clocks['seconds']:.1f} s, of it {_parts(clocks)}")
    print(f"files in {out}: {', '.join(f for f in FILES if (out / f).exists())}")


def _cut(experience: Any, config: dict[str, Any], shuffle: bool) -> Any:
    """The experience, or its mini-batches, in which the order does not matter."""
    size = config["online"]
    return online_stream(experience, size, seed=config["seed"], shuffle=shuffle) if size else experience


def _check_alive(vitals: RepresentationMonitor) -> None:
    """Stop a run whose features have collapsed beyond recovery: of identical features no loss has a useful gradient."""
    event = vitals.events[-1] if vitals.events else {}
    std = event.get("feature_std", 1.0)
    if std < DEAD / math.sqrt(event.get("dim", 1)):
        raise UsageError(
            f"the features have collapsed beyond recovery after experience {event['trained']}: lower lr, or look at "
            "temperature, momentum and batch_size"
        )


def _where(checkpoints: Checkpointer, vitals: RepresentationMonitor, strategy: Any) -> str:
    """What someone wants to know of a run that was stopped by a fault."""
    signs = ", ".join(f"{k} {v:.3g}" for k, v in vitals.events[-1].items() if k in SIGNS) if vitals.events else ""
    health = f" after experience {vitals.events[-1]['trained']}: {signs}" if signs else ": none measured yet"
    last = f"step {checkpoints.saved_at}, {checkpoints.path}" if checkpoints.saved_at is not None else "none"
    return f"stopped after step {strategy.clock.train_iterations}; vital signs{health}; last good checkpoint: {last}"


def _versions() -> dict[str, str]:
    packages = ("torch", "torchvision", "avalanche-lib", "numpy")
    return {
        "avalanche-ssl": avalanche_ssl.__version__,
        "python": platform.python_version(),
    } | {p: version(p) for p in packages}
