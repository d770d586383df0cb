"""Detectors on the encoder of a run, in a grid of protocols, shares of labels and seeds: logs, precision and pictures.

Each training has a log of its own, whose last line says that it is complete: a grid that is started again trains what
is missing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avalanche_ssl.detection import (
    DetectionData,
    DetectionDataset,
    Detector,
    DetectorTraining,
    average_precision,
    draw_detections,
    find_backend,
    fit_detector,
    label_share,
    open_detection_data,
    predict,
)
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import frozen_parts
from avalanche_ssl.files import file_sha256, locked
from avalanche_ssl.logging import DetectionEndEvent, DetectionEpochEvent, DetectionEvent
from avalanche_ssl.methods import Method
from avalanche_ssl.rng import isolated
from avalanche_ssl.runs.build import resolve_machine, run_of_folder
from avalanche_ssl.runs.fine_tuning import SCRATCH, epochs_by_share, pretrained_method, untrained_method
from avalanche_ssl.runs.grid_log import GridLog, complete_cells, make_folder

IMAGES_SHOWN = 18
"""Test images in a picture, the first ones."""
PASSES = 16
"""Passes over the labeled images, if all are; with fewer labels as many passes as have as many images."""


@dataclass(frozen=True)
class DetectionCell:
    """One training of a grid.

    Args:
        protocol: "frozen", "first-K" or "full" as in `DetectorTraining`, or "scratch".
        labels: share of the training images.
        seed: of the images that are kept, of pyramid, heads and order, and of the weights of an untrained encoder.
        epochs: passes over the labeled images; None: see `PASSES`.
    """

    protocol: str
    labels: float
    seed: int
    epochs: int | None = None

    def __str__(self) -> str:
        return f"{self.protocol}, {100 * self.labels:g} % of the labels, seed {self.seed}"

    def name(self, detector: str) -> str:
        """Name of its log and picture, without the ending."""
        return f"detection-{self.protocol}-{detector}-{self.labels!r}-s{self.seed}"

    @property
    def freezing(self) -> str:
        """The protocol of `DetectorTraining`."""
        return "full" if self.protocol == SCRATCH else self.protocol


@dataclass(frozen=True)
class Detected:
    """What one training gave, and whether it was complete before."""

    end: DetectionEndEvent
    before: bool = False


OnEpoch = Callable[[DetectionCell, int, DetectionEpochEvent], None]
"""Called with each epoch that is complete, and how many there will be."""


def detection_grid(
    protocols: Sequence[str],
    labels: Sequence[float] = (1.0,),
    seeds: Sequence[int] = (0,),
    epochs: Sequence[int] | None = None,
) -> list[DetectionCell]:
    """Every combination, one seed after the other.

    Args:
        protocols, labels, seeds: as in `DetectionCell`, each once.
        epochs: one number for all, or one for each share of labels; None: see `PASSES`.

    Raises:
        UsageError: a value is unknown, out of its range or given twice, or the numbers of epochs do not fit.
    """
    passes: list[int | None] = [*epochs_by_share(protocols, labels, seeds, epochs or [1])]
    if epochs is None:
        passes = [None] * len(labels)
    cells = [
        DetectionCell(protocol, float(share), seed, number)
        for seed, (share, number), protocol in itertools.product(seeds, zip(labels, passes, strict=True), protocols)
    ]
    for cell in cells:
        DetectorTraining(protocol=cell.freezing, epochs=1 if cell.epochs is None else cell.epochs)
    return cells


def default_out(folder: Path, data: Path | None) -> Path:
    """The folder of the logs of a grid that names none; one of its own for each data folder."""
    return folder / ("detection" if data is None else f"detection-{data.resolve().name}")


def detect_run(
    folder: Path,
    cells: Sequence[DetectionCell],
    settings: DetectorTraining,
    *,
    data: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    strategy: str | None = None,
    trust_strategy: bool = False,
    on_data: Callable[[DetectionData], None] | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[DetectionCell, Detected]:
    """Train a detector on the encoder of a run for each cell of a grid, or read from the logs what is complete already.

    The test images are used once, after the last epoch of a training.

    Args:
        folder: the run, which stays as it is.
        cells: see `detection_grid`.
        settings: detector, batch size, learning rate and images; its device may be "auto".
        data: folder of VOC or COCO; None: the embedded scenes.
        out: folder of logs and pictures; None: see `default_out`.
        overwrite: replace logs of other settings, and those that are complete.
        strategy, trust_strategy: as for `run_of_folder`.
        on_data: called with the data, before training.
        on_epoch: called after each epoch.

    Returns:
        The results by cell, in their order.

    Raises:
        UsageError: the run, the data or the encoder cannot be used, a package is missing, a log is there of other
            settings, or the disk refuses; before anything is trained, but for the disk.
    """
    find_backend()
    settings = replace(settings, device=resolve_machine(settings.device, "fp32")[0])
    _, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    pretrained = pretrained_method(recipe, folder)
    for cell in cells:
        frozen_parts(pretrained.encoder, cell.freezing)
    with isolated():
        Detector(pretrained, 1, settings.detector)  # an encoder without maps shows now
    out = out or default_out(folder, data)
    firsts = {cell: _event(cell, settings, folder, data) for cell in cells}
    logs = {c: GridLog(out / f"{c.name(settings.detector)}.jsonl", firsts[c], DetectionEndEvent) for c in cells}
    make_folder(out)
    with locked(out):
        found = complete_cells(logs, _complete, overwrite, out)
        if missing := [cell for cell in cells if cell not in found]:
            parts = open_detection_data(data)
            if on_data:
                on_data(parts)
            for cell in missing:
                method = untrained_method(recipe, cell.seed) if cell.protocol == SCRATCH else pretrained
                found[cell] = Detected(_train(method, parts, cell, settings, logs[cell], on_epoch))
    return {cell: found[cell] for cell in cells}


def _train(
    method: Method,
    data: DetectionData,
    cell: DetectionCell,
    settings: DetectorTraining,
    log: GridLog,
    on_epoch: OnEpoch | None,
) -> DetectionEndEvent:
    """Train one cell, log it from the start, and draw what it finds."""
    labeled = label_share(data.train, cell.labels, cell.seed)
    epochs = cell.epochs or max(1, round(PASSES * len(data.train) / len(labeled)))
    settings = replace(settings, protocol=cell.freezing, epochs=epochs, seed=cell.seed)
    write = log.begin()

    def note(epoch: DetectionEpochEvent) -> None:
        write(epoch)
        if on_epoch:
            on_epoch(cell, epochs, epoch)

    start = time.perf_counter()
    detector = fit_detector(method, labeled, settings, note)
    found = predict(detector, data.test, settings.batch_size)
    precision = average_precision(found, data.test.targets)
    seconds = time.perf_counter() - start
    _draw(log.path.with_suffix(".png"), data.test, found, f"{cell}: AP50 {100 * precision.ap50:.1f} %")
    end = DetectionEndEvent(
        **precision._asdict(), images=len(labeled), images_tested=len(data.test), epochs=epochs, seconds=seconds
    )
    write(end)
    return end


def _draw(path: Path, data: DetectionDataset, found: Sequence[Any], title: str) -> None:
    rows = range(min(IMAGES_SHOWN, len(data)))
    images, targets = zip(*(data[row] for row in rows), strict=True)
    try:
        draw_detections(path, images, targets, [found[row] for row in rows], data.class_names, title)
    except OSError as error:
        raise UsageError(f"cannot write {path} ({error.strerror}): make room or get permission") from error


def _event(cell: DetectionCell, settings: DetectorTraining, folder: Path, data: Path | None) -> DetectionEvent:
    """The first line of the log of a cell: all that decides its result."""
    noted = {
        "detector": settings.detector,
        "labels": cell.labels,
        "seed": cell.seed,
        "epochs": cell.epochs,
        "batch_size": settings.batch_size,
        "lr": settings.lr,
        "device": settings.device,
        "image_size": settings.image_size,
        "flip": settings.flip,
        "scales": list(settings.scales),
        "jitter": settings.jitter,
        "data": None if data is None else str(data.resolve()),
        "encoder_sha256": file_sha256(folder / "encoder.pt"),
    }
    return DetectionEvent(protocol=cell.protocol, run=str(folder), settings=noted)


def _complete(log: GridLog) -> Detected | None:
    """How the training of a log ended, if it did."""
    events = log.complete()
    return Detected(events[-1], before=True) if events and isinstance(events[-1], DetectionEndEvent) else None
