"""Trials of a method that change nothing: its views, embeddings and features of a few images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods.base import Method, Views
from avalanche_ssl.models import eval_mode

FAILURES = (RuntimeError, ValueError, IndexError, AssertionError)
"""What torch, torchvision and timm raise about shapes."""


@contextmanager
def trial_mode(method: Method, device: torch.device | str, seed: int = 0) -> Iterator[None]:
    """Eval mode without gradients and with a generator of its own; everything is restored."""
    own = method.generator
    method.generator = torch.Generator(device).manual_seed(seed)
    try:
        with eval_mode(method):
            yield
    finally:
        method.generator = own


def channels_of(model: nn.Module) -> int | None:
    """Channels of the images that a model takes: RGB if it needs color, else those of its encoder; None: not known."""
    if getattr(model, "needs_color", False):
        return 3
    channels: int | None = getattr(getattr(model, "encoder", None), "in_channels", None)
    return channels


def check_channels(method: Method, channels: int) -> None:
    """Refuse images without color for a method that needs it.

    Raises:
        UsageError: names methods that take any number of channels.
    """
    if method.needs_color and channels != 3:
        raise UsageError(
            f"{type(method).__name__} splits colors and needs RGB, and the images have {_counted(channels)}: choose a "
            "method for any number of channels, e.g. moco, simclr or vicreg"
        )


def batch_shape(method: Method, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape (C, H, W) in which batches have images of a stream: gray ones become RGB for a method that takes it."""
    return (3, *shape[1:]) if shape[0] == 1 and channels_of(method) == 3 else shape


def try_images(method: Method, shape: tuple[int, int, int], device: torch.device | str) -> None:
    """Pass two random images of a shape (C, H, W) through views, embeddings and features; nothing changes.

    Raises:
        UsageError: they do not fit; the message has images, views and encoder with their sizes, and the remedy.
    """
    check_channels(method, shape[0])
    shape = batch_shape(method, shape)
    images = torch.randint(0, 256, (2, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images, views = images.to(device), Views()
    try:
        with trial_mode(method, device):
            views = method.views(images)
            method.embed(views)
            with suppress(NotImplementedError):  # a method without features can be trained
                method.extract_features(images)
    except (UsageError, NotImplementedError, torch.OutOfMemoryError):
        raise
    except FAILURES as error:
        raise UsageError(_explanation(method, shape, views, error)) from error


def _explanation(method: Method, shape: tuple[int, int, int], views: Views, error: Exception) -> str:
    """One line: what does not fit, and the remedy."""
    channels, taken = shape[0], channels_of(method)
    if taken not in (None, channels):
        return (
            f"the images have {_counted(channels)}, the encoder takes {taken}: build it with in_channels={channels} "
            f"(--set in_channels={channels}; in scripts build_strategy(NAME, in_channels={channels}), or "
            f"partial(smallconv, in_channels={channels}) as the encoder of a method)"
        )
    side, only = method.augment.size, getattr(method.encoder, "image_size", None)
    if only not in (None, (side, side)):
        return (
            f"views are {side}x{side}, and the encoder takes images of {only[0]}x{only[1]} only: "
            f"give views of this size, augment.size={only[0]}, or build it for them (encoder.img_size={side} in timm, "
            f"encoder.image_size={side} in torchvision)"
        )
    made = [f"{name} {_size(view)}" for name, view in views.items() if view.ndim >= 4]
    reason = " ".join(str(error).split())[:200]
    patches = "the patches (--set patch=...), " if hasattr(method, "patch") else ""
    return (
        f"images of {_size(shape)} with {_counted(channels)}, views of {', '.join(made) or f'{side}x{side}'} "
        f"and the encoder of {type(method).__name__} do not fit ({reason}): change {patches}the views "
        "(--set augment.size=...), the stream's images (--benchmark-option size=...) or the encoder"
    )


def _counted(channels: int) -> str:
    return f"{channels} channel{'s' * (channels != 1)}"


def _size(images: Tensor | tuple[int, ...]) -> str:
    """Height and width, e.g. 32x32."""
    return "x".join(str(side) for side in tuple(getattr(images, "shape", images))[-2:])
