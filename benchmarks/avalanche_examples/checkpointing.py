"""Avalanche's checkpoints on split MNIST: start the script again, and it goes on after the last experience."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import SplitMNIST
from avalanche.checkpointing import maybe_load_checkpoint, save_checkpoint
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models import smallconv
from avalanche_ssl.training import allow_save_checkpoint


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train the experiences that are left, at most `--at-most` of them, and return the strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint.pkl"))
    parser.add_argument("--at-most", type=int, default=5)
    args = parser.parse_args(arguments)

    allow_save_checkpoint()
    benchmark = SplitMNIST(n_experiences=5, seed=1, dataset_root=args.data)
    model = MoCo(partial(smallconv, in_channels=1, width=8), output_dim=32, queue_size=256)
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=64,
        train_epochs=args.epochs,
        plugins=[ProbePlugin(benchmark)],
    )
    # The queue, the momentum encoder and all random states are saved, too. The file is a pickle: load only your own.
    strategy, start = maybe_load_checkpoint(strategy, args.checkpoint)
    for experience in benchmark.train_stream[start : start + args.at_most]:
        strategy.train(experience, eval_streams=[])
        save_checkpoint(strategy, args.checkpoint)
    return strategy


if __name__ == "__main__":
    main()
