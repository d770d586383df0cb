"""What cannot learn in several processes is refused before it trains."""

from __future__ import annotations

from typing import Any

from avalanche.training.plugins import AGEMPlugin, GEMPlugin

from avalanche_ssl import distributed
from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import UsageError


def check_processes(strategy: Any) -> None:
    """Refuse settings and plugins with which processes would part ways.

    Raises:
        UsageError: names the setting or the plugin, and the remedy; or the processes were launched and do not know of
            each other.
    """
    distributed.check_started()
    count = distributed.size()
    if count == 1:
        return
    if strategy.train_mb_size < count:
        raise UsageError(
            f"batches of {strategy.train_mb_size} images are too few for {count} processes, each of which embeds a "
            f"share: give batch_size {count} or more, or start fewer processes"
        )
    if strategy.compile:
        raise UsageError(f"compiled encoders do not work in {count} processes: leave --compile out")
    if any(getattr(module, "grad_checkpointing", False) for module in strategy.model.modules()):
        raise UsageError(
            f"activation checkpointing computes batch norm again, with the statistics of one process of {count}: "
            "leave grad_checkpointing out"
        )
    if strategy.use_dataset_transforms:
        raise UsageError(
            f"use_dataset_transforms=True draws the same transforms in each of {count} processes: leave it out, or "
            "train in one process"
        )
    for plugin in strategy.plugins:
        if isinstance(plugin, AGEMPlugin | GEMPlugin):
            raise UsageError(
                f"{type(plugin).__name__} loads its memory with a loader that divides batches by process on its own: "
                "train in one process, or use Replay"
            )


def check_loader(strategy: Any) -> None:
    """Refuse a loader that a plugin has put in the place of ours, which knows no shares.

    Raises:
        UsageError: names the loader.
    """
    if distributed.size() > 1 and not isinstance(strategy.dataloader, RawDataLoader):
        raise UsageError(
            f"a plugin loads images with a {type(strategy.dataloader).__name__}, which gives each process other "
            "batches than its share: train in one process, or use Replay"
        )
