"""Datasets of raw images in arrays, in memory or mapped from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.data.pixels import image_tensor

Indices = NDArray[np.int64]


class LabeledDataset(Protocol):
    """A dataset whose labels are known without loading an image."""

    targets: list[int]

    def __len__(self) -> int: ...


class ArrayDataset:
    """Images in memory: `data` (N, H, W, C) and `targets`; items are (tensor (C, H, W), int).

    uint8 is read fastest; uint16 becomes uint8, and floats are in [0, 1]. Other types go through
    `avalanche_ssl.data.to_uint8` before.
    """

    def __init__(self, data: NDArray[Any], targets: Sequence[int] | Indices) -> None:
        self.data = data
        self.targets = [int(target) for target in targets]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = np.array(self.data[index])  # a copy, because an array on disk cannot be written
        return image_tensor(image), self.targets[index]


class MappedDataset(ArrayDataset):
    """An `ArrayDataset` of a .npy file, mapped from disk: copies and other processes share its memory."""

    def __init__(self, path: str | Path, targets: Sequence[int]) -> None:
        super().__init__(np.asarray(np.load(path, mmap_mode="r")), targets)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.targets)


def concat_datasets(datasets: Sequence[Any]) -> Any:
    """The datasets as one Avalanche dataset, one after the other; for rooms that do not import Avalanche."""
    from avalanche.benchmarks import utils

    return utils.concat_datasets(list(datasets))
