"""One shape per batch: gray images among RGB become RGB, and any other mixture is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from avalanche_ssl.errors import UsageError


def stack_images(images: Sequence[Tensor], name: Callable[[int], str]) -> Tensor:
    """Images (C, H, W) as one batch; if some have one channel and others three, all get three.

    Args:
        images: at least one.
        name: what an image, given by its place, is called in a message.

    Raises:
        UsageError: the images differ in size or, other than gray and RGB, in channels; both are named.
    """
    shapes = [tuple(x.shape) for x in images]
    if {shape[0] for shape in shapes} == {1, 3}:
        images = [as_rgb(x) for x in images]
        shapes = [tuple(x.shape) for x in images]
    if len(set(shapes)) > 1:
        other = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        remedy = "resize them" if shapes[0][0] == shapes[other][0] else "give all as many channels"
        raise UsageError(
            f"images of one batch differ in shape (C, H, W), {name(0)} has {shapes[0]} and {name(other)} "
            f"{shapes[other]}: {remedy} in the dataset, or in a transform and keep it with use_dataset_transforms=True"
        )
    return torch.stack(list(images))


def as_rgb(images: Tensor) -> Tensor:
    """Gray images (..., 1, H, W) as RGB (..., 3, H, W), with a warning; all others unchanged."""
    if images.shape[-3] != 1:
        return images
    warnings.warn(  # at one place, so that Python shows it once
        "gray images become RGB, with three equal channels: other images, or the encoder, have three", stacklevel=1
    )
    return images.expand(*images.shape[:-3], 3, -1, -1).contiguous()
