"""Split MNIST as a stream of mini-batches that come once, with a reservoir of earlier images."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks import split_online_stream
from avalanche.benchmarks.classic import SplitMNIST
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from torch.optim import SGD

from avalanche_ssl import LRSchedule, ProbePlugin, SelfSupervised
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv
from avalanche_ssl.training import AvalancheReplay


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the probe's accuracies, one row per experience."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--mini-batch", type=int, default=10)
    args = parser.parse_args(arguments)

    benchmark = SplitMNIST(n_experiences=5, seed=1, dataset_root=args.data)
    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    probe = ProbePlugin(benchmark)
    replay = AvalancheReplay(mem_size=500, batch_size_mem=54, storage_policy=ReservoirSamplingBuffer(500))
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=args.mini_batch,
        plugins=[probe, replay],
        schedule=LRSchedule("constant"),  # there is no end of an experience to anneal to
    )
    # `strategy.train` is called once for the stream; the probe is fitted when an experience's last image has come.
    stream = split_online_stream(benchmark.train_stream, experience_size=args.mini_batch, access_task_boundaries=True)
    strategy.train(stream, eval_streams=[])
    print(probe.matrix("all").round(3))
    return probe.matrix("all")


if __name__ == "__main__":
    main()
