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

LISTS = ("samples", "imgs", "paths", "files")
"""Attributes that hold the path of every item, by itself or first in a tuple."""

UNREADABLE = (OSError, SyntaxError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for an image that it cannot read."""


def with_raw_loader(leaf: Any) -> Any:
    """A dataset whose loader is its library's own, with one that does not clip images of more than 8 bits."""
    from avalanche.benchmarks.utils.datasets_from_filelists import default_image_loader

    if getattr(leaf, "loader", None) not in (default_loader, default_image_loader):
        return leaf
    leaf = copy.copy(leaf)
    leaf.loader = load_rgb
    return leaf


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
    """Why the image of this name cannot be read, in one line that does not repeat the name."""
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()).partition(" <_io.")[0]
    return reason.replace(name.removeprefix("image"), "")
