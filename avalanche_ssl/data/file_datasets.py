"""Datasets of scripts that read image files, as torchvision's `ImageFolder` and Avalanche's `PathsDataset` do."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.datasets.folder import default_loader

from avalanche_ssl.data.dataset_transforms import FrozenItems
from avalanche_ssl.data.pixels import eight_bits, note_transparent
from avalanche_ssl.data.traversal import leaf_datasets
from avalanche_ssl.errors import UsageError

LISTS = ("samples", "imgs", "paths", "files")
"""Attributes that hold the path of every item, by itself or first in a tuple."""

BELOW = ("_flat_data", "_datasets", "datasets", "dataset")
"""Attributes that hold the datasets below one: Avalanche's, torch's and those of most wrappers."""

UNREADABLE = (OSError, SyntaxError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for an image that it cannot read."""


class DataError(UsageError):
    """The data of the next batch are not available: a file is gone, or a worker process died."""


def with_raw_loaders(dataset: Any) -> Any:
    """A dataset whose files are not clipped to 8 bits, at any depth below it.

    Loaders that are their library's own are replaced, in shallow copies of the datasets that lead to them; without any
    it is the dataset itself.
    """
    from avalanche.benchmarks.utils.datasets_from_filelists import default_image_loader

    if getattr(dataset, "loader", None) in (default_loader, default_image_loader):
        return _with(dataset, {"loader": load_rgb})
    fields = getattr(dataset, "__dict__", {})
    changed = {name: new for name in BELOW if (new := _below(fields.get(name))) is not fields.get(name)}
    return _with(dataset, changed) if changed else dataset


def _below(value: Any) -> Any:
    """A dataset, or a list of some, with loaders replaced."""
    if not isinstance(value, list | tuple):
        return value if value is None else with_raw_loaders(value)
    new = [with_raw_loaders(child) for child in value]
    return value if all(a is b for a, b in zip(value, new, strict=True)) else new


def _with(dataset: Any, attributes: dict[str, Any]) -> Any:
    """A shallow copy with other attributes."""
    dataset = copy.copy(dataset)
    vars(dataset).update(attributes)
    return dataset


def load_rgb(path: str | Path) -> Image.Image:
    """The image in a file as RGB of 8 bits.

    Raises:
        PixelError: the range of its values is not known.
    """
    with Image.open(path) as image:
        picture = eight_bits(image)
        if picture.transparent:
            note_transparent("image files of the dataset")
        return picture.image.convert("RGB")


def item_name(dataset: Any, index: int) -> str:
    """An item for messages: its path, where the dataset below lists paths."""
    try:
        leaves, leaf_numbers, positions = leaf_datasets(dataset)
        leaf, index = leaves[leaf_numbers[index]], int(positions[index])
    except (AttributeError, TypeError, IndexError):  # Avalanche's private attributes have changed
        leaf = dataset
    leaf = leaf.dataset if isinstance(leaf, FrozenItems) else leaf
    for name in LISTS:
        paths = getattr(leaf, name, None)
        if isinstance(paths, list | tuple) and len(paths) == len(leaf):
            entry = paths[index]
            path = entry[0] if isinstance(entry, tuple | list) and entry else entry
            if isinstance(path, str | os.PathLike):
                below = Path(getattr(leaf, "root", None) or "") / path
                return f"image '{below if below.exists() else path}'"
    return f"image {index} of {type(leaf).__name__}"


def unreadable(error: Exception, name: str) -> str:
    """The reason why the image of this name cannot be read, in one line that does not repeat the name."""
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()).partition(" <_io.")[0]
    return reason.replace(name.removeprefix("image"), "")
