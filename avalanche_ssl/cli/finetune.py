"""Fine-tune a run's encoder on the labelled data of its stream, or train it from scratch, and compare in one table.

python benchmarks/downstream.py runs/simclr-split-digits-s0 --downstream frozen first-2 full scratch

A command of its own, not an option of run.py: it starts from the checkpoint of any finished run, and may be repeated
with other heads and shares of labels without training the encoder again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.build import _benchmark, _machine
from avalanche_ssl.runs.config import of_folder


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder that run.py wrote")
    add(
        "--downstream",
        nargs="+",
        default=["frozen"],
        metavar="PROTOCOL",
        help="frozen, first-K, full, or scratch (frozen)",
    )
    add("--head", choices=("linear", "mlp"), default="linear", help="on the features (linear)")
    add("--labels", type=float, default=1.0, metavar="SHARE", help="of the training labels, class-balanced (1.0)")
    add("--epochs", type=int, default=10, metavar="N", help="passes over the labelled data (10)")
    add("--lr", type=float, default=1e-3, metavar="RATE", help="first learning rate of Adam (0.001)")
    add("--batch-size", type=int, default=128, metavar="N", help="labelled images a step (128)")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--out", type=Path, metavar="DIR", help="for logs and learning curves (RUN)")
    add("--seed", type=int, default=0, metavar="N", help="of head, crops and order (0)")
    options = parser.parse_args(arguments)
    try:
        _compare(options)
    except UsageError as error:
        print("downstream.py:", error, file=sys.stderr)
        return 2
    return 0


def _compare(options: argparse.Namespace) -> None:
    from avalanche_ssl.checkpointing.encoder_weights import read_encoder
    from avalanche_ssl.evaluation.fine_tuning import stages_to_freeze

    for name in options.downstream:
        stages_to_freeze("full" if name == "scratch" else name)
    options.device, _ = _machine(options.device, "fp32")
    options.out = options.out or options.run
    config, recipe = of_folder(options.run)
    weights = read_encoder(options.run / "encoder.pt")
    benchmark = _benchmark(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        fresh, pretrained = recipe.build_method(), recipe.build_method()
    try:
        pretrained.encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"cannot use {options.run / 'encoder.pt'}: {' '.join(str(error).split())[:200]}") from error
    table = [
        (name, _tune(name, fresh if name == "scratch" else pretrained, benchmark, options))
        for name in options.downstream
    ]
    print(f"\n{options.run}: {options.head} head, {100 * options.labels:g} % of the labels, {options.epochs} epochs")
    print("protocol".ljust(12) + "first epoch %".rjust(15) + "last epoch %".rjust(15) + "seconds".rjust(10))
    for name, (curve, seconds) in table:
        print(name.ljust(12) + f"{100 * curve[0].accuracy:15.1f}{100 * curve[-1].accuracy:15.1f}{seconds:10.1f}")


def _tune(name: str, method: Any, benchmark: Any, options: argparse.Namespace) -> tuple[list[Any], float]:
    """Train, print the learning curve and write it to `downstream-NAME.jsonl` in --out."""
    import time

    from avalanche_ssl.evaluation.fine_tuning import fine_tune
    from avalanche_ssl.logging.jsonl import JSONLinesLogger

    path = options.out / f"downstream-{name}.jsonl"
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {options.out} ({error.strerror}): give another --out") from error
    log = JSONLinesLogger(path)
    kept = ("head", "labels", "epochs", "batch_size", "lr", "seed", "device")
    log("run", protocol=name, run=str(options.run), **{option: getattr(options, option) for option in kept})

    def note(epoch: Any) -> None:
        log("epoch", **asdict(epoch))
        print(
            f"{name:10} epoch {epoch.epoch:>3}  loss {epoch.loss:6.3f}  test {100 * epoch.accuracy:5.1f} %", flush=True
        )

    train, test = ([e.dataset for e in s] for s in (benchmark.train_stream, benchmark.test_stream))
    start = time.perf_counter()
    _, curve = fine_tune(
        method, _labeled(train, options.labels, options.seed), test, len(benchmark.class_names),
        "full" if name == "scratch" else name, head=options.head, epochs=options.epochs, lr=options.lr,
        batch_size=options.batch_size, seed=options.seed, device=options.device, note=note,
    )  # fmt: skip
    return curve, time.perf_counter() - start


def _labeled(datasets: list[Any], share: float, seed: int) -> list[Any]:
    """The images whose labels are kept."""
    from avalanche_ssl.probes.label_subsets import keep_labels

    kept = keep_labels([torch.as_tensor(list(d.targets)) for d in datasets], share, seed)
    parts = [d.subset((y >= 0).nonzero().flatten().tolist()) for d, y in zip(datasets, kept, strict=True)]
    return [p for p in parts if len(p)]


if __name__ == "__main__":
    sys.exit(main())
