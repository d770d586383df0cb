"""Walk nested Avalanche datasets down to the datasets that hold the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

Indices = NDArray[np.int64]


def walk(dataset: Any) -> tuple[list[Any], Indices, Indices]:
    """The datasets below all subsets and concatenations, and each position's leaf and index there."""
    leaves: list[Any] = []
    leaf, index = np.empty(len(dataset), np.int64), np.empty(len(dataset), np.int64)

    def descend(node: Any, positions: Indices, here: Indices) -> None:
        """`positions` of the whole are items `here` of `node`."""
        node = getattr(node, "_flat_data", node)
        if isinstance(node, Subset):
            descend(node.dataset, positions, _take(node.indices, here))
        elif isinstance(node, ConcatDataset):
            spread(node.datasets, positions, here)
        elif hasattr(node, "_datasets") and hasattr(node, "_indices"):  # Avalanche's FlatData
            spread(node._datasets, positions, here if node._indices is None else _take(node._indices, here))
        else:
            number = next((i for i, known in enumerate(leaves) if known is node), len(leaves))
            if number == len(leaves):
                leaves.append(node)
            leaf[positions], index[positions] = number, here

    def spread(children: Sequence[Any], positions: Indices, here: Indices) -> None:
        ends = np.cumsum([len(child) for child in children])
        owner = np.searchsorted(ends, here, side="right")
        for number in np.unique(owner):
            mine = owner == number
            descend(children[number], positions[mine], here[mine] - (ends[number] - len(children[number])))

    everything = np.arange(len(dataset))
    descend(dataset, everything, everything)
    return leaves, leaf, index


class Joined(NamedTuple):
    """All images of several datasets, each once."""

    dataset: Any
    first: Indices
    """Where each of them comes first, counted through all datasets."""
    rows: list[Indices]
    """Which of them each dataset has."""
    labels: list[Tensor]


def joined(datasets: Sequence[Any], small: int) -> Joined | None:
    """As `merged`, where that saves work: they share images, or have fewer than `small` on average. None otherwise."""
    found = merged(datasets)
    total = sum(len(dataset) for dataset in datasets)
    worth = found is not None and (len(found.dataset) < total or total < small * len(datasets))
    return found if worth else None


def merged(datasets: Sequence[Any]) -> Joined | None:
    """Datasets of Avalanche's as one; None if they cannot be walked."""
    from avalanche.benchmarks.utils import concat_datasets

    try:
        whole = concat_datasets(list(datasets))
        _, leaf, index = walk(whole)
        labels = [torch.as_tensor(np.asarray(dataset.targets)) for dataset in datasets]
    except (AttributeError, TypeError, IndexError, AssertionError, ValueError):
        return None
    places = np.stack([leaf, index], 1)
    _, first, which = np.unique(places, axis=0, return_index=True, return_inverse=True)
    ends = np.cumsum([len(dataset) for dataset in datasets])[:-1]
    return Joined(whole.subset(first.tolist()), first, np.split(which.reshape(-1), ends), labels)


def _take(values: Any, here: Indices) -> NDArray[Any]:
    """`values[here]`, without copying a long list for a few of its values."""
    if isinstance(values, np.ndarray | Tensor):
        return np.asarray(values)[here]
    if len(here) * 4 < len(values) or not isinstance(values, list | tuple):
        return np.asarray([values[i] for i in here.tolist()])
    return np.asarray(values)[here]
