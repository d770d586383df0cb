"""Convolutions as matrix products: equal to torch's where the kernel covers the map, torch's elsewhere."""

import copy

import pytest
import torch
from torch import nn

from avalanche_ssl.models import linear_on_small_maps, resnet18, smallconv


def outputs_and_gradients(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.arange(1.0, y.numel() + 1, dtype=y.dtype).view_as(y)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], weights)]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "shape", "is_linear"),
    [
        (3, 2, 1, (2, 2), True),
        (3, 1, 1, (1, 1), True),
        (3, 2, 1, (1, 2), True),
        (1, 1, 0, (1, 1), True),
        (3, 2, 0, (3, 3), True),
        ((2, 3), 2, (0, 1), (2, 2), True),
        (3, 1, 1, (2, 2), False),  # four positions
        (3, 2, 1, (4, 4), False),
        (1, 2, 0, (2, 2), False),  # one position, which does not see all pixels
        (3, 2, 1, (2, 4), False),
        (3, 4, 1, (4, 4), False),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_outputs_and_gradients_are_those_of_the_convolution(kernel, stride, padding, shape, is_linear, layout):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, kernel, stride, padding).double()
    small = linear_on_small_maps(copy.deepcopy(layer))
    x = torch.randn(4, 3, *shape, dtype=torch.float64).contiguous(memory_format=layout)
    for ours, theirs in zip(outputs_and_gradients(small, x), outputs_and_gradients(layer, x), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (small._covers(0, shape[0]) and small._covers(1, shape[1])) == is_linear


@pytest.mark.parametrize("options", [{"dilation": 2}, {"groups": 2}, {"padding_mode": "circular"}, {"padding": "same"}])
def test_other_convolutions_stay_torchs(options):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, **{"padding": 1} | options)
    small = linear_on_small_maps(copy.deepcopy(layer))
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(small(x), layer(x))


def test_a_map_smaller_than_the_kernel_is_refused_as_torch_does():
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size can't be greater"):
        linear_on_small_maps(nn.Conv2d(3, 5, 5))(torch.zeros(1, 3, 3, 3))


@pytest.mark.parametrize("encoder", [smallconv, resnet18])
def test_an_encoder_of_patches_keeps_names_weights_and_features(encoder):
    torch.manual_seed(0)
    plain = encoder(norm="layer", width=4)
    small = linear_on_small_maps(copy.deepcopy(plain))
    assert [(n, p.shape) for n, p in small.state_dict().items()] == [
        (n, p.shape) for n, p in plain.state_dict().items()
    ]
    x = torch.randn(6, 3, 8, 8)
    torch.testing.assert_close(small(x), plain(x), rtol=1e-4, atol=1e-5)
    large = torch.randn(2, 3, 32, 32)
    assert torch.equal(small(large), plain(large))
