"""All encoders by name: shapes, sizes, channels, norms, gradients."""

import pytest
import torch
from torch import nn

from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.resnet import resnet9
from avalanche_ssl.models.smallconv import smallconv

FEATURES = {"smallconv": 256, "resnet9": 256, "resnet18": 512, "resnet34": 512, "resnet50": 2048}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", ENCODERS)
def test_shapes(name: str, size: int) -> None:
    encoder = ENCODERS[name]().eval()
    with torch.no_grad():
        features = encoder(torch.randn(2, 3, size, size))
    assert features.shape == (2, encoder.out_features) == (2, FEATURES[name])
    assert features.isfinite().all()
    assert encoder.in_channels == 3


def test_sizes_used_in_the_field() -> None:
    assert 1.2e6 < count(resnet9()) < 1.25e6
    assert count(smallconv()) < 0.4e6


@pytest.mark.parametrize("in_channels", [1, 2, 4])
@pytest.mark.parametrize("name", ENCODERS)
def test_any_number_of_channels(name: str, in_channels: int) -> None:
    encoder = ENCODERS[name](in_channels, scale=0.125).eval()
    assert encoder(torch.randn(2, in_channels, 32, 32)).shape == (2, encoder.out_features)
    assert encoder.in_channels == in_channels


@pytest.mark.parametrize("name", ENCODERS)
def test_scale_multiplies_every_width(name: str) -> None:
    half, full = ENCODERS[name](scale=0.5), ENCODERS[name]()
    assert half.out_features * 2 == full.out_features
    assert 3.5 < count(full) / count(half) < 4.1


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
@pytest.mark.parametrize("name", ENCODERS)
def test_no_batch_norm_unless_asked(name: str, norm: str) -> None:
    encoder = ENCODERS[name](scale=0.25, norm=norm)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in encoder.modules())
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    encoder = ENCODERS[name](scale=0.25)
    encoder(torch.randn(4, 3, 32, 32)).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
