"""Fine-tune the encoder of a run on the labeled data of its stream, or train it from scratch, and compare in one table.

avalanche-ssl finetune runs/simclr-split-digits-s0 --protocol frozen first-2 full scratch

A command of its own, not an option of `run`: it starts from any finished run, and can be repeated with other heads and
shares of labels without training the encoder again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_strategy_of_run
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.logging import FineTuningEpochEvent

KEPT = ("head", "labels", "epochs", "batch_size", "lr", "seed", "device")
"""Options that the log keeps."""


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
    """Fine-tune by each protocol and print the table."""
    import torch

    from avalanche_ssl.checkpointing import read_encoder
    from avalanche_ssl.evaluation.fine_tuning import stages_to_freeze
    from avalanche_ssl.runs.build import build_benchmark, resolve_machine, run_of_folder

    for name in options.protocol:
        stages_to_freeze("full" if name == "scratch" else name)
    options.device, _ = resolve_machine(options.device, "fp32")
    options.out = options.out or options.run
    config, recipe = run_of_folder(options.run, strategy=options.strategy, trust_strategy=options.trust_strategy)
    weights = read_encoder(options.run / "encoder.pt")
    benchmark = build_benchmark(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        untrained, pretrained = recipe.build_method(), recipe.build_method()
    try:
        pretrained.encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"cannot use {options.run / 'encoder.pt'}: {' '.join(str(error).split())[:200]}") from error
    table = [
        (name, _tune(name, untrained if name == "scratch" else pretrained, benchmark, options))
        for name in options.protocol
    ]
    print(f"\n{options.run}: {options.head} head, {100 * options.labels:g} % of the labels, {options.epochs} epochs")
    print("protocol".ljust(12) + "first epoch %".rjust(15) + "last epoch %".rjust(15) + "seconds".rjust(10))
    for name, (curve, seconds) in table:
        print(name.ljust(12) + f"{100 * curve[0].accuracy:15.1f}{100 * curve[-1].accuracy:15.1f}{seconds:10.1f}")


def _tune(
    name: str, method: Any, benchmark: Any, options: argparse.Namespace
) -> tuple[list[FineTuningEpochEvent], float]:
    """Train, print the learning curve and write it to `finetune-NAME.jsonl` in --out; the curve and the seconds."""
    from avalanche_ssl.evaluation.fine_tuning import FineTuning, fine_tune
    from avalanche_ssl.logging import FineTuningEvent, JSONLinesLogger

    path = options.out / f"finetune-{name}.jsonl"
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {options.out} ({error.strerror}): give another --out") from error
    log = JSONLinesLogger(path)
    log(FineTuningEvent(protocol=name, run=str(options.run), settings={k: getattr(options, k) for k in KEPT}))

    def note(epoch: FineTuningEpochEvent) -> None:
        log(epoch)
        line = f"{name:10} epoch {epoch.epoch:>3}  loss {epoch.loss:6.3f}  test {100 * epoch.accuracy:5.1f} %"
        print(line, flush=True)

    train, test = ([e.dataset for e in s] for s in (benchmark.train_stream, benchmark.test_stream))
    settings = FineTuning(
        protocol="full" if name == "scratch" else name,
        head=options.head,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        seed=options.seed,
        device=options.device,
    )
    start = time.perf_counter()
    labeled = _labeled(train, options.labels, options.seed)
    _, curve = fine_tune(method, labeled, test, len(benchmark.class_names), settings, on_epoch=note)
    return curve, time.perf_counter() - start


def _labeled(datasets: list[Any], share: float, seed: int) -> list[Any]:
    """The images whose labels are kept."""
    import torch

    from avalanche_ssl.probes.label_subsets import keep_labels

    kept = keep_labels([torch.as_tensor(list(d.targets)) for d in datasets], share, seed)
    parts = [d.subset((y >= 0).nonzero().flatten().tolist()) for d, y in zip(datasets, kept, strict=True)]
    return [p for p in parts if len(p)]
