"""Mini-batches of raw images, gathered from arrays at once or decoded by worker processes."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from avalanche_ssl import distributed
from avalanche_ssl.data.channels import as_rgb
from avalanche_ssl.data.epoch_plan import BatchPlan, Epoch, Plan, plan_epoch
from avalanche_ssl.data.loader_processes import (
    dead_worker_message,
    is_dead_worker,
    leave_signals_to_parent,
    signals_blocked,
)
from avalanche_ssl.data.pixels import same_type
from avalanche_ssl.data.readers import ArrayReader, Batch, DataError, make_reader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import seeded

Work = tuple["Batch | UsageError", list[tuple[str, type[Warning]]]]
"""What a worker process returns: a batch or an error, and the warnings on the way."""


class RawDataLoader:
    """Mini-batches (x, y, t) of raw images: x (B, C, H, W) uint8 or float32, class labels y (B,), task labels t (B,).

    y is -1 and t is 0 where a dataset has none. With several datasets a batch concatenates `batch_sizes[0]` images of
    the first, which sets the length of the epoch, and `batch_sizes[k]` of each other (all of it, if it is smaller),
    reshuffled whenever it runs out; no image comes twice in a batch. The order of an epoch is drawn from `generator`
    (torch's own if None) when the epoch starts. Between two batches, `position` returns where the epoch stands, and
    `start_at` makes the next epoch the rest of that one.

    Images that lie in arrays are gathered at once. All others are read one by one, by `num_workers` processes, with
    frozen transforms only; both ways give the same pixels. `use_dataset_transforms=True` keeps the transforms. Where
    the model's `in_channels` are three, gray images become RGB, with a warning. `raw=False`, for networks that are no
    method of ours, lets tensors pass whatever their values.

    With `shared=True` each of several processes gets its `share` of a batch, or all of one that has fewer images than
    there are processes.

    The last batch: `drop_last=True`, for training, drops it when incomplete, unless it is the only one. One image alone
    is skipped with a warning, unless `is_filled()` says that others join it. `drop_last=False` keeps all.
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
        use_dataset_transforms: bool = False,
        in_channels: int | None = None,
        raw: bool = True,
        is_filled: Callable[[], bool] = lambda: False,
        shared: bool = False,
    ) -> None:
        if len(datasets) != len(batch_sizes) or not datasets or min(batch_sizes) < 1:
            raise UsageError(f"{len(datasets)} datasets need as many batch sizes above 0, not {list(batch_sizes)}")
        filled = [
            (make_reader(d, use_dataset_transforms, raw), size)
            for d, size in zip(datasets, batch_sizes, strict=True)
            if len(d)
        ]
        self.batches = JointReader([reader for reader, _ in filled] if len(datasets[0]) else [], in_channels)
        self.batch_sizes = [min(size, len(reader)) for reader, size in filled]
        self.shuffle, self.drop_last = shuffle, drop_last
        self.generator = generator
        self.num_workers = num_workers
        self.is_fast = self.batches.is_fast
        self._is_filled = is_filled
        self.shared = shared and distributed.size() > 1
        self.share: distributed.Share | None = None
        """What this process has of the present batch; None: all of it."""
        self._shares: deque[distributed.Share | None] = deque()  # of the batches that are read already
        self._epoch = Epoch()
        self._start: Tensor | None = None  # state of the generator when the epoch was drawn
        self._taken = self._skip = 0
        self._workers: DataLoader[Work] | None = None

    def __len__(self) -> int:
        if not self.batches.readers:
            return 0
        n, size = len(self.batches.readers[0]), self.batch_sizes[0]
        if not self.drop_last:
            return -(-n // size)
        return 0 if n == 1 == len(self.batches.readers) and not self._is_filled() else n // size

    def __iter__(self) -> Iterator[Batch]:
        if len(self) == 0:
            size = "a single image" if self.batches.readers else "no image"
            why = ": training takes two" if self.drop_last else ""  # an evaluation takes any number but none
            warnings.warn(f"an experience of {size} is skipped{why}", stacklevel=2)
            return
        self._start = self._random_state()
        self._shares.clear()
        self._epoch.begin(self._plan(), self._skip)
        self._taken, self._skip = self._skip, 0
        for batch in self._batches():
            if isinstance(batch, UsageError):
                raise batch
            self._taken += 1
            self.share = self._shares.popleft() if self.shared else None
            yield batch

    def _batches(self) -> Iterator[Batch | UsageError]:
        """The planned batches; what workers warn of is said here, once for all of them."""
        if self.is_fast or self.num_workers == 0:
            yield from map(self.batches.batch, self._epoch)
            return
        try:
            with signals_blocked():
                batches = iter(self._processes())
            for batch, warned in batches:
                for message, category in warned:
                    warnings.warn(message, category, stacklevel=2)
                yield batch
        except (RuntimeError, OSError, EOFError) as error:
            self.shut_down_workers()
            if isinstance(error, RuntimeError) and not is_dead_worker(error):
                raise
            # Otherwise the connection broke, because a process died: unreadable data come as a UsageError.
            raise DataError(dead_worker_message(error)) from error

    def shut_down_workers(self) -> None:
        """End the worker processes; otherwise torch would raise an error at any later point for each that died."""
        iterator: Any = getattr(self._workers, "_iterator", None)
        self._workers = None
        if iterator is None:
            return
        for _ in range(1 + iterator._num_workers):
            with suppress(RuntimeError, ValueError):  # ValueError: they are removed already
                signal_handling._remove_worker_pids(id(iterator))  # type: ignore[attr-defined]
                iterator._worker_pids_set = False
        iterator._shutdown_workers()

    def position(self) -> dict[str, Any]:
        """Where the running epoch stands between two batches, for `start_at` of a loader of the same data."""
        return {"start": self._start, "taken": self._taken}

    def start_at(self, position: dict[str, Any]) -> None:
        """Draw the next epoch as the one that `position` was taken in, and begin where that one stood."""
        if position["start"] is not None:
            self._set_random_state(position["start"])
        self._skip = int(position["taken"])

    def _random_state(self) -> Tensor:
        return torch.get_rng_state() if self.generator is None else self.generator.get_state()

    def _set_random_state(self, state: Tensor) -> None:
        if self.generator is None:
            torch.set_rng_state(state)
        else:
            self.generator.set_state(state)

    def _plan(self) -> Plan:
        """The batches of an epoch, whose order is drawn now."""
        plan = plan_epoch(
            self.batches.readers,
            self.batch_sizes,
            len(self),
            shuffle=self.shuffle,
            drop_last=self.drop_last,
            generator=self.generator,
        )
        return (lambda first: map(self._cut, plan(first))) if self.shared else plan

    def _cut(self, plan: BatchPlan) -> BatchPlan:
        """What this process reads of a batch."""
        share = distributed.share_of(*map(len, plan.positions))
        self._shares.append(share)
        if share is None:
            return plan
        own = [positions[share.part(i).rows] for i, positions in enumerate(plan.positions)]
        return BatchPlan(own, plan.seed + int(share.rows[0]))

    def _processes(self) -> DataLoader[Work]:
        """The worker processes, which serve all epochs: they read `_epoch`, in which each epoch begins."""
        if self._workers is None:
            self._workers = DataLoader(
                self.batches,
                batch_sampler=self._epoch,  # type: ignore[arg-type]
                num_workers=self.num_workers,
                collate_fn=_unchanged,
                generator=torch.Generator(),
                persistent_workers=True,
                worker_init_fn=leave_signals_to_parent,
            )
        return self._workers


class JointReader(torch.utils.data.Dataset[Work]):
    """Reads the batches of several datasets as one."""

    def __init__(self, readers: list[Any], in_channels: int | None = None) -> None:
        self.readers = readers
        self.in_channels = in_channels
        self.is_fast = all(isinstance(reader, ArrayReader) for reader in readers)

    def batch(self, plan: BatchPlan) -> Batch:
        """The planned rows of all datasets, one after the other."""
        with nullcontext() if self.is_fast else seeded(plan.seed):
            batches = [reader.batch(rows) for reader, rows in zip(self.readers, plan.positions, strict=True)]
        if self.in_channels == 3 or {x.shape[1] for x, _, _ in batches} == {1, 3}:
            batches = [(as_rgb(x), y, t) for x, y, t in batches]
        if len(batches) == 1:
            only: Batch = batches[0]
            return only
        shapes = [tuple(x.shape[1:]) for x, _, _ in batches]
        if len(set(shapes)) > 1:
            raise UsageError(f"images of the stream and its memory differ in shape (C, H, W): {shapes}")
        images, y, t = zip(*batches, strict=True)
        return torch.cat(same_type(images)), torch.cat(y), torch.cat(t)

    def __getitems__(self, plan: BatchPlan) -> Work:
        """What a worker process calls. Errors and warnings are returned: raised, they would arrive as a traceback."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                batch: Batch | UsageError = self.batch(plan)
            except UsageError as error:
                batch = error
        return batch, [(str(warning.message), warning.category) for warning in caught]


def _unchanged(batch: Any) -> Any:
    """The collate function: the batch is complete."""
    return batch


def from_replay(
    loader: Any,
    new: Any = None,
    *,
    generator: torch.Generator | None = None,
    use_dataset_transforms: bool = False,
    in_channels: int | None = None,
    shared: bool = False,
) -> RawDataLoader | None:
    """The batches that Avalanche's `ReplayDataLoader` would load, raw: data first, then memory, by task if balanced.

    None for every other loader, and for one that divides the data, too, by task: the first dataset is not `new` then.
    """
    from avalanche.benchmarks.utils.data_loader import ReplayDataLoader

    if type(loader) is not ReplayDataLoader or (len(loader.datasets) > 2 and loader.datasets[0] is not new):
        return None
    return RawDataLoader(
        loader.datasets,
        loader.batch_sizes,
        shuffle=loader.loader_kwargs.get("shuffle", False),
        generator=generator,
        num_workers=loader.loader_kwargs.get("num_workers", 0),
        use_dataset_transforms=use_dataset_transforms,
        in_channels=in_channels,
        shared=shared,
    )
