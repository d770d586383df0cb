"""Permuted MNIST, all experiences at once: what an encoder reaches that need not learn continually."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import PermutedMNIST
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv
from avalanche_ssl.streams import joint_experience


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the probe's accuracy on each experience."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--epochs", type=int, default=1)
    args = parser.parse_args(arguments)

    benchmark = PermutedMNIST(n_experiences=3, seed=1, dataset_root=args.data)
    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    probe = ProbePlugin(benchmark, classes="shared")  # a permuted digit is the same class
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=64,
        train_epochs=args.epochs,
        plugins=[probe],
    )
    strategy.train(joint_experience(benchmark), eval_streams=[])
    print(probe.matrix("all")[-1].round(3))
    return probe.matrix("all")[-1]


if __name__ == "__main__":
    main()
