"""MNIST split, permuted or rotated: each experience ends when the probe has stopped improving."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import PermutedMNIST, RotatedMNIST, SplitMNIST
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.logging import InteractiveLogger
from avalanche.training.plugins import EarlyStoppingPlugin, EvaluationPlugin
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--kind", choices=["split", "permuted", "rotated"], default="split")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--patience", type=int, default=2)
    args = parser.parse_args(arguments)

    if args.kind == "permuted":
        benchmark = PermutedMNIST(n_experiences=3, seed=1, dataset_root=args.data)
    elif args.kind == "rotated":
        benchmark = RotatedMNIST(n_experiences=3, seed=1, rotations_list=[0, 45, 90], dataset_root=args.data)
    else:
        benchmark = SplitMNIST(n_experiences=5, seed=1, dataset_root=args.data)

    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    # The metric that is waited for, and an evaluation after each epoch. For results to publish, hold out a stream.
    evaluator = EvaluationPlugin(accuracy_metrics(stream=True), loggers=[InteractiveLogger()])
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=64,
        train_epochs=args.epochs,
        plugins=[
            ProbePlugin(benchmark, classes="shared"),  # permuted or rotated, a digit is the same class
            EarlyStoppingPlugin(args.patience, "test_stream", "Top1_Acc_Stream"),
        ],
        evaluator=evaluator,
        eval_every=1,
    )
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[benchmark.test_stream])
    return strategy


if __name__ == "__main__":
    main()
