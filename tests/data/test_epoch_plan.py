"""The batches of an epoch, planned before it or while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.shards import pack

from avalanche_ssl.data import ArrayDataset, ShardImages, index_shards
from avalanche_ssl.data.epoch_plan import BatchPlan, Epoch, plan_epoch
from avalanche_ssl.data.readers import array_reader
from avalanche_ssl.data.shard_images import ShardReader


def plain(n: int) -> Any:
    return array_reader(ArrayDataset(torch.zeros(n, 2, 2, 3, dtype=torch.uint8).numpy(), range(n)))


@pytest.fixture
def shards(tmp_path: Path) -> ShardReader:
    """Twenty-three images in five shards, shuffled in blocks of eight."""
    pack(tmp_path, range(23))
    return ShardReader(ShardImages(index_shards(tmp_path), 0, 5, size=8, block=8))


def plan(
    readers: list[Any], sizes: list[int], n_batches: int, seed: int = 0, **options: Any
) -> tuple[Callable[[int], Any], torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    options = {"shuffle": True, "drop_last": True} | options
    return plan_epoch(readers, sizes, n_batches, generator=generator, **options), generator


def flat(plans: list[BatchPlan], column: int = 0) -> list[int]:
    return [i for batch in plans for i in batch.positions[column].tolist()]


def test_lists_are_drawn_before_the_epoch_as_ever() -> None:
    """As a naive loop draws them: permutations of the first dataset, of the second until it suffices, then a seed."""
    found, generator = plan([plain(10), plain(5)], [3, 2], 3)
    expected = torch.Generator().manual_seed(0)
    first = torch.randperm(10, generator=expected)[:9].tolist()
    second = [*torch.randperm(5, generator=expected)[:4].tolist(), *torch.randperm(5, generator=expected)[:2].tolist()]
    seed = int(torch.randint(2**62, (), generator=expected))
    plans = list(found(0))
    assert (flat(plans), flat(plans, 1)) == (first, second)
    assert [batch.seed for batch in plans] == [seed, seed + 1, seed + 2]
    assert torch.equal(generator.get_state(), expected.get_state())
    assert flat(list(found(2))) == first[6:]


def test_shards_are_planned_while_the_epoch_runs(shards: ShardReader) -> None:
    """One draw leaves the generator where it stands all epoch long, and any batch can be the next."""
    found, generator = plan([shards], [4], 5)
    expected = torch.Generator().manual_seed(0)
    seed = int(torch.randint(2**62, (), generator=expected))
    plans = list(found(0))
    assert torch.equal(generator.get_state(), expected.get_state())
    assert flat(plans) == shards.order([seed, 0, 0]).positions(0, 20).tolist()
    assert [batch.seed for batch in plans] == list(range(seed, seed + 5))
    for first in range(6):
        assert flat(list(found(first))) == flat(plans[first:])


def test_what_is_left_of_the_shards_comes_where_it_shall(shards: ShardReader) -> None:
    found, _ = plan([shards], [4], 6, drop_last=False)
    assert sorted(flat(list(found(0)))) == list(range(23)) and len(list(found(0))[-1].positions[0]) == 3
    ordered, generator = plan([shards], [4], 6, drop_last=False, shuffle=False)
    assert flat(list(ordered(0))) == list(range(23)) and {batch.seed for batch in ordered(0)} <= set(range(6))
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state()), "nothing is drawn"


def test_a_memory_beside_shards_is_shuffled_whenever_it_runs_out(shards: ShardReader) -> None:
    found, _ = plan([shards, plain(5)], [4, 2], 5)
    plans = list(found(0))
    passes = [flat(plans[:2], 1), flat(plans[2:4], 1)]
    assert all(len(set(part)) == 4 for part in passes) and passes[0] != passes[1]
    assert flat(list(found(3)), 1) == flat(plans[3:], 1)


def test_an_epoch_begins_again_for_who_iterates_over_it(shards: ShardReader) -> None:
    epoch = Epoch()
    assert list(epoch) == []
    found, _ = plan([plain(6)], [2], 3)
    epoch.begin(found)
    assert flat(list(epoch)) == flat(list(epoch)) == flat(list(found(0)))
    epoch.begin(found, 2)
    assert flat(list(epoch)) == flat(list(found(2)))
