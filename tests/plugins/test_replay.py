"""Which replay memory a run gets."""

import pytest
from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer

from avalanche_ssl.plugins import replay_plugin


def test_no_memory() -> None:
    assert replay_plugin(0) is None and replay_plugin(0, 8, 4) is None


@pytest.mark.parametrize(
    ("batch_size", "online_batch_size", "replayed", "policy"),
    [
        (0, 0, None, ExperienceBalancedBuffer),  # as many as new images
        (8, 0, 8, ExperienceBalancedBuffer),
        (0, 4, 8, ReservoirSamplingBuffer),
        (5, 4, 5, ReservoirSamplingBuffer),
    ],
)
def test_a_memory_of_experiences_or_mini_batches(
    batch_size: int, online_batch_size: int, replayed: int | None, policy: type
) -> None:
    plugin = replay_plugin(20, batch_size, online_batch_size)
    assert plugin is not None
    assert (plugin.mem_size, plugin.batch_size_mem, type(plugin.storage_policy)) == (20, replayed, policy)
