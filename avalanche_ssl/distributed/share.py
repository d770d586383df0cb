"""`Share`: the rows of a batch that this process embeds, and the context in which images are such rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from avalanche_ssl.distributed.processes import rank, size


@dataclass(frozen=True)
class Share:
    """What one of several processes has of a batch: of each part consecutive rows, as many as the others, or one more.

    New and replayed images are parts of a batch, so that every process has some of both.

    Args:
        parts: rows of each part in the whole batch, in their order; each has as many rows as there are processes.
        rank: which process, from 0.
        count: how many processes.
    """

    parts: tuple[int, ...]
    rank: int
    count: int

    @property
    def total(self) -> int:
        """Rows of the whole batch."""
        return sum(self.parts)

    @cached_property
    def rows(self) -> Tensor:
        """This process's rows of the whole batch, ascending; (n,) long, on the CPU."""
        return torch.cat([torch.arange(start, stop) for start, stop in self.bounds])

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """For each part the first of this process's rows in the whole batch, and the one after the last."""
        starts = [sum(self.parts[:i]) for i in range(len(self.parts))]
        firsts = [start + self._before(self.rank, n) for start, n in zip(starts, self.parts, strict=True)]
        return [(first, first + self._size(self.rank, n)) for first, n in zip(firsts, self.parts, strict=True)]

    @cached_property
    def sizes(self) -> list[int]:
        """How many rows each process has."""
        return [sum(self._sizes_of(rank)) for rank in range(self.count)]

    def _before(self, rank: int, rows: int) -> int:
        """How many of a part's rows the processes before one have."""
        return rank * (rows // self.count) + min(rank, rows % self.count)

    def _size(self, rank: int, rows: int) -> int:
        """How many of a part's rows a process has."""
        return rows // self.count + (rank < rows % self.count)

    def part(self, number: int) -> Share:
        """The share of one part."""
        return Share(self.parts[number : number + 1], self.rank, self.count)

    def within(self, start: int, stop: int) -> Share | None:
        """The share of the rows from `start` to `stop` alone, which are whole parts; None if these are none."""
        ends = [sum(self.parts[: i + 1]) for i in range(len(self.parts))]
        inside = tuple(n for end, n in zip(ends, self.parts, strict=True) if start <= end - n and end <= stop)
        if sum(inside) != max(0, stop - start):
            raise ValueError(f"rows {start} to {stop} are no whole parts of a batch of parts {self.parts}")
        return Share(inside, self.rank, self.count) if inside else None

    def keep(self, whole: Tensor, dim: int = 0) -> Tensor:
        """This process's rows of a tensor of the whole batch, whose dimension `dim` has k entries for each image."""
        each = whole.shape[dim] // self.total
        kept = [whole.narrow(dim, start * each, (stop - start) * each) for start, stop in self.bounds]
        return kept[0] if len(kept) == 1 else torch.cat(kept, dim)

    def joined(self, rows: Sequence[Tensor]) -> Tensor:
        """The whole batch, of what each process has of it."""
        left = [list(torch.split(own, self._sizes_of(rank))) for rank, own in enumerate(rows)]
        return torch.cat([own[number] for number in range(len(self.parts)) for own in left])

    def _sizes_of(self, rank: int) -> list[int]:
        """How many rows of each part a process has."""
        return [self._size(rank, n) for n in self.parts]


def share_of(*parts: int) -> Share | None:
    """This process's share of a batch; None, all of it, in one process, and where a part is smaller than their number.

    Args:
        parts: rows of each part of the whole batch.
    """
    fits = size() > 1 and bool(parts) and min(parts) >= size()
    return Share(parts, rank(), size()) if fits else None


_present: Share | None = None


def present() -> Share | None:
    """The share that images are now; None: they are a whole batch."""
    return _present


@contextmanager
def images_are(share: Share | None) -> Iterator[None]:
    """A block in which images are the rows of a share; None: a whole batch."""
    global _present
    before, _present = _present, share
    try:
        yield
    finally:
        _present = before


def whole_shape(shape: Sequence[int], dim: int) -> Sequence[int]:
    """The shape of a draw for the whole batch, where `shape` is that for the present images.

    Raises:
        ValueError: dimension `dim` has no whole number of entries for each image.
    """
    if _present is None:
        return shape
    own = len(_present.rows)
    each, rest = divmod(shape[dim], own)
    if rest:
        raise ValueError(
            f"a draw of shape {tuple(shape)} for {own} images: dimension {dim} has no whole number of entries for "
            "each; say in which dimension the images are, uniform(..., images=1), or that it is for none, images=None"
        )
    return (*shape[:dim], each * _present.total, *shape[dim + 1 :])
