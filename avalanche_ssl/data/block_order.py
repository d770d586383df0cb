"""A random order of very many images that lie in shards: shards at random, and images at random in blocks of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.errors import UsageError

BLOCK = 100_000
"""Images of a block, unless another number is given."""

KEPT = 2
"""Blocks whose order is kept: a batch lies in two at most, unless blocks are smaller than it."""


class BlockOrder:
    """The order of N images in shards, of which any part can be drawn without the rest.

    The shards come at random, one after the other; this sequence is cut into blocks, and the images of each block are
    permuted. So an image is read near others of its shard, and memory holds the order of two blocks, not of N images.
    The order depends on its arguments alone.

    Args:
        sizes: images of each shard, in the order in which positions count them.
        block: images of a block.
        seed: numbers from which all is drawn.
    """

    def __init__(self, sizes: Sequence[int] | Indices, block: int, seed: Sequence[int]) -> None:
        check_block(block)
        self.block, self.seed = block, [int(number) for number in seed]
        sizes = np.asarray(sizes, np.int64)
        order = self._draw(0).permutation(len(sizes))
        self._ends = np.cumsum(sizes[order])
        # what turns a place in the sequence of shards into a position
        self._shift = (np.cumsum(sizes) - sizes)[order] - (self._ends - sizes[order])
        self._blocks: dict[int, Indices] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def positions(self, first: int, last: int) -> Indices:
        """The positions of the images that come from place `first` to place `last`, without this one."""
        parts = []
        for number in range(first // self.block, -(-last // self.block)):
            start = number * self.block
            parts.append(self._permuted(number)[max(first - start, 0) : last - start])
        places: Indices = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return places + self._shift[np.searchsorted(self._ends, places, side="right")]

    def _permuted(self, number: int) -> Indices:
        """The places of a block, permuted."""
        if number not in self._blocks:
            while len(self._blocks) >= KEPT:
                del self._blocks[min(self._blocks)]
            start = number * self.block
            size = min(self.block, len(self) - start)
            self._blocks[number] = self._draw(1 + number).permutation(size) + start
        return self._blocks[number]

    def _draw(self, number: int) -> np.random.Generator:
        return np.random.default_rng([*self.seed, number])


def check_block(block: int) -> None:
    """Refuse blocks without an image.

    Raises:
        UsageError: names the number.
    """
    if block < 1:
        raise UsageError(f"cannot shuffle in blocks of {block} images: give block=1 or more, e.g. {BLOCK}")


def whole_order(n: int, seed: Sequence[int]) -> BlockOrder:
    """A random order of `n` images in a single block."""
    sizes: NDArray[np.int64] = np.array([n])
    return BlockOrder(sizes, max(n, 1), seed)
