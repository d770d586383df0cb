"""Task-incremental split MNIST with EWC: a probe for each task in the place of a head for each task."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import SplitMNIST
from avalanche.training.plugins import EWCPlugin
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the accuracies of the probes of the tasks, one row per experience."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args(arguments)

    benchmark = SplitMNIST(n_experiences=5, seed=1, return_task_id=True, dataset_root=args.data)
    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    probe = ProbePlugin(benchmark, scopes=["task"])  # each task is tested by a probe that knows its classes alone
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=64,
        train_epochs=args.epochs,
        plugins=[probe, EWCPlugin(ewc_lambda=0.4)],
    )
    strategy.train(benchmark.train_stream, eval_streams=[])
    print(probe.matrix("task").round(3))
    return probe.matrix("task")


if __name__ == "__main__":
    main()
