"""The leaf datasets below nested Avalanche datasets, which hold the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset

from avalanche_ssl.data.dataset_transforms import (
    Chain,
    FrozenItems,
    changes_images,
    describe,
    own_transform,
    same_chain,
    same_leaf,
    transform_of,
)
from avalanche_ssl.data.datasets import Indices, concat_datasets
from avalanche_ssl.errors import UsageError


class Leaves(NamedTuple):
    """Where each item of a dataset lies: item i is item `position[i]` of `datasets[leaf[i]]`."""

    datasets: list[Any]
    leaf: Indices
    position: Indices


class Part(NamedTuple):
    """Items of a dataset that lie in one leaf, below the same transforms."""

    leaf: Any
    """The dataset that holds their images; frozen transforms are part of it, see `FrozenItems`."""
    skipped: Chain
    """The ordinary transforms, which raw images do not pass."""
    positions: Indices
    """Which items of the dataset these are."""
    rows: Indices
    """Which items of the leaf."""


def leaf_datasets(dataset: Any, group: str | None = None) -> Leaves:
    """The datasets below all subsets and concatenations, and the place of each item in them.

    Frozen transforms of Avalanche's datasets belong to the data: what lies below them is a leaf of its own.

    Args:
        dataset: of any kind.
        group: whose transforms count, "train" or "eval"; None for the group that the dataset is in.
    """
    leaves: list[Any] = []
    leaf, index = np.empty(len(dataset), np.int64), np.empty(len(dataset), np.int64)
    for part in parts(dataset, group):
        number = next((i for i, known in enumerate(leaves) if same_leaf(known, part.leaf)), len(leaves))
        if number == len(leaves):
            leaves.append(part.leaf)
        leaf[part.positions], index[part.positions] = number, part.rows
    return Leaves(leaves, leaf, index)


def parts(dataset: Any, group: str | None = None) -> list[Part]:
    """The parts of a dataset, by leaf and transforms; arguments as for `leaf_datasets`."""
    found: list[Part] = []

    def descend(node: Any, positions: Indices, rows: Indices, above: _Transforms) -> None:
        """Items `positions` of the dataset are items `rows` of `node`."""
        node = getattr(node, "_flat_data", node)
        if _indexes_as(node, Subset):
            descend(node.dataset, positions, take(node.indices, rows), above.below_another())
        elif _indexes_as(node, ConcatDataset):
            spread(node.datasets, positions, rows, above.below_another())
        elif hasattr(node, "_datasets") and hasattr(node, "_indices"):  # Avalanche's FlatData
            inner = rows if node._indices is None else take(node._indices, rows)
            spread(node._datasets, positions, inner, above.below(node))
        else:
            found.append(Part(*above.of_leaf(node), positions, rows))

    def spread(children: Sequence[Any], positions: Indices, rows: Indices, above: _Transforms) -> None:
        if len(children) == 1:
            return descend(children[0], positions, rows, above)
        ends = np.cumsum([len(child) for child in children])
        owner = np.searchsorted(ends, rows, side="right")
        for number in np.unique(owner):
            mine = owner == number
            start = ends[number] - len(children[number])
            descend(children[number], positions[mine], rows[mine] - start, above)

    everything = np.arange(len(dataset))
    descend(dataset, everything, everything, _Transforms(group))
    return found


def undivided_leaves(dataset: Any) -> list[Any] | None:
    """The datasets that hold the images of `dataset`, one after the other, all of them, and without transforms above.

    They are found without a list of the images; None if the dataset selects some, or transforms them.
    """
    leaves: list[Any] = []

    def descend(node: Any, above: _Transforms) -> bool:
        node = getattr(node, "_flat_data", node)
        if not (hasattr(node, "_datasets") and hasattr(node, "_indices")):
            leaves.append(node)
            return not (above.frozen or above.skipped)
        below = above.below(node)
        return node._indices is None and all(descend(child, below) for child in node._datasets)

    try:
        return leaves if descend(dataset, _Transforms(None)) else None
    except (AttributeError, TypeError):  # Avalanche's private attributes have changed
        return None


class _Transforms(NamedTuple):
    """The transforms above a node, in the order of their application."""

    forced: str | None
    """The group that counts everywhere."""
    group: str | None = None
    """The group that the nearest dataset above is in: Avalanche's datasets pass it down."""
    frozen: Chain = ()
    """The outermost frozen transform of images and all below it."""
    skipped: Chain = ()
    """Ordinary ones above it."""

    def below(self, node: Any) -> _Transforms:
        """Those above the children of one of Avalanche's nodes."""
        if not hasattr(node, "_transform_groups"):
            return self
        group = self.forced or self.group or node._transform_groups.current_group
        frozen, kept, skipped = transform_of(node._frozen_transform_groups, group), self.frozen, self.skipped
        ordinary = transform_of(node._transform_groups, group)
        if ordinary is not None:
            kept, skipped = ((ordinary, *kept), skipped) if kept else (kept, (ordinary, *skipped))
        if frozen is not None and (kept or changes_images(frozen)):
            kept = (frozen, *kept)
        return _Transforms(self.forced, group, kept, skipped)

    def below_another(self) -> _Transforms:
        """Those above the children of a dataset that is not Avalanche's: the next one of these is in its own group."""
        return self._replace(group=None)

    def of_leaf(self, leaf: Any) -> tuple[Any, Chain]:
        """The leaf with its frozen transforms, and the others."""
        if self.frozen:
            return FrozenItems(leaf, self.frozen), self.skipped
        own = own_transform(leaf)
        return leaf, self.skipped if own is None else (own, *self.skipped)


def _indexes_as(node: Any, kind: type) -> bool:
    """Whether a dataset gives the items below it as they are: a class of others may do something to them."""
    if not isinstance(node, kind):
        return False
    cls: Any = type(node)
    return cls.__getitem__.__module__.partition(".")[0] in ("torch", "avalanche")


def check_same_transforms(datasets: Sequence[Any], group: str | None = None) -> Chain | None:
    """Refuse experiences that differ in the transforms that raw images do not pass.

    Args:
        datasets: one per experience, in order.
        group: as for `leaf_datasets`.

    Returns:
        The transforms that all have; None if no dataset can be traversed.

    Raises:
        UsageError: which experiences and transforms.
    """
    first: tuple[int, Chain] | None = None
    for number, dataset in enumerate(datasets, 1):
        chains = [(number, chain) for chain in skipped_transforms(dataset, group)]
        if len(chains) > 1:
            raise different_transforms(chains[0], chains[1])
        for chain in chains:
            first = first or chain
            if not same_chain(first[1], chain[1]):
                raise different_transforms(first, chain)
    return first and first[1]


def skipped_transforms(dataset: Any, group: str | None = None) -> list[Chain]:
    """The transforms that raw images do not pass, none twice; one item if they are the same for all images.

    Nothing if the dataset cannot be traversed; arguments as for `leaf_datasets`.
    """
    leaves = undivided_leaves(dataset)
    if leaves and all(getattr(leaf, "without_transforms", False) for leaf in leaves):
        return [()]
    chains: list[Chain] = []
    try:
        found = parts(dataset, group)
    except (AttributeError, TypeError, IndexError):  # Avalanche's private attributes have changed
        return []
    for part in found:
        if not any(same_chain(part.skipped, known) for known in chains):
            chains.append(part.skipped)
    return chains


def different_transforms(one: tuple[int, Chain], other: tuple[int, Chain]) -> UsageError:
    """The error about two chains of transforms, each with the number of its experience."""
    (i, a), (j, b) = one, other
    where = f"experiences {i} and {j} have" if i != j else f"the images of experience {i} have"
    return UsageError(
        f"{where} different transforms ({describe(a)}; {describe(b)}), which raw images do not pass: if they belong to "
        "the data, freeze them, make_avalanche_dataset(data, frozen_transform_groups={'train': f, 'eval': f}); else "
        "give all experiences the same, or keep them with use_dataset_transforms=True"
    )


class DistinctImages(NamedTuple):
    """The images of several datasets, each once."""

    dataset: Any
    first: Indices
    """Where each image comes first, counted through all datasets."""
    rows: list[Indices]
    """For each dataset, which of the images it holds."""


def distinct_images(datasets: Sequence[Any]) -> DistinctImages | None:
    """The images of several Avalanche datasets, each once; None if the datasets cannot be traversed."""
    try:
        union = concat_datasets(datasets)
        _, leaf, index = leaf_datasets(union, "eval")
    except (AttributeError, TypeError, IndexError, AssertionError, ValueError):
        return None
    places = np.stack([leaf, index], 1)
    _, first, which = np.unique(places, axis=0, return_index=True, return_inverse=True)
    ends = np.cumsum([len(dataset) for dataset in datasets])[:-1]
    return DistinctImages(union.subset(first.tolist()), first, np.split(which.reshape(-1), ends))


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
