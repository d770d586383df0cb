"""Networks of other libraries as encoders: their input, normalization and classifier, changed in place."""

from __future__ import annotations

import warnings
from math import sqrt

from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import first_convolution
from avalanche_ssl.models.norms import get_norm

_said: set[tuple[str, float]] = set()
"""Networks and shares of `say_full_width`: a run builds its method several times."""


def remove_classifier(network: nn.Module) -> int:
    """Replace the last linear layer (without one, the last convolution) by nothing; the features that it took.

    Raises:
        UsageError: there is no such layer.
    """
    layers = list(network.named_modules())
    linear = [(name, layer, layer.in_features) for name, layer in layers if isinstance(layer, nn.Linear)]
    convolutions = [(name, layer, layer.in_channels) for name, layer in layers if isinstance(layer, nn.Conv2d)]
    if not linear + convolutions:
        raise UsageError(f"{type(network).__name__} has no classifier to remove: give wrap(network, out_features)")
    name, _, features = (linear or convolutions)[-1]
    _replace(network, name, nn.Identity())
    return features


def set_input_channels(network: nn.Module, channels: int) -> None:
    """Let the first convolution take images of another number of channels.

    Its new weights are drawn from a normal distribution that keeps the size of its responses.

    Raises:
        UsageError: the network has no convolution.
    """
    found = first_convolution(network)
    if found is None:
        raise UsageError(f"{type(network).__name__} has no convolution that could take {channels} channels")
    name, old = found
    if old.in_channels == channels:
        return
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
        padding_mode=old.padding_mode,
    )
    nn.init.normal_(new.weight, std=float(old.weight.detach().std()) * sqrt(old.in_channels / channels))
    if new.bias is not None and old.bias is not None:
        new.bias.data.copy_(old.bias.data)
    _replace(network, name, new)


def replace_batch_norm(network: nn.Module, norm: str) -> None:
    """Replace every batch norm of maps by another norm, see `NORMS`; "batch" leaves the network as it is.

    Batch norm with an activation of its own, as timm has it, keeps that. Other norms stay.

    Raises:
        UsageError: the name is unknown.
    """
    layer = get_norm(norm)
    if norm == "batch":
        return
    for name, old in list(network.named_modules()):
        if isinstance(old, nn.BatchNorm2d):
            new = layer(old.num_features)
            after = [part for part in (getattr(old, "drop", None), getattr(old, "act", None)) if part is not None]
            _replace(network, name, nn.Sequential(new, *after) if after else new)


def say_full_width(name: str, scale: float) -> None:
    """Warn, once, that a network has one width only, where a method asks for a share of it."""
    if scale != 1.0 and (name, scale) not in _said:
        _said.add((name, scale))
        warnings.warn(
            f"{name} has one width: where the method asks for {scale:g} of it, as CMC does for each view, it gets a "
            "whole network",
            UserWarning,
            stacklevel=3,
        )


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)
