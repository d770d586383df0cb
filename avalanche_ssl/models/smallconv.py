"""`smallconv`: four convolutions, an encoder for CPUs."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from avalanche_ssl.models.blocks import conv_block, he_initialize, scaled_width
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.norms import get_norm


def smallconv(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", width: int = 32) -> Encoder:
    """Four 3x3 convolutions of widths w, 2w, 4w, 8w, each after the first halving the map: 256 features at width 32."""
    norm_layer, w = get_norm(norm), scaled_width(width, scale)
    widths = [in_channels, w, 2 * w, 4 * w, 8 * w]
    stages = [
        conv_block(before, after, 3, 1 if i == 0 else 2, 1, norm_layer)
        for i, (before, after) in enumerate(pairwise(widths))
    ]
    return he_initialize(Encoder(nn.Sequential(*stages), 8 * w, in_channels))
