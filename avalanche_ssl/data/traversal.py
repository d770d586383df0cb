"""The leaf datasets below nested Avalanche datasets, which hold the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from avalanche_ssl.data.datasets import Indices, concat_datasets


class Leaves(NamedTuple):
    """Where each item of a dataset lies: item i is item `position[i]` of `datasets[leaf[i]]`."""

    datasets: list[Any]
    leaf: Indices
    position: Indices


def leaf_datasets(dataset: Any) -> Leaves:
    """The datasets below all subsets and concatenations, and the place of each item in them."""
    leaves: list[Any] = []
    leaf, index = np.empty(len(dataset), np.int64), np.empty(len(dataset), np.int64)

    def descend(node: Any, positions: Indices, rows: Indices) -> None:
        """Items `positions` of the dataset are items `rows` of `node`."""
        node = getattr(node, "_flat_data", node)
        if isinstance(node, Subset):
            descend(node.dataset, positions, take(node.indices, rows))
        elif isinstance(node, ConcatDataset):
            spread(node.datasets, positions, rows)
        elif hasattr(node, "_datasets") and hasattr(node, "_indices"):  # Avalanche's FlatData
            spread(node._datasets, positions, rows if node._indices is None else take(node._indices, rows))
        else:
            number = next((i for i, known in enumerate(leaves) if known is node), len(leaves))
            if number == len(leaves):
                leaves.append(node)
            leaf[positions], index[positions] = number, rows

    def spread(children: Sequence[Any], positions: Indices, rows: Indices) -> None:
        ends = np.cumsum([len(child) for child in children])
        owner = np.searchsorted(ends, rows, side="right")
        for number in np.unique(owner):
            mine = owner == number
            descend(children[number], positions[mine], rows[mine] - (ends[number] - len(children[number])))

    everything = np.arange(len(dataset))
    descend(dataset, everything, everything)
    return Leaves(leaves, leaf, index)


class DistinctImages(NamedTuple):
    """The images of several datasets, each once."""

    dataset: Any
    first: Indices
    """Where each image comes first, counted through all datasets."""
    rows: list[Indices]
    """For each dataset, which of the images it holds."""
    labels: list[Tensor]


def distinct_images(datasets: Sequence[Any]) -> DistinctImages | None:
    """The images of several Avalanche datasets, each once; None if the datasets cannot be traversed."""
    try:
        union = concat_datasets(datasets)
        _, leaf, index = leaf_datasets(union)
        labels = [torch.as_tensor(np.asarray(dataset.targets)) for dataset in datasets]
    except (AttributeError, TypeError, IndexError, AssertionError, ValueError):
        return None
    places = np.stack([leaf, index], 1)
    _, first, which = np.unique(places, axis=0, return_index=True, return_inverse=True)
    ends = np.cumsum([len(dataset) for dataset in datasets])[:-1]
    return DistinctImages(union.subset(first.tolist()), first, np.split(which.reshape(-1), ends), labels)


def distinct_images_if_cheaper(datasets: Sequence[Any], batch_size: int) -> DistinctImages | None:
    """The distinct images where one pass over them saves work, None otherwise.

    It does where the datasets share images, or have fewer than `batch_size` on average.
    """
    found = distinct_images(datasets)
    total = sum(len(dataset) for dataset in datasets)
    cheaper = found is not None and (len(found.dataset) < total or total < batch_size * len(datasets))
    return found if cheaper else None


def take(values: Any, rows: Indices) -> NDArray[Any]:
    """`values[rows]`, without copying a long list for a few of its values."""
    if isinstance(values, np.ndarray | Tensor):
        return np.asarray(values)[rows]
    if len(rows) * 4 < len(values) or not isinstance(values, list | tuple):
        return np.asarray([values[i] for i in rows.tolist()])
    return np.asarray(values)[rows]
