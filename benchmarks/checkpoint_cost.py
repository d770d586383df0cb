"""Measure size and time of checkpoints of strategies with large memories.

python benchmarks/checkpoint_cost.py

Prints one line per strategy: the size, the seconds of three writes and of one resume, and the share of the time that
writing takes (median) when a checkpoint is written every ten minutes.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from avalanche_ssl.cli.command import Parser, command

LARGE: dict[str, tuple[str, dict[str, Any]]] = {
    "MoCo, ResNet-18, queue of 65,536": ("moco", {"encoder": "resnet18", "queue_size": 65_536}),
    "CMC, small encoder, bank of 1,000,000 rows": ("cmc_bank", {"capacity": 1_000_000}),
}
"""Strategies with the memories of large runs, and their settings."""


@command("checkpoint_cost.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    Parser(description=__doc__).parse_args(arguments)
    for name, (strategy, settings) in LARGE.items():
        size, seconds, read = measure(strategy, settings)
        share = sorted(seconds)[len(seconds) // 2] / 600
        written = ", ".join(f"{s:.2f}" for s in seconds)
        print(f"{name}: {size / 2**20:.0f} MiB, written in {written} s, resumed in {read:.2f} s, {share:.2%} at 10 min")
    return 0


def measure(strategy: str, settings: dict[str, Any], writes: int = 3) -> tuple[int, list[float], float]:
    """Size in bytes of a trained strategy's checkpoint; seconds of each write, and of the resume."""
    from crashes.small_run import few_digits

    from avalanche_ssl.checkpointing import Checkpointer
    from avalanche_ssl.recipes import load_recipe

    built = load_recipe(strategy).override(settings | {"batch_size": 16, "epochs": 1}).build()
    stream = few_digits().train_stream
    built.train(stream[0], eval_streams=[])  # so that the optimizer has its state
    with tempfile.TemporaryDirectory() as folder:
        checkpointer, seconds = Checkpointer(Path(folder, "checkpoint"), built, stream), []
        for _ in range(writes):
            start = time.perf_counter()
            checkpointer.save()
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        checkpointer.resume()
        return checkpointer.path.stat().st_size, seconds, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
