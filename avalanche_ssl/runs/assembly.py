"""The parts of a run, put together before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.plugins import ProbePlugin, Progress, RepresentationMonitor, build_plugins
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.config_file import checkpoint_of_today
from avalanche_ssl.runs.embeddings import EmbeddingSnapshots
from avalanche_ssl.runs.folder import CHECKPOINT
from avalanche_ssl.runs.live import LiveLogs, live_logs
from avalanche_ssl.runs.origin import Origin
from avalanche_ssl.runs.planning import planned_progress, probing_times
from avalanche_ssl.runs.processes import check_same_everywhere
from avalanche_ssl.runs.stream_images import for_images_of
from avalanche_ssl.streams import has_labels


@dataclass
class RunParts:
    """What belongs to a run while it lasts."""

    config: RunConfig
    recipe: Recipe
    benchmark: Any
    out: Path
    logs: LiveLogs
    progress: Progress
    monitor: RepresentationMonitor
    probe: ProbePlugin | None
    snapshots: EmbeddingSnapshots | None
    strategy: Any
    checkpointer: Checkpointer
    origin: Origin

    @property
    def shuffle(self) -> bool:
        """Whether the images of an experience come in random order."""
        return not getattr(self.benchmark, "ordered", False)


def assemble(recipe: Recipe, benchmark: Any, config: RunConfig, out: Path, every: str, origin: Origin) -> RunParts:
    """Strategy, plugins and checkpointer."""
    recipe, config, shapes = for_images_of(benchmark, recipe, config)
    logs = live_logs(config, out, has_labels(benchmark))
    often, schedule = probing_times(config, benchmark)
    options: dict[str, Any] = {"log": logs.events, "every_experiences": often, "precision": config.eval_precision}
    probing = {"probes": config.probes.split(","), "schedule": schedule, "seed": config.seed_of_stream} | options
    probe = ProbePlugin(benchmark, **probing) if has_labels(benchmark) else None
    progress = planned_progress(config, benchmark, recipe.epochs)
    monitor = RepresentationMonitor(benchmark, **options)  # after the probe, whose features it reads
    strategy = recipe.build(
        seed=config.seed,
        device=config.device,
        precision=config.precision,
        compile=config.compile,
        on_nan=config.on_nan,
        init=origin.weights,
        plugins=[progress, *build_plugins(config.plugins), *([probe] if probe else []), monitor],
        evaluator=logs.evaluator,
    )
    strategy.try_shapes(shapes)
    checkpointer = Checkpointer(
        out / CHECKPOINT,
        strategy,
        benchmark.train_stream,
        test_stream=benchmark.test_stream,
        class_names=benchmark.class_names,
        every=every,
        config=config.decisive,
        config_of_today=partial(checkpoint_of_today, benchmark=config.benchmark),
        log=logs,
    )
    check_same_everywhere(config, checkpointer)
    snapshots = None
    if probe and distributed.is_main():
        snapshots = EmbeddingSnapshots(probe.test, out, classes=probe.classes, names=benchmark.class_names)
    return RunParts(
        config, recipe, benchmark, out, logs, progress, monitor, probe, snapshots, strategy, checkpointer, origin
    )
