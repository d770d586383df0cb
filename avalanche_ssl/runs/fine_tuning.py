"""Fine-tuning of the encoder of a run in a grid of protocols, heads, shares of labels and seeds, on any stream.

Each training of the grid has a log of its own, whose last line says that it is complete: a grid that is started again
trains what is missing.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.evaluation import FineTuning, fine_tune, frozen_parts
from avalanche_ssl.files import file_sha256, locked
from avalanche_ssl.logging import FineTuningEndEvent, FineTuningEpochEvent, FineTuningEvent
from avalanche_ssl.methods import Method
from avalanche_ssl.probes import keep_labels
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.build import build_benchmark, resolve_machine, run_of_folder
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.folder import encoder_file
from avalanche_ssl.runs.grid_log import GridLog, complete_cells, make_folder
from avalanche_ssl.runs.labeled_data import LabeledData, StreamChoice, labeled_data
from avalanche_ssl.runs.stream_options import decisive_stream

SCRATCH = "scratch"
"""The protocol that trains everything, from an untrained encoder."""


@dataclass(frozen=True)
class GridCell:
    """One training of a grid.

    Args:
        protocol: "frozen", "first-K" or "full" as in `FineTuning`, or "scratch".
        head: "linear" or "mlp".
        labels: share of the training labels, class-balanced.
        seed: of the labels that are kept, of head, crops and order, and of the weights of an untrained encoder.
        epochs: passes over the labeled data.
    """

    protocol: str
    head: Literal["linear", "mlp"]
    labels: float
    seed: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.protocol}, {self.head} head, {100 * self.labels:g} % of the labels, seed {self.seed}"

    @property
    def log_name(self) -> str:
        """Its log's name."""
        return f"finetune-{self.protocol}-{self.head}-{self.labels!r}-s{self.seed}.jsonl"

    def settings(self, others: FineTuning) -> FineTuning:
        """Those of the training, all that it leaves open taken from others."""
        protocol = "full" if self.protocol == SCRATCH else self.protocol
        return replace(others, protocol=protocol, head=self.head, seed=self.seed, epochs=self.epochs)


@dataclass(frozen=True)
class FineTuned:
    """What one training gave: how it ended, the learning curve, and whether it was complete before."""

    end: FineTuningEndEvent
    curve: list[FineTuningEpochEvent]
    before: bool = False


OnEpoch = Callable[[GridCell, FineTuningEpochEvent], None]
"""Called with each epoch that is complete."""
OnEnd = Callable[[GridCell, FineTuned], None]
"""Called with each training that is complete, and was not before."""


def grid(
    protocols: Sequence[str],
    heads: Sequence[Literal["linear", "mlp"]] = ("linear",),
    labels: Sequence[float] = (1.0,),
    seeds: Sequence[int] = (0,),
    epochs: Sequence[int] = (10,),
) -> list[GridCell]:
    """Every combination, one seed after the other.

    Args:
        protocols, heads, labels, seeds: as in `GridCell`, each once.
        epochs: one number for all, or one for each share of labels.

    Raises:
        UsageError: a value is unknown, out of its range or given twice, or the numbers of epochs do not fit.
    """
    passes = epochs_by_share(protocols, labels, seeds, epochs, heads)
    cells = [
        GridCell(protocol, head, float(share), seed, number)
        for seed, (share, number), head, protocol in itertools.product(
            seeds, zip(labels, passes, strict=True), heads, protocols
        )
    ]
    for cell in cells:
        cell.settings(FineTuning())
    return cells


def epochs_by_share(
    protocols: Sequence[str],
    labels: Sequence[float],
    seeds: Sequence[int],
    epochs: Sequence[int],
    heads: Sequence[str] = (),
) -> list[int]:
    """Epochs for each share of labels of a grid, whose values are checked.

    Raises:
        UsageError: a value is unknown, out of its range or given twice, or the numbers of epochs do not fit.
    """
    for name, values in (("protocol", protocols), ("head", heads), ("labels", labels), ("seeds", seeds)):
        if len(set(values)) < len(values):
            raise UsageError(f"--{name} {' '.join(map(str, values))}: give each once")
    for protocol in protocols:
        if protocol not in ("frozen", "full", SCRATCH) and not re.fullmatch("first-0*[1-9][0-9]*", protocol):
            raise unknown_name("protocol", protocol, ("frozen", "first-K with K from 1", "full", SCRATCH))
    for share in labels:
        if not 0 < share <= 1:
            raise UsageError(f"--labels {share:g}: give a share above 0 and at most 1")
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise UsageError(f"seed {seed}: give 0 or more")
    if len(epochs) not in (1, len(labels)):
        raise UsageError(f"--epochs {' '.join(map(str, epochs))}: give one number, or {len(labels)}, one per --labels")
    return [*epochs] if len(epochs) > 1 else [*epochs] * len(labels)


def default_out(folder: Path, stream: StreamChoice) -> Path:
    """The folder of the logs of a grid that names none; one of its own for each benchmark other than the run's."""
    return folder / ("finetune" if stream.is_own else f"finetune-{stream.benchmark or 'folder'}")


def fine_tune_run(
    folder: Path,
    cells: Sequence[GridCell],
    settings: FineTuning,
    *,
    stream: StreamChoice | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    strategy: str | None = None,
    trust_strategy: bool = False,
    on_epoch: OnEpoch | None = None,
    on_end: OnEnd | None = None,
) -> dict[GridCell, FineTuned]:
    """Fine-tune the encoder of a run for each cell of a grid, or read from the logs what is complete already.

    The test data are used to report, never to choose: the accuracy of a training is that after its last epoch.

    Args:
        folder: the run, which stays as it is.
        cells: see `grid`.
        settings: batch size, learning rate, when to test, and the device, which may be "auto".
        stream: what to fine-tune on; None: the stream of the run.
        out: folder of the logs; None: see `default_out`.
        overwrite: replace logs of other settings, and those that are complete.
        strategy, trust_strategy: as for `run_of_folder`.
        on_epoch, on_end: called with what is trained now.

    Returns:
        The results by cell, in their order.

    Raises:
        UsageError: the run, the data or the encoder cannot be used, a log is there of other settings, a setting is
            wrong, or the disk refuses; before anything is trained, but for the disk.
    """
    stream = stream or StreamChoice()
    settings = replace(settings, device=resolve_machine(settings.device, "fp32")[0])
    config, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    config = stream.config(config)
    pretrained = pretrained_method(recipe, folder)
    for cell in cells:
        frozen_parts(pretrained.encoder, cell.settings(settings).protocol)
    out = out or default_out(folder, stream)
    firsts = {cell: _event(cell, settings, config, folder) for cell in cells}
    logs = {cell: GridLog(out / cell.log_name, first, FineTuningEndEvent) for cell, first in firsts.items()}
    make_folder(out)
    with locked(out):
        found = complete_cells(logs, _complete, overwrite, out)
        if missing := [cell for cell in cells if cell not in found]:
            data = labeled_data(build_benchmark(config), pretrained, config)
            for cell in missing:
                method = untrained_method(recipe, cell.seed) if cell.protocol == SCRATCH else pretrained
                found[cell] = _train(method, data, cell, settings, logs[cell], on_epoch)
                if on_end:
                    on_end(cell, found[cell])
    return {cell: found[cell] for cell in cells}


def _train(
    method: Method,
    data: LabeledData,
    cell: GridCell,
    settings: FineTuning,
    log: GridLog,
    on_epoch: OnEpoch | None,
) -> FineTuned:
    """Train one cell, and log it from the start."""
    train = _labeled(data.train, cell.labels, cell.seed)
    write = log.begin()

    def note(epoch: FineTuningEpochEvent) -> None:
        write(epoch)
        if on_epoch:
            on_epoch(cell, epoch)

    start = time.perf_counter()
    _, curve = fine_tune(method, train, data.test, data.n_classes, cell.settings(settings), on_epoch=note)
    images, tested = (sum(map(len, part)) for part in (train, data.test))
    accuracy = curve[-1].accuracy
    assert accuracy is not None, "the last epoch is tested"
    end = FineTuningEndEvent(
        accuracy=accuracy,
        images=images,
        images_tested=tested,
        seconds=time.perf_counter() - start,
    )
    write(end)
    return FineTuned(end, curve)


def _complete(log: GridLog) -> FineTuned | None:
    """What a log holds, if it is complete."""
    events = log.complete()
    if events is None or not isinstance(end := events[-1], FineTuningEndEvent):
        return None
    return FineTuned(end, [event for event in events if isinstance(event, FineTuningEpochEvent)], before=True)


def _labeled(datasets: list[Any], share: float, seed: int) -> list[Any]:
    """The images whose labels are kept."""
    kept = keep_labels([torch.from_numpy(class_labels(d)) for d in datasets], share, seed)
    parts = [d.subset((y >= 0).nonzero().flatten().tolist()) for d, y in zip(datasets, kept, strict=True)]
    return [p for p in parts if len(p)]


def untrained_method(recipe: Recipe, seed: int) -> Method:
    """The method with an untrained encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return recipe.build_method()


def pretrained_method(recipe: Recipe, folder: Path) -> Method:
    """The method with the encoder of the run in a folder.

    Raises:
        UsageError: there are no weights yet, they cannot be read, or they are of another encoder.
    """
    weights = encoder_file(folder)
    encoder, method = read_encoder(weights), untrained_method(recipe, 0)
    own = method.encoder.state_dict()
    wrong = [name for name in {**own, **encoder} if name not in own or name not in encoder]
    wrong += [name for name in own if name in encoder and own[name].shape != encoder[name].shape]
    if wrong:
        raise UsageError(
            f"cannot use {weights}: {len(wrong):,} of {len(own):,} tensors do not fit the encoder of its config.yaml "
            f"({', '.join(wrong[:3])}): give a run whose files belong together"
        )
    method.encoder.load_state_dict(encoder)
    return method


def _event(cell: GridCell, settings: FineTuning, config: RunConfig, folder: Path) -> FineTuningEvent:
    """The first line of the log of a cell: all that decides its result."""
    noted = {
        "head": cell.head,
        "labels": cell.labels,
        "seed": cell.seed,
        "epochs": cell.epochs,
        "batch_size": settings.batch_size,
        "lr": settings.lr,
        "device": settings.device,
        "test_every": settings.test_every,
        "benchmark": config.benchmark,
        "data": config.data,
        **decisive_stream(config),
        "encoder_sha256": file_sha256(folder / "encoder.pt"),
    }
    return FineTuningEvent(protocol=cell.protocol, run=str(folder), settings=noted)
