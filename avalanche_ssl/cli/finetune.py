"""Fine-tune the encoder of a run on the labeled data of its stream, or train it from scratch, and compare in one table.

avalanche-ssl finetune runs/simclr-split-digits-s0 --protocol frozen first-2 full scratch

A command of its own, not an option of `run`: it starts from any finished run, and can be repeated with other heads and
shares of labels without training the encoder again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_strategy_of_run

if TYPE_CHECKING:
    from avalanche_ssl.logging import FineTuningEpochEvent


@command("avalanche-ssl finetune")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl finetune", description=__doc__)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run")
    add(
        "--protocol",
        nargs="+",
        default=["frozen"],
        metavar="NAME",
        help="frozen, first-K (first K stages frozen), full, or scratch (frozen)",
    )
    add("--head", choices=("linear", "mlp"), default="linear", help="on the features (linear)")
    add("--labels", type=float, default=1.0, metavar="SHARE", help="of the training labels, class-balanced (1.0)")
    add("--epochs", type=int, default=10, metavar="N", help="passes over the labeled data (10)")
    add("--lr", type=float, default=1e-3, metavar="RATE", help="first learning rate of Adam (0.001)")
    add("--batch-size", type=int, default=128, metavar="N", help="labeled images per step (128)")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--out", type=Path, metavar="DIR", help="for logs and learning curves (RUN)")
    add("--seed", type=int, default=0, metavar="N", help="of head, crops and order (0)")
    add_strategy_of_run(parser)
    _compare(parser.parse_args(arguments))
    return 0


def _compare(options: argparse.Namespace) -> None:
    """Fine-tune by each protocol and print the learning curves and the table."""
    from avalanche_ssl.evaluation.fine_tuning import FineTuning
    from avalanche_ssl.runs.fine_tuning import fine_tune_run

    def note(name: str, epoch: FineTuningEpochEvent) -> None:
        line = f"{name:10} epoch {epoch.epoch:>3}  loss {epoch.loss:6.3f}  test {100 * epoch.accuracy:5.1f} %"
        print(line, flush=True)

    settings = FineTuning(
        protocol="frozen",
        head=options.head,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        seed=options.seed,
        device=options.device,
    )
    found = fine_tune_run(
        options.run,
        options.protocol,
        settings,
        labels=options.labels,
        out=options.out,
        strategy=options.strategy,
        trust_strategy=options.trust_strategy,
        on_epoch=note,
    )
    epochs = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    print(f"\n{options.run}: {options.head} head, {100 * options.labels:g} % of the labels, {epochs}")
    print("protocol".ljust(12) + "first epoch %".rjust(15) + "last epoch %".rjust(15) + "seconds".rjust(10))
    for name, tuned in found.items():
        first, last = 100 * tuned.curve[0].accuracy, 100 * tuned.curve[-1].accuracy
        print(f"{name:<12}{first:15.1f}{last:15.1f}{tuned.seconds:10.1f}")
