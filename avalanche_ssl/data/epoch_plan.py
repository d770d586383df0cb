"""The batches of an epoch: all planned before it, or, where the images are too many for that, each when it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from avalanche_ssl.data.block_order import BlockOrder, whole_order
from avalanche_ssl.data.shard_images import ShardReader


class BatchPlan(NamedTuple):
    """One batch of an epoch."""

    positions: list[Tensor]
    """The positions to take from each dataset."""
    seed: int
    """Seed of random transforms, so that a batch is the same in whichever process and order it is made."""


Plan = Callable[[int], Iterator[BatchPlan]]
"""The batches of an epoch, from the one of this number on."""


class Epoch:
    """The batches that are left of the running epoch; `begin` replaces them, for whoever iterates over it again."""

    def __init__(self) -> None:
        self._plan: Plan = lambda first: iter(())
        self._first = 0

    def begin(self, plan: Plan, first: int = 0) -> None:
        """Hold the batches of another epoch, from number `first` on."""
        self._plan, self._first = plan, first

    def __iter__(self) -> Iterator[BatchPlan]:
        return self._plan(self._first)


def plan_epoch(
    readers: Sequence[Any],
    batch_sizes: Sequence[int],
    n_batches: int,
    *,
    shuffle: bool,
    drop_last: bool,
    generator: torch.Generator | None,
) -> Plan:
    """The batches of an epoch, whose order is drawn now.

    Args:
        readers: of the datasets that a batch joins.
        batch_sizes: images that it takes of each.
        n_batches: length of the epoch. A dataset that runs out is shuffled and begins again.
        shuffle: whether the order is drawn, or that of the datasets.
        drop_last: leave out what is left of a dataset when less than its part of a batch is.
        generator: what is drawn from; None: torch's own.
    """
    if any(isinstance(reader, ShardReader) for reader in readers):
        seed = _seed(shuffle, generator)
        columns = [
            _Column(reader, size, [seed, number] if shuffle else None, drop_last)
            for number, (reader, size) in enumerate(zip(readers, batch_sizes, strict=True))
        ]
        return lambda first: (
            BatchPlan([column.batch(i) for column in columns], seed + i) for i in range(first, n_batches)
        )
    chunks = [
        _chunks(len(reader), size, n_batches, shuffle, drop_last, generator)
        for reader, size in zip(readers, batch_sizes, strict=True)
    ]
    seed = _seed(shuffle, generator)
    plans = [BatchPlan(list(row), seed + i) for i, row in enumerate(zip(*chunks, strict=True))]
    return lambda first: iter(plans[first:])


def _chunks(
    n: int, size: int, n_batches: int, shuffle: bool, drop_last: bool, generator: torch.Generator | None
) -> list[Tensor]:
    """Positions of each batch among `n`, drawn at once."""
    chunks: list[Tensor] = []
    while len(chunks) < n_batches:
        order = torch.randperm(n, generator=generator) if shuffle else torch.arange(n)
        chunks += [chunk for chunk in torch.split(order, size) if len(chunk) == size or not drop_last]
    return chunks[:n_batches]


def _seed(shuffle: bool, generator: torch.Generator | None) -> int:
    """A seed for random transforms, which arrays draw, too, so that they leave the generator as files do."""
    return int(torch.randint(2**62, (), generator=generator)) if shuffle else 0


class _Column:
    """Positions of each batch in one dataset, none of which are kept.

    Args:
        reader: of the dataset.
        size: images that a batch takes of it.
        seed: what the order of each pass is drawn from; None: the order of the dataset.
        drop_last: see `plan_epoch`.
    """

    def __init__(self, reader: Any, size: int, seed: Sequence[int] | None, drop_last: bool) -> None:
        self.reader, self.size, self.seed, self.n = reader, size, seed, len(reader)
        self.per_pass = self.n // size if drop_last else -(-self.n // size)
        self._pass = -1
        self._order: BlockOrder | None = None

    def batch(self, number: int) -> Tensor:
        """The positions of batch `number` of the epoch."""
        turn, place = divmod(number, self.per_pass)
        first, last = place * self.size, min((place + 1) * self.size, self.n)
        if self.seed is None:
            return torch.arange(first, last)
        if turn != self._pass or self._order is None:
            seed = [*self.seed, turn]
            shards = isinstance(self.reader, ShardReader)
            self._pass, self._order = turn, self.reader.order(seed) if shards else whole_order(self.n, seed)
        return torch.from_numpy(self._order.positions(first, last))
