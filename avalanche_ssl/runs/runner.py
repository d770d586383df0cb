"""The main job: train on a stream, probe it, show progress, and leave the files of a run in a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import SaveInterval, write_encoder
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import training_cost
from avalanche_ssl.files import locked
from avalanche_ssl.logging import CostEvent, EndEvent
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.rng import seed_all
from avalanche_ssl.runs.artifacts import write_artifacts
from avalanche_ssl.runs.assembly import RunParts, assemble
from avalanche_ssl.runs.baselines import chance_of, measure_baselines
from avalanche_ssl.runs.build import build_benchmark, resolve, with_decided_options
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.console import experience_head, experience_line, print_end, print_report, status
from avalanche_ssl.runs.correctness import write_correctness
from avalanche_ssl.runs.diagnosis import check_alive, check_trained, where
from avalanche_ssl.runs.folder import (
    check_out,
    claim,
    contents,
    default_out,
    is_finished,
    remove_checkpoints,
    start_folder,
    write_config,
)
from avalanche_ssl.runs.origin import Origin, begin_from, starting_point
from avalanche_ssl.runs.stream_images import say_images
from avalanche_ssl.runs.stream_options import scored_part
from avalanche_ssl.runs.summary import percent, start_name
from avalanche_ssl.streams import has_labels, online_stream, training_stream


def run(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: str = "10min",
    keep_checkpoints: bool = False,
    started: float | None = None,
) -> Path:
    """Train a strategy on a stream, as `avalanche-ssl run` does; read the result with `read_run`.

    Args:
        config: what is trained on which stream.
        out: folder of the run; None: `runs/STRATEGY-BENCHMARK-sSEED`.
        overwrite: replace a run that is there already.
        resume: continue from the checkpoint in `out`, if there is one; a finished run is left as it is.
        checkpoint_every: how often a checkpoint is written inside an experience, see `SaveInterval.parse`.
        keep_checkpoints: keep the checkpoints when the run is finished.
        started: `time.perf_counter()` when the caller began to import; its time is logged.

    Returns:
        The folder.

    Raises:
        UsageError: an option is wrong, or the run cannot go on; the message says why and where its last checkpoint is.
        RunInterruptedError: a signal came, and the state is saved.
    """
    began = time.perf_counter() if started is None else started
    folder = default_out(config) if out is None else Path(out)
    distributed.on_main(lambda: check_out(folder, overwrite or resume))
    if resume and distributed.on_main(lambda: is_finished(folder)):
        print(f"{folder} is finished: nothing is left to train")
        return folder
    SaveInterval.parse(checkpoint_every)
    config, recipe = resolve(config)
    origin = starting_point(config, recipe, folder, resume)
    imported = time.perf_counter()
    with status("preparing data"):
        benchmark = build_benchmark(config)
    config = with_decided_options(config, benchmark)
    if config.probe_every_images and not has_labels(benchmark):
        raise UsageError("--probe-every-images: the stream has no labels to fit and score probes on; leave it out")
    before = {"import": imported - began, "data": time.perf_counter() - imported}
    train(
        recipe,
        benchmark,
        config,
        folder,
        origin=origin,
        every=checkpoint_every,
        resume=resume,
        keep_checkpoints=keep_checkpoints,
        before=before,
    )
    return folder


def train(
    recipe: Recipe,
    benchmark: Any,
    config: RunConfig,
    out: Path,
    *,
    origin: Origin,
    every: str = "10min",
    resume: bool = False,
    keep_checkpoints: bool = True,
    before: Mapping[str, float] = {},
) -> None:
    """Train on a stream that is built already.

    A stream without labels cannot be probed: `accuracy.csv` and `accuracy.png` are missing then.

    Args:
        recipe: what is trained.
        benchmark: the stream.
        config: all options; a resumed run must have the same.
        out: the folder of the run.
        origin: what it starts from.
        every, resume, keep_checkpoints: as for `run`.
        before: seconds that were spent before, by what they were spent on; logged at the end.

    Raises:
        UsageError, RunInterruptedError: as `run`.
    """
    lock = ExitStack()

    def begin() -> None:
        claim(out)
        lock.enter_context(locked(out))

    try:
        distributed.on_main(begin)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    with lock:
        try:
            running = assemble(recipe, benchmark, config, out, every, origin)
            _begin(running, resume)
            _train_stream(running)
            _finish(running, before)
            if not keep_checkpoints and distributed.is_main():
                remove_checkpoints(out)
            print(f"files in {out}: {', '.join(distributed.on_main(lambda: contents(out)))}")
            check_trained(running.strategy, running.recipe.build_method(config.seed), running.monitor, running.probe)
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}; make room, then --resume") from error


def _begin(run: RunParts, resume: bool) -> None:
    """Resume the run, or start its folder and probe the untrained encoder."""
    config = run.config
    resumed = resume and run.checkpointer.resume()
    if resumed:
        distributed.on_main(lambda: write_config(run.out, config))  # the data may lie elsewhere now
    else:
        distributed.on_main(lambda: start_folder(run.out, config))
        run.logs.begin(config, run.benchmark, run.probe, run.checkpointer.stream_hash)
        seed_all(config.seed)  # of what Avalanche draws from the global random states, e.g. the images it remembers
    how = f"{config.device}, {config.precision}, {run.recipe.encoder}{', compiled' * config.compile}"
    print(f"{config.title} ({how}) -> {run.out}")
    say_images(run.strategy, run.benchmark, config)
    begin_from(run.origin, run.strategy)
    if resumed:
        print(
            f"resumed after {run.strategy.clock.train_iterations} steps, {run.checkpointer.done} experiences complete"
        )
    elif run.probe:
        with status(f"probing the {run.origin.encoder}"):
            run.probe.measure(run.strategy)
            run.logs.flush_metrics(run.strategy)
            run.progress.probe_seconds, run.progress.probed = run.probe.eval_seconds, 1  # until there are others
            if run.snapshots:
                run.snapshots.save(0, run.probe.latest)
            for event in measure_baselines(run.probe, run.strategy, run.benchmark, run.origin.baseline):
                run.logs.events(event)
        print(f"{run.origin.encoder}: all {percent(float(np.mean(run.probe.untrained('all'))))} %")
    if not run.probe:
        print("the stream has no labels: nothing to probe, watch the loss")


def _train_stream(run: RunParts) -> None:
    """Train on every experience that is not complete yet; log, print and save after each."""
    config, progress = run.config, run.progress
    try:
        print(experience_head(progress, run.probe))
        with run.checkpointer.signals():
            for experience in run.checkpointer.stream(training_stream(run.benchmark, config.regime)):
                with progress.watch(run.checkpointer.done):
                    run.strategy.train(
                        _cut(run, experience),
                        eval_streams=[],
                        num_workers=config.num_workers,
                        shuffle=run.shuffle or config.online_batch_size > 0,
                    )
                assert progress.last is not None
                run.logs.events(progress.last)
                if run.probe and run.snapshots and run.probe.measured:
                    run.snapshots.save(progress.trained, run.probe.latest)
                    write_correctness(run.out, run.probe.probes[0].name, run.probe.correct)
                if distributed.is_main():
                    write_encoder(run.out / "encoder.pt", run.strategy.model.encoder.state_dict())
                print(experience_line(progress, run.probe), flush=True)
                check_alive(run.monitor, run.strategy)
    except UsageError as error:
        raise UsageError(f"{error}; {where(run.strategy, run.monitor, run.checkpointer)}") from error


def _cut(run: RunParts, experience: Any) -> Any:
    """The experience, or its mini-batches, in which the order does not matter."""
    size = run.config.online_batch_size
    if not size:
        return experience
    boundaries = run.config.access_task_boundaries
    return online_stream(experience, size, seed=run.config.seed, access_task_boundaries=boundaries, shuffle=run.shuffle)


def _finish(run: RunParts, before: Mapping[str, float]) -> None:
    """Log what the run has cost, print the report, and write tables and figure."""
    progress, probe = run.progress, run.probe
    clocks = {
        "train_seconds": progress.seconds,
        "seconds": run.checkpointer.seconds + sum(before.values()),
        "checkpoint_seconds": run.checkpointer.writing,
        "probe_seconds": probe.eval_seconds if probe else 0.0,
        **{f"{name}_seconds": value for name, value in before.items()},
    }
    run.logs.events(CostEvent(**training_cost(run.strategy, progress.example, progress.images, progress.steps)))
    times = {name: round(value, 3) for name, value in clocks.items()}
    run.logs.events(EndEvent(images_trained=progress.images, **times))
    run.logs.write_hyperparameters(run.config, probe, run.strategy.clock.train_iterations)
    if probe:
        chance, start = chance_of(run.benchmark, probe), start_name(vars(run.config))
        print_report(probe, chance, scored_part(run.config.eval_on), start)
        with status("drawing"):
            distributed.on_main(lambda: write_artifacts(run.out, run.config.title, probe, chance, start))
    print_end(progress, run.monitor.events[-1] if run.monitor.events else None, clocks)
