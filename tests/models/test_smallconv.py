"""The encoder for CPUs."""

import torch

from avalanche_ssl.models import smallconv


def test_the_map_is_halved_after_the_first_convolution():
    encoder, x = smallconv(width=4), torch.randn(2, 3, 32, 32)
    shapes = []
    for stage in encoder.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert encoder.out_features == 32
