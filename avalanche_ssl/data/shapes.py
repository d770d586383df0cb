"""Shapes of the images of datasets and streams, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from avalanche_ssl.data.readers import DataError, make_reader
from avalanche_ssl.rng import isolated

Shape = tuple[int, int, int]
"""Channels, height and width."""

IMAGES = 16
"""Images of a dataset that are read, spread evenly: gray ones among RGB show in them, or later in a batch."""

EXPERIENCES = 40
"""Experiences of a stream that are read, spread evenly."""


def image_shape(dataset: Any, use_dataset_transforms: bool = False) -> Shape | None:
    """The shape (C, H, W) of the images of a dataset, as batches have it; no random state changes.

    None if there is no image, or one cannot be read: training says which.

    Raises:
        UsageError: the images differ in shape.
    """
    n = len(dataset)
    if n == 0:
        return None
    try:
        with isolated():
            x, *_ = make_reader(dataset, use_dataset_transforms).batch(torch.arange(0, n, -(-n // IMAGES)))
    except DataError:
        return None
    channels, height, width = x.shape[1:]
    return channels, height, width


def stream_shapes(stream: Sequence[Any], use_dataset_transforms: bool = False) -> list[Shape]:
    """The different shapes of the images of a stream's experiences, in order of appearance."""
    step = max(1, -(-len(stream) // EXPERIENCES))
    return dataset_shapes([stream[i].dataset for i in range(0, len(stream), step)], use_dataset_transforms)


def dataset_shapes(datasets: Sequence[Any], use_dataset_transforms: bool = False) -> list[Shape]:
    """The different shapes of the images of several datasets, in order of appearance."""
    shapes = [image_shape(dataset, use_dataset_transforms) for dataset in datasets]
    return list(dict.fromkeys(shape for shape in shapes if shape))


def common_channels(shapes: Sequence[Shape]) -> int | None:
    """Channels of a stream's images, 3 where some are gray and others RGB; None if they differ otherwise."""
    channels = {shape[0] for shape in shapes}
    if channels == {1, 3}:
        return 3
    return channels.pop() if len(channels) == 1 else None
