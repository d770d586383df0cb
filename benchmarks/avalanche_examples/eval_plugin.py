"""Avalanche's metrics and loggers on split MNIST: those of training read the loss, those of evaluation the probe."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import SplitMNIST
from avalanche.evaluation.metrics import (
    accuracy_metrics,
    bwt_metrics,
    cpu_usage_metrics,
    forgetting_metrics,
    forward_transfer_metrics,
    loss_metrics,
    timing_metrics,
)
from avalanche.logging import CSVLogger, InteractiveLogger, TextLogger
from avalanche.training.plugins import EvaluationPlugin
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised, probe_metrics
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the last value of each metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("eval_plugin"))
    args = parser.parse_args(arguments)

    args.out.mkdir(parents=True, exist_ok=True)
    benchmark = SplitMNIST(n_experiences=5, seed=1, dataset_root=args.data)
    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    with (args.out / "log.txt").open("w", encoding="utf-8") as file:
        evaluator = EvaluationPlugin(
            loss_metrics(minibatch=True, experience=True),  # the loss of each epoch comes by itself
            accuracy_metrics(experience=True, stream=True),
            forgetting_metrics(experience=True, stream=True),
            bwt_metrics(stream=True),
            forward_transfer_metrics(stream=True),
            timing_metrics(epoch=True),
            cpu_usage_metrics(experience=True),
            probe_metrics(matrix=False),
            loggers=[InteractiveLogger(), TextLogger(file), CSVLogger(args.out)],
        )
        strategy = SelfSupervised(
            model=model,
            optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
            train_mb_size=64,
            train_epochs=args.epochs,
            plugins=[ProbePlugin(benchmark, probes=["ridge", "knn-20"])],
            evaluator=evaluator,
            eval_every=0,  # forward transfer compares with the untrained encoder
        )
        for experience in benchmark.train_stream:
            strategy.train(experience, eval_streams=[benchmark.test_stream])
            results = strategy.eval(benchmark.test_stream)
    return results


if __name__ == "__main__":
    main()
