"""Class and task labels of Avalanche's datasets, as integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.data.shard_images import shard_images
from avalanche_ssl.data.traversal import leaf_datasets, take
from avalanche_ssl.errors import UsageError


def class_labels(dataset: Any) -> Indices:
    """The class labels (N,) of a dataset; negative where there is none.

    Raises:
        UsageError: they are no whole numbers.
    """
    if (shards := shard_images(dataset)) is not None:
        return np.array(shards.targets) if shards.labeled else np.full(len(shards), -1)
    leaves = leaf_datasets(dataset)
    y, _ = labels_of_items(dataset, *leaves)
    if y is not None:
        return y.numpy()
    for source in (dataset, *leaves.datasets):
        targets = getattr(source, "targets", None)
        if targets is not None and len(targets) and _integers(targets) is None:
            raise UsageError(_no_class_number(targets))
    return np.full(len(dataset), -1)


def has_label(dataset: Any) -> bool:
    """Whether any image of a dataset has a class label.

    Raises:
        UsageError: labels are no whole numbers.
    """
    shards = shard_images(dataset)
    return False if shards and not shards.labeled else bool((class_labels(dataset) >= 0).any())


def task_labels(dataset: Any) -> Indices:
    """The task labels (N,) of a dataset; 0 where it has none."""
    found = _attribute(dataset, "targets_task_labels")
    return np.zeros(len(dataset), np.int64) if found is None else found


def with_labels(dataset: Any, labels: Indices) -> Any:
    """An Avalanche dataset with other class labels (N,); its images and everything else are shared."""
    changed = dataset.update_data_attribute("targets", labels.tolist())
    if "targets" in vars(changed):  # where it is no property, Avalanche leaves that of the original
        changed.targets = changed._data_attributes["targets"]
    return changed


def labels_of_items(
    dataset: Any, leaves: Sequence[Any], leaf: Indices, index: Indices
) -> tuple[Tensor | None, Tensor | None]:
    """Class and task labels (N,) of the items `leaves[leaf[i]][index[i]]`; None where they are no whole numbers."""
    y = _attribute(dataset, "targets")
    t = _attribute(dataset, "targets_task_labels")
    parts = [_attribute(node, "targets") for node in leaves] if y is None else []
    if parts and all(part is not None for part in parts):
        y = np.empty(len(index), np.int64)
        for number, part in enumerate(parts):
            assert part is not None
            y[leaf == number] = part[index[leaf == number]]
    return None if y is None else torch.as_tensor(y), None if t is None else torch.as_tensor(t)


def item_label(y: Any) -> int:
    """The class label of an item; -1 where it is no whole number."""
    found = _whole(np.asarray([y])) if isinstance(y, int | float | np.number | np.ndarray | Tensor) else None
    return -1 if found is None else int(found[0])


def _attribute(dataset: Any, name: str) -> Indices | None:
    """The integers (N,) of an Avalanche `DataAttribute` or of a sequence; None if it holds anything else."""
    attribute, n = getattr(dataset, name, None), len(dataset)
    return None if attribute is None or len(attribute) != n or n == 0 else _integers(attribute)


def _integers(values: Any) -> Indices | None:
    """A sequence of whole numbers as integers (N,); None if it holds anything else."""
    flat = getattr(values, "_data", values)
    if hasattr(flat, "_constant_value"):
        constant = _whole(np.asarray([flat._constant_value]))
        return None if constant is None else np.repeat(constant, len(values))
    try:
        leaves, leaf, index = leaf_datasets(flat)
        parts = [(leaf == number, take(node, index[leaf == number])) for number, node in enumerate(leaves)]
    except (AttributeError, TypeError, IndexError, ValueError):  # Avalanche's private attributes have changed
        parts = [(np.ones(len(values), bool), _array(list(values)))]
    found = np.empty(len(values), np.int64)
    for rows, part in parts:
        whole = _whole(part)
        if whole is None:
            return None
        found[rows] = whole
    return found


def _whole(values: NDArray[Any]) -> Indices | None:
    """Numbers (N,), or (N, 1), as integers; None if one of them is not whole."""
    if values.size != len(values):
        return None
    values = values.reshape(-1)
    if values.dtype.kind in "biu":
        return None if values.dtype.kind == "u" and (values > np.iinfo(np.int64).max).any() else values.astype(np.int64)
    if values.dtype.kind != "f" or not (np.abs(values) < 2**53).all():  # larger floats stand for several integers
        return None
    whole = values.astype(np.int64)
    return whole if (whole == values).all() else None


def _array(values: list[Any]) -> NDArray[Any]:
    """An array of the values, of objects where they have no common shape."""
    try:
        return np.asarray(values)
    except ValueError:
        array = np.empty(len(values), object)
        array[:] = values
        return array


def _no_class_number(targets: Any) -> str:
    """What to do about labels that are no whole numbers, shown with the first of them."""
    first = next(y for y in targets if _whole(_array([y])) is None)
    if isinstance(first, str):
        return f"label {first!r} is a string: number the classes, e.g. sorted(set(names)).index(name)"
    if np.ndim(first):
        return (
            f"labels are vectors of {np.asarray(first).size} numbers: a probe predicts one class per image; give its "
            "number, e.g. labels.argmax(1), or leave the probe out if an image has several"
        )
    if isinstance(first, float | np.floating | Tensor):
        return f"label {float(first):g} is not a whole number: number the classes 0, 1, 2, ..., and give -1 if unknown"
    return f"label {first!r} is no class: number the classes 0, 1, 2, ..., and give -1 if unknown"
