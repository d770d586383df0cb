"""Readers of raw images and labels, past the subsets and concatenations that Avalanche wraps a dataset in.

`ArrayReader` gathers a whole batch from arrays, `ItemReader` decodes images one by one, with frozen transforms only.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.data.channels import stack_images
from avalanche_ssl.data.dataset_transforms import FrozenItems
from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.data.dict_items import dict_item_message
from avalanche_ssl.data.file_datasets import UNREADABLE, item_name, unreadable, with_raw_loaders
from avalanche_ssl.data.file_datasets import DataError as DataError
from avalanche_ssl.data.labels import item_label, labels_of_items
from avalanche_ssl.data.memmap import residency
from avalanche_ssl.data.pixels import PixelError, image_tensor, same_type
from avalanche_ssl.data.shard_images import ShardReader, shard_images
from avalanche_ssl.data.traversal import Leaves, leaf_datasets
from avalanche_ssl.errors import UsageError

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass
class ArrayReader:
    """The fast path: position i of the dataset is `leaves[leaf[i]][index[i]]`, an image (H, W, C) of uint8.

    `y` and `t` are class and task labels (N,), -1 and 0 where the dataset has none.
    """

    leaves: list[NDArray[np.uint8]]
    leaf: Indices
    index: Indices
    y: Tensor
    t: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, positions: Tensor) -> Batch:
        """The images (B, C, H, W) at `positions` (B,), with their labels."""
        rows = positions.numpy()
        leaf, index = self.leaf[rows], self.index[rows]
        if len(self.leaves) == 1:
            images = self.leaves[0][index]
        else:
            images = np.empty((len(rows), *self.leaves[0].shape[1:]), np.uint8)
            for number, array in enumerate(self.leaves):
                images[leaf == number] = array[index[leaf == number]]
        for array in self.leaves:
            residency.read(array, len(rows))
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        return x, self.y[positions], self.t[positions]


@dataclass
class ItemReader:
    """The general path: position i of the dataset is item `index[i]` of `leaves[leaf[i]]`."""

    leaves: list[Any]
    leaf: Indices
    index: Indices
    y: Tensor | None
    t: Tensor | None
    raw: bool = True
    """Whether tensors are raw images, which are checked; otherwise they pass as they are."""

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, positions: Tensor) -> Batch:
        """As `ArrayReader.batch`, or float32 in [0, 1] (B, C, H, W); gray images among RGB become RGB."""
        items = [self._item(position) for position in positions.tolist()]
        images = same_type([x for x, _ in items])
        x = stack_images(images, lambda place: self._name(int(positions[place])))
        y = torch.tensor([item_label(y) for _, y in items]) if self.y is None else self.y[positions]
        t = torch.zeros_like(y) if self.t is None else self.t[positions]
        return x, y, t

    def _name(self, position: int) -> str:
        return item_name(self.leaves[self.leaf[position]], int(self.index[position]))

    def _item(self, position: int) -> tuple[Tensor, Any]:
        """The image and what comes second in the item, which is its label where `y` is not known."""
        leaf, index = self.leaves[self.leaf[position]], int(self.index[position])
        try:
            item = leaf[index]
        except UNREADABLE as error:
            name = self._name(position)
            raise DataError(f"cannot read {name} ({unreadable(error, name)}): repair or remove it") from error
        except PixelError as error:
            raise error.of(self._name(position)) from error
        if isinstance(item, Mapping):
            raise UsageError(dict_item_message(item))
        x, y = (item[0], item[1] if len(item) > 1 else -1) if isinstance(item, tuple | list) else (item, -1)
        if not self.raw and isinstance(x, Tensor):
            return x, y
        try:
            return image_tensor(x), y
        except PixelError as error:
            raise error.of(self._name(position)) from error


def make_reader(
    dataset: Any, use_dataset_transforms: bool = False, raw: bool = True
) -> ArrayReader | ItemReader | ShardReader:
    """The fast path if there is one, else the general path, which alone can keep the dataset's own transforms.

    All images of some shards are read without a list of them.

    With `raw=False` the tensors of a dataset may have any values, for networks that expect them.
    """
    if (shards := shard_images(dataset)) is not None:
        return ShardReader(shards)
    arrays = None if use_dataset_transforms else array_reader(dataset)
    return item_reader(dataset, use_dataset_transforms, raw) if arrays is None else arrays


def array_reader(dataset: Any) -> ArrayReader | None:
    """The fast path of a dataset, or None unless all its images lie in arrays of one shape."""
    if shard_images(dataset) is not None:
        return None
    try:
        leaves, leaf, index = leaf_datasets(dataset)
    except (AttributeError, TypeError, IndexError):  # Avalanche's private attributes have changed
        return None
    arrays = [_array(node, index[leaf == number]) for number, node in enumerate(leaves)]
    found = [array for array in arrays if array is not None]
    if not found or len(found) < len(arrays) or len({array.shape[1:] for array in found}) > 1:
        return None
    y, t = labels_of_items(dataset, leaves, leaf, index)
    y = torch.full((len(index),), -1) if y is None else y
    return ArrayReader(found, leaf, index, y, torch.zeros_like(y) if t is None else t)


def item_reader(dataset: Any, use_dataset_transforms: bool = False, raw: bool = True) -> ItemReader:
    """The general path of a dataset, which exists for every dataset."""
    n = len(dataset)
    undivided = Leaves([with_raw_loaders(dataset)], np.zeros(n, np.int64), np.arange(n))
    try:
        leaves, leaf, index = leaf_datasets(dataset)
    except (AttributeError, TypeError, IndexError):
        leaves, leaf, index = undivided
    y, t = labels_of_items(dataset, leaves, leaf, index)
    if use_dataset_transforms:
        return ItemReader(*undivided, y, t, raw)
    return ItemReader([_untransformed(node) for node in leaves], leaf, index, y, t, raw)


def _array(leaf: Any, used: Indices) -> NDArray[np.uint8] | None:
    """`leaf.data` as (N, H, W, C), if the items are its images: the first one used is compared."""
    data = getattr(leaf, "data", None)
    if isinstance(data, Tensor) and data.device.type == "cpu":
        data = data.numpy()
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim not in (3, 4):
        return None
    if len(data) != len(leaf) or len(used) == 0:
        return None
    if data.ndim == 3:
        data = data[..., None]
    elif data.shape[1] <= 4 < data.shape[3]:  # (N, C, H, W), as in SVHN and STL-10
        data = data.transpose(0, 2, 3, 1)
    try:
        item = _untransformed(leaf)[int(used[0])]
        x = image_tensor(item[0] if isinstance(item, tuple | list) else item)
    except Exception:  # an unknown dataset may raise anything without its transform
        return None
    return data if np.array_equal(x.permute(1, 2, 0).numpy(), data[used[0]]) else None


def _untransformed(leaf: Any) -> Any:
    """A shallow copy whose transforms do nothing, but for frozen ones and those that come before."""
    if isinstance(leaf, FrozenItems):
        return FrozenItems(with_raw_loaders(leaf.dataset), leaf.frozen)
    leaf = with_raw_loaders(leaf)
    names = [name for name in ("transform", "target_transform", "transforms") if name in getattr(leaf, "__dict__", ())]
    if names:
        leaf = copy.copy(leaf)
        for name in names:
            setattr(leaf, name, _unchanged)
    return leaf


def _unchanged(*values: Any) -> Any:
    """The identity in place of `transform(image)` and `transforms(image, target)`."""
    return values if len(values) > 1 else values[0]
