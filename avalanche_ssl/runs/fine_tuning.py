"""Fine-tuning of the encoder of a run on the labeled data of its stream, or training from scratch to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.fine_tuning import FineTuning, fine_tune, stages_to_freeze
from avalanche_ssl.logging import FineTuningEpochEvent, FineTuningEvent, JSONLinesLogger
from avalanche_ssl.methods import Method
from avalanche_ssl.probes.label_subsets import keep_labels
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.build import build_benchmark, resolve_machine, run_of_folder
from avalanche_ssl.streams import class_index, has_labels

OnEpoch = Callable[[str, FineTuningEpochEvent], None]
"""Called with the protocol and the epoch that is complete."""


@dataclass(frozen=True)
class FineTuned:
    """What one protocol gave: the learning curve, and the seconds it took."""

    curve: list[FineTuningEpochEvent]
    seconds: float


def fine_tune_run(
    folder: Path,
    protocols: Sequence[str],
    settings: FineTuning,
    *,
    labels: float = 1.0,
    out: Path | None = None,
    strategy: str | None = None,
    trust_strategy: bool = False,
    on_epoch: OnEpoch | None = None,
) -> dict[str, FineTuned]:
    """Fine-tune the encoder of a run by each protocol, and log each to `finetune-PROTOCOL.jsonl`.

    Args:
        folder: the run, which stays as it is.
        protocols: "frozen", "first-K", "full" as in `FineTuning`, or "scratch" for an untrained encoder.
        settings: all but the protocol; its device may be "auto".
        labels: share of the training labels, class-balanced.
        out: folder of the logs; None: that of the run.
        strategy, trust_strategy: as for `run_of_folder`.
        on_epoch: called after each epoch.

    Returns:
        The learning curves by protocol.

    Raises:
        UsageError: the run, its data or its encoder cannot be used, a setting is wrong, or the disk refuses.
    """
    for name in protocols:
        stages_to_freeze(_protocol(name))
    settings = replace(settings, device=resolve_machine(settings.device, "fp32")[0])
    config, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    untrained, pretrained = _methods(recipe, folder / "encoder.pt", settings.seed)
    benchmark = build_benchmark(config)
    if not has_labels(benchmark):
        raise UsageError(f"the stream of {folder} has no labels to fine-tune on: give a run on a labeled stream")
    train, test = ([e.dataset for e in s] for s in (benchmark.train_stream, benchmark.test_stream))
    n_classes = len(benchmark.class_names or ())
    if not n_classes:
        classes = class_index(benchmark, train + test)
        train, test = ([classes.renumbered(d) for d in part] for part in (train, test))
        n_classes = len(classes)
    found = {}
    for name in protocols:
        log = _start_log(out or folder, name)
        kept = {option: value for option, value in asdict(settings).items() if option != "protocol"}
        log(FineTuningEvent(protocol=name, run=str(folder), settings=kept | {"labels": labels}))

        def note(epoch: FineTuningEpochEvent, name: str = name, log: JSONLinesLogger = log) -> None:
            log(epoch)
            if on_epoch:
                on_epoch(name, epoch)

        start = time.perf_counter()
        _, curve = fine_tune(
            untrained if name == "scratch" else pretrained,
            _labeled(train, labels, settings.seed),
            test,
            n_classes,
            replace(settings, protocol=_protocol(name)),
            on_epoch=note,
        )
        found[name] = FineTuned(curve, time.perf_counter() - start)
    return found


def _protocol(name: str) -> str:
    return "full" if name == "scratch" else name


def _methods(recipe: Recipe, weights: Path, seed: int) -> tuple[Method, Method]:
    """The method with an untrained encoder, and with that of the run."""
    encoder = read_encoder(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained, pretrained = recipe.build_method(), recipe.build_method()
    try:
        pretrained.encoder.load_state_dict(encoder)
    except RuntimeError as error:
        raise UsageError(f"cannot use {weights}: {' '.join(str(error).split())[:200]}") from error
    return untrained, pretrained


def _start_log(out: Path, name: str) -> JSONLinesLogger:
    path = out / f"finetune-{name}.jsonl"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): give another --out") from error
    return JSONLinesLogger(path)


def _labeled(datasets: list[Any], share: float, seed: int) -> list[Any]:
    """The images whose labels are kept."""
    kept = keep_labels([torch.from_numpy(class_labels(d)) for d in datasets], share, seed)
    parts = [d.subset((y >= 0).nonzero().flatten().tolist()) for d, y in zip(datasets, kept, strict=True)]
    return [p for p in parts if len(p)]
