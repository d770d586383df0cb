"""The transforms of datasets: frozen ones, which belong to the data, and ordinary ones, which raw images do not pass.

Avalanche applies the transforms of a dataset to the items of the datasets below it, at each level the frozen ones
first. Everything up to the last frozen transform makes the data; what comes after prepares them for a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch

Chain = tuple[Any, ...]
"""Transforms, the first one applied first; None nowhere."""

CONVERSIONS = ("PILToTensor", "ToImage", "ToPILImage", "ToPureTensor", "ToTensor")
"""Transforms that leave the pixels what they are, which raw images do without."""


class FrozenItems:
    """The items of a dataset after their frozen transforms.

    Args:
        dataset: gives tuples, an image first. Its own transform, which comes before the frozen ones, is applied.
        frozen: Avalanche's transforms, each a function of all values of an item.
    """

    def __init__(self, dataset: Any, frozen: Chain) -> None:
        self.dataset, self.frozen = dataset, frozen

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sequence[Any]:
        item = self.dataset[index]
        for transform in self.frozen:
            item = transform(*item)
            item = item if isinstance(item, tuple | list) else (item,)
        return item  # type: ignore[no-any-return]

    def is_same(self, other: FrozenItems) -> bool:
        """Whether the items are those of `other`: the same dataset and the same transforms."""
        pairs = zip((self.dataset, *self.frozen), (other.dataset, *other.frozen), strict=False)
        return len(self.frozen) == len(other.frozen) and all(a is b for a, b in pairs)


def same_leaf(a: Any, b: Any) -> bool:
    """Whether two datasets that hold images are one."""
    return a is b or (isinstance(a, FrozenItems) and isinstance(b, FrozenItems) and a.is_same(b))


def transform_of(groups: Any, group: str) -> Any:
    """The transform of one of Avalanche's `TransformGroups`, or None."""
    table = groups.transform_groups
    if group not in table and isinstance(table, defaultdict) and table.default_factory:
        return table.default_factory()  # looking it up would store it, and change what Avalanche freezes later
    return table.get(group)


def changes_images(transform: Any) -> bool:
    """Whether one of Avalanche's transforms is of images; it freezes those that renumber classes, too."""
    return not hasattr(transform, "flat_transforms") or bool(transform.flat_transforms(0))


def own_transform(dataset: Any) -> Any:
    """The transform of images that a dataset such as torchvision's applies, or None."""
    fields: Mapping[str, Any] = getattr(dataset, "__dict__", {})
    return fields.get("transform") or fields.get("transforms")


def steps(transform: Any) -> list[Any]:
    """The transforms of images that a transform consists of, without those that only convert."""
    if transform is None or type(transform).__name__ in CONVERSIONS:
        return []
    parts: Any = [transform]
    if hasattr(transform, "flat_transforms"):  # Avalanche's, of several values
        parts = transform.flat_transforms(0)
    elif type(transform).__name__ == "Compose":
        parts = transform.transforms
    elif isinstance(transform, list | tuple):
        parts = transform
    if any(part is transform for part in parts):
        return [transform]
    return [step for part in parts for step in steps(part)]


def same_chain(a: Chain, b: Chain) -> bool:
    """Whether two chains of transforms do the same, as far as can be seen from their classes and values."""
    if len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True)):
        return True
    return _same([s for t in a for s in steps(t)], [s for t in b for s in steps(t)], set())


def describe(chain: Chain) -> str:
    """A chain of transforms in at most 100 characters."""
    text = " then ".join(_name(step) for transform in chain for step in steps(transform)) or "none"
    return text if len(text) <= 100 else f"{text[:97]}..."


def _name(step: Any) -> str:
    if isinstance(step, FunctionType | MethodType):
        return step.__qualname__
    if getattr(type(step), "__repr__", None) is object.__repr__:
        return f"{type(step).__name__}({', '.join(f'{name}={value}' for name, value in vars(step).items())})"
    return " ".join(str(step).split())


def _same(a: Any, b: Any, compared: set[tuple[int, int]]) -> bool:
    """Whether two values are equal, objects by class and fields, functions by code and what they hold."""
    if a is b or (id(a), id(b)) in compared:  # of objects that hold themselves
        return True
    if type(a) is not type(b):
        return False
    compared.add((id(a), id(b)))
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key], compared) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y, compared) for x, y in zip(a, b, strict=True))
    if isinstance(a, FunctionType | MethodType | partial):
        return _same(_parts(a), _parts(b), compared)
    if hasattr(a, "__dict__"):
        return _same(vars(a), vars(b), compared)
    return bool(a == b)


def _parts(function: Any) -> list[Any]:
    """What a function does and holds."""
    if isinstance(function, partial):
        return [function.func, function.args, function.keywords]
    if isinstance(function, MethodType):
        return [function.__func__, function.__self__]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__code__, function.__defaults__, function.__kwdefaults__, cells]
