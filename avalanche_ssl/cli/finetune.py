"""Fine-tune the encoder of a run on labeled data, or train it from scratch, and compare in one table.

avalanche-ssl finetune runs/simclr-split-digits-s0 --protocol frozen first-2 full scratch
avalanche-ssl finetune runs/simclr-split-digits-s0 --protocol full scratch --head linear mlp --seeds 0 1 2 \\
    --labels 0.01 0.1 1 --epochs 60 30 10
avalanche-ssl finetune runs/simclr-split-digits-s0 --protocol full scratch --data path/to/images

Every combination of protocol, head, share of labels and seed is trained; the table has the mean and its 95 % interval
over the seeds, of the test accuracy after the last epoch. Nothing is chosen on test data. The same command after an
interruption trains what is missing.

avalanche-ssl finetune runs/simclr-split-digits-s0 --task detection --labels 0.1 1 --seeds 0 1 2

trains detectors on the encoder, on scenes of digits or with --data on a folder of VOC or COCO, and gives the average
precision of their boxes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.detection import add_detection_options, check_task, detect
from avalanche_ssl.cli.stream_choice import add_stream, chosen_stream
from avalanche_ssl.cli.trust import add_strategy_of_run
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.logging import FineTuningEpochEvent
    from avalanche_ssl.runs.fine_tuning import FineTuned, GridCell

TABLE = "finetune"
"""Name of the files of the table, without `.csv` and `.md`."""


class Numbers(argparse.Action):
    """Several numbers of one option, with spaces or, as in a sweep, commas between them."""

    def __init__(self, option_strings: list[str], dest: str, kind: Callable[[str], float], **settings: Any) -> None:
        super().__init__(option_strings, dest, nargs="+", **settings)
        self.kind = kind

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Set the numbers.

        Raises:
            UsageError: one is none.
        """
        words = ",".join(values).split(",")
        try:
            setattr(namespace, self.dest, [self.kind(word) for word in words])
        except ValueError as error:
            what = "whole numbers, e.g. 0 1 2" if self.kind is int else "numbers, e.g. 0.1 1"
            raise UsageError(f"{option_string} {' '.join(values)}: give {what}") from error


@command("avalanche-ssl finetune")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl finetune", description=__doc__)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run")
    tasks = ("classification", "detection")
    add("--task", choices=tasks, default=tasks[0], help="what to train on the encoder (classification)")
    add(
        "--protocol",
        nargs="+",
        metavar="NAME",
        help="frozen, first-K (first K stages frozen), full, or scratch: full, from an untrained encoder (frozen; of "
        "detection full scratch)",
    )
    add("--head", nargs="+", choices=("linear", "mlp"), default=["linear"], help="on the features (linear)")
    add(
        "--labels",
        action=Numbers,
        kind=float,
        default=[1.0],
        metavar="SHARE",
        help="of the training labels, class-balanced (1.0)",
    )
    add(
        "--seeds",
        "--seed",
        action=Numbers,
        kind=int,
        default=[0],
        metavar="N",
        help="of the labels that are kept, head, crops, order, and weights of scratch (0)",
    )
    add(
        "--epochs",
        action=Numbers,
        kind=int,
        metavar="N",
        help="passes over the labeled data: one number, or one for each share of --labels (10; of detection 16 of all "
        "images, and with fewer labels as many more)",
    )
    add("--lr", type=float, metavar="RATE", help="largest learning rate of Adam (0.001; of detection 0.002)")
    add("--batch-size", type=int, metavar="N", help="labeled images per step (128; of detection 16)")
    add_stream(parser, "labeled data of another stream")
    add(
        "--test-every",
        type=int,
        default=1,
        metavar="N",
        help="test after every N-th epoch and the last; 0: after the last only (1)",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--out", type=Path, metavar="DIR", help="for logs and table (RUN/finetune; of another stream finetune-NAME)")
    add("--overwrite", action="store_true", help="train again what is complete, or was trained with other settings")
    add_strategy_of_run(parser)
    add_detection_options(parser)
    options = parser.parse_args(arguments)
    check_task(options, parser)
    if options.task == "detection":
        detect(options)
    else:
        _compare(argparse.Namespace(**vars(options) | _decided(options)))
    return 0


def _decided(options: argparse.Namespace) -> dict[str, Any]:
    """What is taken where an option is not given whose default is that of the task."""
    defaults = {"protocol": ["frozen"], "epochs": [10], "lr": 1e-3, "batch_size": 128}
    return {name: value for name, value in defaults.items() if getattr(options, name) is None}


def _compare(options: argparse.Namespace) -> None:
    """Train the grid, and print and write the table."""
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    from avalanche_ssl.evaluation import FineTuning
    from avalanche_ssl.reports.fine_tuning_table import FineTuningTable, Measurement
    from avalanche_ssl.runs import wrapped
    from avalanche_ssl.runs.fine_tuning import default_out, fine_tune_run, grid

    def note(cell: GridCell, epoch: FineTuningEpochEvent) -> None:
        tested = "" if epoch.accuracy is None else f"  test {100 * epoch.accuracy:5.1f} %"
        print(f"{cell}: epoch {epoch.epoch:>3}  loss {epoch.loss:6.3f}{tested}", flush=True)

    cells = grid(options.protocol, options.head, options.labels, options.seeds, options.epochs)
    stream = chosen_stream(options)
    found = fine_tune_run(
        options.run,
        cells,
        FineTuning(batch_size=options.batch_size, lr=options.lr, device=options.device, test_every=options.test_every),
        stream=stream,
        out=options.out,
        overwrite=options.overwrite,
        strategy=options.strategy,
        trust_strategy=options.trust_strategy,
        on_epoch=note,
    )
    measurements = [
        Measurement(c.protocol, c.head, c.labels, c.seed, t.end.accuracy, t.end.images, c.epochs, t.end.seconds)
        for c, t in found.items()
    ]
    table = FineTuningTable(measurements, _caption(options, found))
    print(f"\n{wrapped(table.caption)}\n{table.text()}")
    for path in table.write((options.out or default_out(options.run, stream)) / TABLE):
        print(f"-> {path}")


def _caption(options: argparse.Namespace, found: dict[GridCell, FineTuned]) -> str:
    """What the numbers of the table are."""
    on = options.benchmark or ("folder" if options.data else "its stream")
    where = f" ({options.data})" if options.data else ""
    heads = f"{options.head[0]} head; " if len(options.head) == 1 else ""
    seeds = f"{'seed' if len(options.seeds) == 1 else 'seeds'} {', '.join(map(str, options.seeds))}"
    over = seeds if len(options.seeds) == 1 else f"mean ± 95 % interval (of three or more) over {seeds}"
    number = ", ".join(map(str, options.epochs))
    epochs = f"{number} {'epoch' if options.epochs == [1] else 'epochs'}"
    (end, *_) = [tuned.end for tuned in found.values()]
    tested = f"accuracy in percent on {end.images_tested:,} test images after {epochs}"
    return f"{options.run} on {on}{where}: {heads}{tested}, {over}"
