"""Replay memories of raw images, see `avalanche_ssl.training.avalanche_fixes.AvalancheReplay`."""

from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer

from avalanche_ssl.training import AvalancheReplay


def replay_plugin(size: int, batch_size: int = 0, online_batch_size: int = 0) -> AvalancheReplay | None:
    """The replay memory of a run: images in equal parts of all experiences, or of mini-batches a reservoir sample.

    Args:
        size: images in the memory; 0 for no memory.
        batch_size: replayed images per step; 0 for twice `online_batch_size`, or else as many as new ones.
        online_batch_size: size of the mini-batches of an online stream; 0 for whole experiences.

    Returns:
        The plugin, or None without a memory.
    """
    if not size:
        return None
    policy = ReservoirSamplingBuffer if online_batch_size else ExperienceBalancedBuffer
    return AvalancheReplay(
        mem_size=size, batch_size_mem=batch_size or 2 * online_batch_size or None, storage_policy=policy(size)
    )
