"""Datasets of raw images in arrays, in memory or mapped from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class LabeledDataset(Protocol):
    """A dataset whose labels are known without loading an image."""

    targets: list[int]

    def __len__(self) -> int: ...


class ArrayDataset:
    """Images in memory: `data` uint8 (N, H, W, C) and `targets`; items are (uint8 tensor (C, H, W), int)."""

    def __init__(self, data: NDArray[np.uint8], targets: Sequence[int] | Indices) -> None:
        self.data = data
        self.targets = [int(target) for target in targets]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = np.array(self.data[index])  # a copy, because an array on disk cannot be written
        return torch.from_numpy(image).permute(2, 0, 1).contiguous(), self.targets[index]


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
