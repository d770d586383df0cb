"""Transfer: the encoder of a run, frozen, probed on another stream beside the untrained encoder and raw pixels."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from avalanche_ssl.data import distinct_images
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import Evaluator, RawPixels
from avalanche_ssl.files import file_sha256, locked
from avalanche_ssl.logging import TransferAccuracyEvent, TransferEndEvent, TransferEvent
from avalanche_ssl.probes import get_protocol
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.build import build_benchmark, check_probes, resolve_machine, run_of_folder
from avalanche_ssl.runs.config import HEADLINE_PROBES, RunConfig
from avalanche_ssl.runs.fine_tuning import pretrained_method
from avalanche_ssl.runs.grid_log import GridLog, make_folder
from avalanche_ssl.runs.labeled_data import StreamChoice, check_image_channels, stream_name
from avalanche_ssl.runs.stream_options import decisive_stream
from avalanche_ssl.streams import has_labels

RUN, UNTRAINED, PIXELS = "run", "untrained", RawPixels.name
"""Encoders that are probed."""


@dataclass(frozen=True)
class Transfer:
    """What probing gave.

    Args:
        path: of the log.
        accuracies: of each encoder, by probe; raw pixels have none by a probe with a readout.
        end: what it took.
        before: whether it was there already.
    """

    path: Path
    accuracies: dict[str, dict[str, float]]
    end: TransferEndEvent
    before: bool = False


def probe_run(
    folder: Path,
    stream: StreamChoice,
    probes: str = "",
    *,
    out: Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    strategy: str | None = None,
    trust_strategy: bool = False,
) -> Transfer:
    """Probe the encoder of a run on a stream, or read from the log what is complete already.

    Args:
        folder: the run, which stays as it is.
        stream: what to probe on; by default the stream of the run.
        probes: protocols, comma-separated; empty: the one that users of the benchmark report first.
        out: folder of the logs; None: `probe` in that of the run.
        overwrite: probe again what is complete.
        device, strategy, trust_strategy: as for `fine_tune_run`.

    Raises:
        UsageError: the run, the stream or a probe cannot be used, or the disk refuses.
    """
    device = resolve_machine(device, "fp32")[0]
    config, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    config = stream.config(config)
    config = replace(config, probes=probes or HEADLINE_PROBES.get(config.benchmark, "ridge"))
    names = _frozen_probes(config)
    method = pretrained_method(recipe, folder)
    settings = {
        "benchmark": config.benchmark,
        "data": config.data,
        **decisive_stream(config),
        "probes": names,
        "device": device,
        "seed": config.seed,
        "encoder_sha256": file_sha256(folder / "encoder.pt"),
    }
    out = out or folder / "probe"
    log = GridLog(out / _file_name(settings), TransferEvent(run=str(folder), settings=settings), TransferEndEvent)
    make_folder(out)
    with locked(out):
        if not overwrite and (before := _complete(log)):
            return before
        start = time.perf_counter()
        benchmark = build_benchmark(config)
        if not has_labels(benchmark):
            name = stream_name(config)
            raise UsageError(f"the stream {name} has no labels to probe on: give --benchmark or --data of one that has")
        check_image_channels(benchmark, method, config.benchmark)
        evaluator = Evaluator(benchmark, names, ("all",), seed=config.seed_of_stream)
        write, found = log.begin(), {}
        for name, model in _models(method, recipe, config.seed):
            of_model = evaluator
            if name == PIXELS and len(vectors := [n for n in names if not get_protocol(n).readout]) < len(names):
                of_model = Evaluator(benchmark, vectors, ("all",), seed=config.seed_of_stream)  # pixels have no maps
            found[name] = _accuracies(of_model, model.to(device), device)
            for probe, accuracy in found[name].items():
                write(TransferAccuracyEvent(encoder=name, probe=probe, accuracy=accuracy))
        end = TransferEndEvent(
            chance=1 / evaluator.n_classes,
            images=_count(evaluator.train),
            images_tested=_count(evaluator.test),
            seconds=time.perf_counter() - start,
        )
        write(end)
    return Transfer(log.path, found, end)


def _frozen_probes(config: RunConfig) -> list[str]:
    """The names of the probes.

    Raises:
        UsageError: one is not known, or is trained while the encoder is.
    """
    check_probes(config)
    names = config.probes.split(",")
    for name in names:
        protocol = get_protocol(name)
        if protocol.online or "all" not in protocol.scopes:
            raise UsageError(f"probe '{name}' is not fitted on all data of frozen features: take another, e.g. ridge")
    return names


def _file_name(settings: dict[str, Any]) -> str:
    """The file of a log: the benchmark, and a hash of what else decides the result."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return f"{settings['benchmark']}-{digest[:8]}.jsonl"


def _models(method: nn.Module, recipe: Recipe, seed: int) -> Iterator[tuple[str, nn.Module]]:
    yield RUN, method
    yield UNTRAINED, recipe.build_method(seed)
    yield PIXELS, RawPixels()


def _accuracies(evaluator: Evaluator, model: nn.Module, device: str) -> dict[str, float]:
    """Mean over the experiences by probe, fitted on all of them."""
    strategy = SimpleNamespace(model=model.eval(), device=torch.device(device), use_dataset_transforms=False)
    found = evaluator.evaluate(strategy, range(len(evaluator.train)), at_boundary=False).accuracies
    return {probe: float(np.mean(scopes["all"])) for probe, scopes in found.items()}


def _count(datasets: Sequence[Any]) -> int:
    """Images of several datasets, each counted once where they can be distinguished."""
    distinct = distinct_images(datasets)
    return sum(map(len, datasets)) if distinct is None else len(distinct.dataset)


def _complete(log: GridLog) -> Transfer | None:
    """What a log holds, if it is complete."""
    events = log.complete()
    if events is None or not isinstance(end := events[-1], TransferEndEvent):
        return None
    found: dict[str, dict[str, float]] = {}
    for event in events:
        if isinstance(event, TransferAccuracyEvent):
            found.setdefault(event.encoder, {})[event.probe] = event.accuracy
    return Transfer(log.path, found, end, before=True)
