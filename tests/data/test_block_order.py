"""Orders of images in shards, of which any part can be drawn without the rest."""

from __future__ import annotations

import numpy as np
import pytest

from avalanche_ssl.data.block_order import KEPT, BlockOrder, check_block, whole_order
from avalanche_ssl.errors import UsageError

SIZES = [5, 1, 8, 3, 7]


@pytest.mark.parametrize("block", [1, 4, 24, 100])
def test_every_image_comes_once_and_any_part_is_that_of_the_whole(block: int) -> None:
    whole = BlockOrder(SIZES, block, [3]).positions(0, 24)
    assert sorted(whole.tolist()) == list(range(24)) and len(BlockOrder(SIZES, block, [3])) == 24
    order, rng = BlockOrder(SIZES, block, [3]), np.random.default_rng(0)
    for _ in range(30):
        first, last = sorted(rng.integers(0, 25, 2).tolist())
        assert order.positions(first, last).tolist() == whole[first:last].tolist()


def test_shards_come_at_random_and_images_at_random_in_blocks() -> None:
    """Without the permutation of a block the images would lie as in their shards."""
    sizes = [10] * 20
    shards = BlockOrder(sizes, 1, [0]).positions(0, 200)
    assert (np.diff(shards.reshape(20, 10)) == 1).all(), "blocks of one image: shard after shard"
    numbers = (shards.reshape(20, 10)[:, 0] // 10).tolist()
    assert numbers != list(range(20))
    mixed = BlockOrder(sizes, 40, [0]).positions(0, 200)
    for block in range(5):
        place = slice(40 * block, 40 * (block + 1))
        assert sorted(mixed[place].tolist()) == sorted(shards[place].tolist()), "the same shards"
        assert mixed[place].tolist() != shards[place].tolist()
        assert len(set((mixed[place][:12] // 10).tolist())) > 2, "mixed"
    assert BlockOrder(sizes, 40, [1]).positions(0, 200).tolist() != mixed.tolist()


def test_the_order_of_a_seed_stays_what_it_is() -> None:
    """Checkpoints of this version can be resumed by the next one."""
    assert BlockOrder([3, 2, 4], 4, [7]).positions(0, 9).tolist() == [2, 0, 5, 1, 3, 8, 7, 6, 4]


def test_two_blocks_are_held_however_many_there_are() -> None:
    order = BlockOrder([1000] * 1000, 500, [0])
    for first in range(0, 1_000_000, 50_000):
        order.positions(first, first + 800)
    assert len(order._blocks) <= KEPT and sum(map(len, order._blocks.values())) <= KEPT * 500


def test_a_whole_order_has_one_block() -> None:
    found = whole_order(50, [1]).positions(0, 50)
    assert sorted(found.tolist()) == list(range(50)) and found.tolist() != list(range(50))
    assert len(whole_order(0, [1])) == 0


def test_blocks_hold_an_image() -> None:
    with pytest.raises(UsageError, match=r"blocks of 0 images: give block=1 or more, e.g. 100000"):
        check_block(0)
