"""Replay memories of raw images."""

from typing import Any

from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer

from avalanche_ssl.training.avalanche_fixes import Replay


def _replay(config: dict[str, Any]) -> Replay | None:
    """A memory of so many images: equal parts of all experiences, or, of mini-batches, a fair sample of all images."""
    size, batch = config["replay"], config["replay_batch"] or 2 * config["online"] or None
    kind = ReservoirSamplingBuffer if config["online"] else ExperienceBalancedBuffer
    return Replay(mem_size=size, batch_size_mem=batch, storage_policy=kind(size)) if size else None
