"""`avalanche-ssl finetune --task detection`: detectors on the encoder of a run, beside those trained from scratch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.detection import DetectionData
    from avalanche_ssl.logging import DetectionEpochEvent
    from avalanche_ssl.reports.fine_tuning_table import Measurement
    from avalanche_ssl.runs.detection import Detected, DetectionCell

OF_CLASSIFICATION = ("head", "benchmark", "benchmark_option", "test_every")
OF_DETECTION = ("detector", "image_size", "flip")
"""Options of one task only."""

METRICS = ("AP50", "AP", "AP75")
"""Rows of the table."""

SHOWN = 10
"""Epochs of a training that are printed, at most."""


def add_detection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of detection to those of the command."""
    add = parser.add_argument_group("of --task detection").add_argument
    add("--detector", default="fcos", metavar="NAME", help="fcos, retinanet or faster-rcnn (fcos)")
    add(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="shorter side of images (median of the training images, at most 800)",
    )
    add(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="mirror training images at random (yes with --data; not the digits of the embedded scenes)",
    )


def check_task(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse options of the other task.

    Raises:
        UsageError: names the first one.
    """
    wrong, task = (OF_CLASSIFICATION, "classification") if options.task == "detection" else (OF_DETECTION, "detection")
    for name in wrong:
        if getattr(options, name) != parser.get_default(name):
            raise UsageError(f"--{name.replace('_', '-')} is of --task {task}: leave it out")


def detect(options: argparse.Namespace) -> None:
    """Train the grid, and print and write the table."""
    from avalanche_ssl.detection import DetectorTraining
    from avalanche_ssl.reports.fine_tuning_table import FineTuningTable
    from avalanche_ssl.runs import wrapped
    from avalanche_ssl.runs.detection import default_out, detect_run, detection_grid

    def say(data: DetectionData) -> None:
        print(f"{data.name}: {data.train} to train on; {data.test} to test on", flush=True)

    def note(cell: DetectionCell, epochs: int, epoch: DetectionEpochEvent) -> None:
        if epoch.epoch % max(1, epochs // SHOWN) == 0 or epoch.epoch == epochs:
            print(f"{cell}: epoch {epoch.epoch:>3} of {epochs}  loss {epoch.loss:6.3f}", flush=True)

    cells = detection_grid(options.protocol or ["full", "scratch"], options.labels, options.seeds, options.epochs)
    data = Path(options.data) if options.data else None
    given = {name: value for name in ("lr", "batch_size") if (value := getattr(options, name)) is not None}
    settings = DetectorTraining(
        detector=options.detector,
        device=options.device,
        image_size=options.image_size,
        flip=data is not None if options.flip is None else options.flip,
        **given,
    )
    found = detect_run(
        options.run,
        cells,
        settings,
        data=data,
        out=options.out,
        overwrite=options.overwrite,
        strategy=options.strategy,
        trust_strategy=options.trust_strategy,
        on_data=say if data is None else None,  # folders are described when they are read
        on_epoch=note,
    )
    table = FineTuningTable(_measurements(found, options.detector), _caption(options, found))
    print(f"\n{wrapped(table.caption)}\n{table.text()}")
    out = options.out or default_out(options.run, data)
    for path in table.write(out / f"detection-{options.detector}"):
        print(f"-> {path}")
    print(f"-> {out}/detection-*.png: boxes found in the first test images")


def _measurements(found: dict[DetectionCell, Detected], detector: str) -> list[Measurement]:
    """Each precision of each training."""
    from avalanche_ssl.reports.fine_tuning_table import Measurement

    return [
        Measurement(
            protocol=cell.protocol,
            head=detector,
            labels=cell.labels,
            seed=cell.seed,
            value=getattr(detected.end, metric.lower()),
            images=detected.end.images,
            epochs=detected.end.epochs,
            seconds=detected.end.seconds,
            metric=metric,
        )
        for metric in METRICS
        for cell, detected in found.items()
    ]


def _caption(options: argparse.Namespace, found: dict[DetectionCell, Detected]) -> str:
    """What the numbers of the table are."""
    where = f" ({options.data})" if options.data else " (embedded scenes)"
    seeds = f"{'seed' if len(options.seeds) == 1 else 'seeds'} {', '.join(map(str, options.seeds))}"
    over = seeds if len(options.seeds) == 1 else f"mean ± 95 % interval (of three or more) over {seeds}"
    (end, *_) = [detected.end for detected in found.values()]
    tested = f"average precision of boxes in percent on {end.images_tested:,} test images"
    return f"{options.run}, {options.detector}{where}: {tested}, {over}"
