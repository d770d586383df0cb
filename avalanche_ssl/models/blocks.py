"""Pieces of encoders: a convolution with its norm, widths, initialization."""

from __future__ import annotations

from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.norms import Norm, no_norm


def conv_block(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, norm: Norm
) -> nn.Sequential:
    """Convolution, norm and ReLU; the convolution has a bias only without a norm."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=norm is no_norm)
    return nn.Sequential(convolution, norm(out_channels), nn.ReLU(inplace=True))


def scaled_width(width: int, scale: float) -> int:
    """`width` times `scale`, at least 1.

    Raises:
        UsageError: one of them is not above 0.
    """
    if width < 1 or not scale > 0:
        raise UsageError(f"an encoder cannot have width={width} and scale={scale}: give values above 0")
    return max(1, round(width * scale))


def he_initialize(encoder: Encoder) -> Encoder:
    """Initialize the convolutions of an encoder in place as torchvision does (He et al. 2015, arXiv:1502.01852)."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder
