"""`smallconv`: four convolutions, made for CPUs."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from avalanche_ssl.models.encoder import Encoder, _initialized, _scaled
from avalanche_ssl.models.norms import Norm, _no_norm, _norm


def smallconv(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", width: int = 32) -> Encoder:
    """Four 3x3 convolutions of widths w, 2w, 4w, 8w, halving the map after the first: made for CPUs."""
    norm_layer, w = _norm(norm), _scaled(width, scale)
    widths = [in_channels, w, 2 * w, 4 * w, 8 * w]
    stages = [
        _conv(before, after, 3, 1 if i == 0 else 2, 1, norm_layer) for i, (before, after) in enumerate(pairwise(widths))
    ]
    return _initialized(Encoder(nn.Sequential(*stages), 8 * w, in_channels))


def _conv(before: int, after: int, kernel: int, stride: int, padding: int, norm: Norm) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, padding, bias=norm is _no_norm)
    return nn.Sequential(convolution, norm(after), nn.ReLU(inplace=True))
