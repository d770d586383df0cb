"""How do raw images reach the method, a whole batch at a time?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from avalanche_ssl.errors import UsageError
from avalanche_ssl.sources import Arrays, Batch, resolve, source

__all__ = ["RawLoader", "from_replay", "resolve"]

Plan = list[list[Tensor]]  # for each batch, the positions to take from each dataset


class RawLoader:
    """Mini-batches (x, y, t) of raw images: x (B, C, H, W) uint8, class labels y (B,), task labels t (B,).

    y is -1 and t is 0 where a dataset has none. With several datasets a batch joins `batch_sizes[0]` images
    of the first, which sets the length of the epoch, and `batch_sizes[k]` of each other (all of it, if it
    is smaller), reshuffled whenever it runs out; no image comes twice in a batch. The order of an epoch is
    drawn from `generator` (torch's own if None) when the epoch starts.

    Images that lie in arrays are gathered at once. All others are read one by one, by `num_workers`
    processes, with the dataset's transforms removed; both ways give the same pixels. `transforms=True`
    keeps the transforms.

    The last batch: `drop_last=True`, for training, drops it when incomplete, unless it is the only one. A
    single image without company cannot be learnt from: it is skipped with a warning. `drop_last=False`
    keeps all.
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        batch_sizes: Sequence[int],
        *,
        shuffle: bool,
        generator: torch.Generator | None = None,
        drop_last: bool = True,
        num_workers: int = 0,
        transforms: bool = False,
    ) -> None:
        if len(datasets) != len(batch_sizes) or not datasets or min(batch_sizes) < 1:
            raise UsageError(f"{len(datasets)} datasets need as many batch sizes above 0, not {list(batch_sizes)}")
        filled = [(source(d, transforms), size) for d, size in zip(datasets, batch_sizes, strict=True) if len(d)]
        self.sources = _Joined([s for s, _ in filled] if len(datasets[0]) else [])
        self.batch_sizes = [min(size, len(s)) for s, size in filled]
        self.shuffle = shuffle
        self.generator = generator
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.is_fast = all(isinstance(s, Arrays) for s in self.sources.parts)
        self._epoch: Plan = []
        self._workers: DataLoader[Batch] | None = None

    def __len__(self) -> int:
        if not self.sources.parts:
            return 0
        n, size = len(self.sources.parts[0]), self.batch_sizes[0]
        if not self.drop_last:
            return -(-n // size)
        return 0 if n == 1 == len(self.sources.parts) else n // size

    def __iter__(self) -> Iterator[Batch]:
        if len(self) == 0:
            size = "a single image" if self.sources.parts else "no image"
            warnings.warn(f"an experience of {size} is skipped: it takes two to learn from", stacklevel=2)
            return
        self._epoch[:] = self._plan()
        seed = self._seed()
        if self.is_fast or self.num_workers == 0:
            for positions in self._epoch:
                yield self.sources.batch(positions)
            return
        for batch in self._processes(seed):
            if isinstance(batch, UsageError):
                raise batch
            yield batch

    def _plan(self) -> Plan:
        """The positions of every batch of an epoch, drawn at once."""
        n_batches = len(self)
        columns = [
            self._chunks(len(part), size, n_batches)
            for part, size in zip(self.sources.parts, self.batch_sizes, strict=True)
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def _chunks(self, n: int, size: int, n_batches: int) -> list[Tensor]:
        chunks: list[Tensor] = []
        while len(chunks) < n_batches:
            order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
            chunks += [chunk for chunk in torch.split(order, size) if len(chunk) == size or not self.drop_last]
        return chunks[:n_batches]

    def _seed(self) -> int:
        """For random transforms in worker processes; the fast path draws it too, and so stays in step."""
        return int(torch.randint(2**62, (), generator=self.generator)) if self.shuffle else 0

    def _processes(self, seed: int) -> DataLoader[Batch]:
        """The same processes serve all epochs: the list `_epoch` is theirs, and refilled."""
        if self._workers is None:
            self._workers = DataLoader(
                self.sources,
                batch_sampler=self._epoch,
                num_workers=self.num_workers,
                collate_fn=_unchanged,
                generator=torch.Generator(),
                persistent_workers=True,
            )
        assert self._workers.generator is not None
        self._workers.generator.manual_seed(seed)
        return self._workers


class _Joined(torch.utils.data.Dataset[Batch]):
    """Several datasets whose batches are joined."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def batch(self, positions: list[Tensor]) -> Batch:
        batches = [part.batch(rows) for part, rows in zip(self.parts, positions, strict=True)]
        if len(batches) == 1:
            only: Batch = batches[0]
            return only
        shapes = [tuple(x.shape[1:]) for x, _, _ in batches]
        if len(set(shapes)) > 1:
            raise UsageError(f"images of the stream and its memory differ in shape (C, H, W): {shapes}")
        x, y, t = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
        return x, y, t

    def __getitems__(self, positions: list[Tensor]) -> Batch | UsageError:
        """What a worker process calls. An error travels as a value: raised, it would come as a traceback."""
        try:
            return self.batch(positions)
        except UsageError as error:
            return error


def _unchanged(batch: Any) -> Any:
    """Stands for a collate function: the batch is complete."""
    return batch


def from_replay(
    loader: Any,
    *,
    generator: torch.Generator | None = None,
    transforms: bool = False,
    drop_last: bool = True,
) -> RawLoader | None:
    """What Avalanche's `ReplayDataLoader` would load, as raw batches: data first, then memory.

    None for every other loader, and for one that balances several tasks.
    """
    from avalanche.benchmarks.utils.data_loader import ReplayDataLoader

    if type(loader) is not ReplayDataLoader or len(loader.datasets) != 2:
        return None
    return RawLoader(
        loader.datasets,
        loader.batch_sizes,
        shuffle=loader.loader_kwargs.get("shuffle", False),
        generator=generator,
        drop_last=drop_last,
        num_workers=loader.loader_kwargs.get("num_workers", 0),
        transforms=transforms,
    )
