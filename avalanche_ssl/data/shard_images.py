"""Images in shards: read by number, decoded when they are read, and never listed in memory."""

from __future__ import annotations

import io
import os
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from avalanche_ssl.data.block_order import BLOCK, BlockOrder
from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.data.file_datasets import DataError
from avalanche_ssl.data.image_decoding import Findings, ImageDecodingError, decode_image, decoding_threads
from avalanche_ssl.data.pixels import SCALE_BY_OPTION, PixelError, Pixels, ValueRange, note_transparent
from avalanche_ssl.data.shard_index import ShardIndex, check_size
from avalanche_ssl.data.traversal import undivided_leaves
from avalanche_ssl.errors import UsageError

OPEN = 64
"""Shards that a process keeps open."""

HEADER = 512
"""Bytes of the header of a member, which its content follows."""


class ShardImages:
    """The images of consecutive shards as a dataset: items are (tensor (3, S, S) of uint8, label).

    Args:
        index: of the folder.
        first, last: its shards from number `first` to `last`, without this one.
        size: pixels a side, see `decode_image`.
        block: images within which an epoch is shuffled, see `BlockOrder`.
        labeled: whether labels are read; otherwise all are -1.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
    """

    without_transforms = True
    """Nothing lies between the images and what reads them, see `skipped_transforms`."""

    def __init__(
        self,
        index: ShardIndex,
        first: int,
        last: int,
        *,
        size: int,
        block: int = BLOCK,
        labeled: bool = False,
        value_range: ValueRange | None = None,
    ) -> None:
        self.index, self.first, self.last = index, first, last
        self.size, self.block, self.labeled, self.value_range = size, block, labeled, value_range
        self._start, self._end = int(index.starts[first]), int(index.starts[last])
        self._open: OrderedDict[int, _OpenShard] = OrderedDict()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Without open files, for another process."""
        kept = {name: value for name, value in vars(self).items() if name != "targets"}
        return kept | {"_open": OrderedDict(), "_process": -1}

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        x, y = self.read(np.array([position]))
        return x[0], int(y[0])

    @cached_property
    def targets(self) -> Indices:
        """The label of each image, mapped from the index; none where they are not read."""
        return self.index.labels(self._start, self._end) if self.labeled else np.empty(0, np.int64)

    @property
    def options(self) -> tuple[Any, ...]:
        """What images of the same kind have in common."""
        return self.index, self.size, self.block, self.labeled, self.value_range

    def up_to(self, last: int) -> ShardImages:
        """The images from these shards up to shard `last`, without this one."""
        index, size, block, labeled, value_range = self.options
        return ShardImages(index, self.first, last, size=size, block=block, labeled=labeled, value_range=value_range)

    def order(self, seed: Sequence[int]) -> BlockOrder:
        """A random order of all images."""
        return BlockOrder(self.index.counts[self.first : self.last], self.block, seed)

    def read(self, positions: Indices) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S) of uint8 and labels (B,) at positions (B,).

        They are read in the order of the files, and decoded by several threads, but by one in a loader process.

        Raises:
            DataError: a shard is not the one of the index, or an image cannot be decoded.
            UsageError: the values of an image have no known range.
        """
        numbers = np.asarray(positions, np.int64) + self._start
        shards = np.searchsorted(self.index.starts, numbers, side="right") - 1
        contents: list[bytes] = [b""] * len(numbers)
        labels = np.full(len(numbers), -1)
        for place in np.argsort(numbers, kind="stable").tolist():
            shard, row = int(shards[place]), int(numbers[place] - self.index.starts[shards[place]])
            contents[place], label = self._shard(shard).read(row)
            labels[place] = label if self.labeled else -1

        def decode(place: int) -> Pixels:
            return self._decode(contents[place], int(shards[place]), int(numbers[place]))

        threads = 1 if get_worker_info() else decoding_threads([len(content) for content in contents])
        if threads == 1 or len(contents) == 1:
            images = [decode(place) for place in range(len(contents))]
        else:
            with ThreadPoolExecutor() as pool:
                images = list(pool.map(decode, range(len(contents))))
        x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return x, torch.from_numpy(labels)

    def name(self, position: int) -> str:
        """An image for messages: its name in its shard."""
        number = position + self._start
        shard = int(np.searchsorted(self.index.starts, number, side="right") - 1)
        return self._name(shard, number)

    def _name(self, shard: int, number: int) -> str:
        member = self._shard(shard).member(number - int(self.index.starts[shard]))
        return f"image '{member}' of shard '{self.index.folder / self.index.names[shard]}'"

    def _decode(self, content: bytes, shard: int, number: int) -> Pixels:
        findings = Findings()
        try:
            image = decode_image(io.BytesIO(content), self.size, self.value_range, findings)
        except ImageDecodingError as error:
            raise DataError(f"cannot read {self._name(shard, number)} ({error}): repair or remove it") from error
        except PixelError as error:
            raise error.of(self._name(shard, number), SCALE_BY_OPTION) from error
        if findings.transparent:
            note_transparent(f"images of '{self.index.folder}'")
        return image

    def _shard(self, shard: int) -> _OpenShard:
        """A shard, opened by this process: processes that share an open file would move its position."""
        if self._process != os.getpid():
            self._open, self._process = OrderedDict(), os.getpid()
        if shard not in self._open:
            while len(self._open) >= OPEN:
                self._open.popitem(last=False)[1].file.close()
            path = self.index.folder / self.index.names[shard]
            rows = self.index.rows(int(self.index.starts[shard]), int(self.index.starts[shard + 1]))
            self._open[shard] = _OpenShard(path, self.index.sizes[shard], rows)
        self._open.move_to_end(shard)
        return self._open[shard]


def shard_images(dataset: Any) -> ShardImages | None:
    """All images of a dataset, in their order, where they are those of consecutive shards, also of several parts."""
    leaves = undivided_leaves(dataset)
    if not leaves or not all(isinstance(leaf, ShardImages) for leaf in leaves):
        return None
    if any(one.last != other.first or one.options != other.options for one, other in pairwise(leaves)):
        return None
    only: ShardImages = leaves[0] if len(leaves) == 1 else leaves[0].up_to(leaves[-1].last)
    return only


class _OpenShard:
    """An open shard, with the rows of its images."""

    def __init__(self, path: Path, size: int, rows: NDArray[Any]) -> None:
        try:
            check_size(path, size)
            self.file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise DataError(f"cannot open shard '{path}' ({error.strerror}): get it again") from error
        except UsageError as error:
            raise DataError(str(error)) from error
        self.path, self.rows = path, rows
        self.member(0)

    def __del__(self) -> None:
        if file := getattr(self, "file", None):
            file.close()

    def read(self, row: int) -> tuple[bytes, int]:
        """Content and label of an image."""
        offset, size, label = self.rows[row].tolist()
        return self._read(offset, size), label

    def member(self, row: int) -> str:
        """The name of an image in the shard.

        Raises:
            DataError: there is no header of an image of this size: the shard is damaged, or another.
        """
        offset, size, _ = self.rows[row].tolist()
        try:
            header = tarfile.TarInfo.frombuf(self._read(offset - HEADER, HEADER), "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise DataError(f"shard '{self.path}' is damaged ({error}): get it again, or index it again") from error
        if header.size != size:
            raise DataError(f"shard '{self.path}' is not the one of its index: index it again")
        return header.name

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self.file.seek(offset)
            content = self.file.read(size)
        except OSError as error:
            raise DataError(f"cannot read shard '{self.path}' ({error.strerror}): get it again") from error
        return content


class ShardReader:
    """The reader of all images of a `ShardImages`, in whose epochs no list of them is made."""

    t: None = None
    """Task labels: there are none."""

    def __init__(self, images: ShardImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @property
    def y(self) -> Tensor | None:
        """Labels (N,); None if they are not read."""
        return torch.from_numpy(self.images.targets.astype(np.int64)) if self.images.labeled else None

    def order(self, seed: Sequence[int]) -> BlockOrder:
        """See `ShardImages.order`."""
        return self.images.order(seed)

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The images (B, 3, S, S) at `positions` (B,), with their class and task labels; -1 and 0 where unknown."""
        x, y = self.images.read(positions.numpy())
        return x, y, torch.zeros_like(y)
