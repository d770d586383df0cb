"""Datasets of dict items, such as Hugging Face's, as datasets of images with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avalanche_ssl.data.labels import class_labels
from avalanche_ssl.errors import UsageError


class DictDataset:
    """A dataset of dict items as one of pairs (image, label), by the names of two of their keys.

    ``DictDataset(datasets.load_dataset("cifar10", split="train"), image="img")`` goes wherever a dataset of
    torchvision does, `avalanche.benchmarks.utils.as_classification_dataset` for one.

    Args:
        dataset: its items are dicts. Where it gives a column by `dataset[label]`, as Hugging Face's do, labels are
            read without decoding an image; otherwise from each item.
        image: the key of the image: a PIL image, an array or a tensor.
        label: the key of the label, a whole number; None if there is none, and all labels are -1.

    Raises:
        UsageError: the items are no dicts, have no such key, or their labels are no whole numbers.
    """

    def __init__(self, dataset: Any, image: str = "image", label: str | None = "label") -> None:
        self.dataset, self.image, self.label = dataset, image, label
        keys = _keys(dataset)
        for name, key in (("image", image), ("label", label)):
            if key is not None and key not in keys:
                remedy = f"give {name}=KEY" if name == "image" else "give label=KEY, or label=None"
                raise UsageError(f"items of the dataset have no {key!r} but {', '.join(map(repr, keys))}: {remedy}")
        self.targets: list[int] = [-1] * len(dataset) if label is None else _column(dataset, label)
        """The labels."""
        self.targets = class_labels(self).tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.dataset[int(index)][self.image], self.targets[index]


def dict_item_message(item: Mapping[str, Any]) -> str:
    """What to do about a dataset whose items are dicts, in one line."""
    keys = ", ".join(map(repr, item))
    return (
        f"the dataset gives dicts of {keys}, where an image and its label are needed: wrap it, "
        "avalanche_ssl.data.DictDataset(dataset, image=KEY, label=KEY)"
    )


def _keys(dataset: Any) -> list[str]:
    names = getattr(dataset, "column_names", None)
    if isinstance(names, list | tuple):
        return list(names)
    item = dataset[0] if len(dataset) else {}
    if not isinstance(item, Mapping):
        raise UsageError(f"items of the dataset are no dicts but of type {type(item).__name__}: use it as it is")
    return list(item)


def _column(dataset: Any, key: str) -> list[Any]:
    """One value of every item."""
    if hasattr(dataset, "column_names"):
        return list(dataset[key])
    return [dataset[i][key] for i in range(len(dataset))]
