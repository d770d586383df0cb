"""Pieces of encoders."""

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.blocks import conv_block, he_initialize, scaled_width
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.norms import get_norm, no_norm


def test_a_convolution_has_a_bias_only_without_a_norm():
    assert conv_block(3, 4, 3, 1, 1, get_norm("batch"))[0].bias is None
    assert conv_block(3, 4, 3, 1, 1, no_norm)[0].bias is not None


@pytest.mark.parametrize("width, scale, expected", [(32, 1.0, 32), (32, 0.5, 16), (32, 1 / 3, 11), (1, 0.1, 1)])
def test_widths_are_scaled(width, scale, expected):
    assert scaled_width(width, scale) == expected


@pytest.mark.parametrize("width, scale", [(0, 1.0), (32, 0.0), (32, float("nan"))])
def test_widths_and_scales_that_are_not_above_0_are_refused(width, scale):
    with pytest.raises(UsageError, match="give values above 0"):
        scaled_width(width, scale)


def test_convolutions_are_initialized_by_he():
    torch.manual_seed(0)
    encoder = he_initialize(Encoder(nn.Sequential(nn.Conv2d(16, 64, 3)), 64))
    convolution = encoder.stages[0]
    assert convolution.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert convolution.bias.count_nonzero() == 0
