"""Encoders: any network wrapped, compiled code, memory layout."""

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder, wrap
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv


def test_wrap_torchvision() -> None:
    encoder = wrap(torchvision.models.mobilenet_v3_small(), 576, head="classifier").eval()
    assert encoder(torch.randn(2, 3, 64, 64)).shape == (2, 576)
    encoder = wrap(torchvision.models.resnet18(), 512, head="fc").eval()
    assert encoder(torch.randn(2, 3, 64, 64)).shape == (2, 512)


def test_wrap_pools_maps() -> None:
    encoder = wrap(nn.Conv2d(1, 6, 3), 6, in_channels=1)
    assert isinstance(encoder, Encoder)
    assert encoder.in_channels == 1
    assert encoder(torch.randn(2, 1, 8, 8)).shape == (2, 6)


def test_wrap_names_mistakes() -> None:
    with pytest.raises(UsageError, match="did you mean 'fc'"):
        wrap(torchvision.models.resnet18(), 512, head="fcc")
    with pytest.raises(UsageError, match=r"shape \(2, 1000\), not \(B, 512\)"):
        wrap(torchvision.models.resnet18(), 512).eval()(torch.randn(2, 3, 32, 32))


@pytest.mark.slow
def test_compiled_code_is_for_training_and_for_one_encoder_only():
    passes = []

    def backend(graph, inputs):
        return lambda *given: passes.append(len(inputs)) or graph.forward(*given)

    encoder = ENCODERS["smallconv"](width=4)
    x = torch.randn(6, 3, 16, 16)
    before = encoder.state_dict().keys()
    expected = encoder(x)
    encoder.compile(backend=backend)
    assert torch.allclose(encoder(x), expected, atol=1e-6) and len(passes) == 1
    copied, loaded = copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))
    for eager in (encoder.eval(), copied, loaded):
        eager(x)
    assert len(passes) == 1
    encoder.train()(x)
    assert len(passes) == 2 and encoder.state_dict().keys() == before


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_maps_lie_in_memory_with_their_channels_last(channels: int) -> None:
    seen = []
    encoder = smallconv(channels, width=8)
    for stage in encoder.stages:
        stage.register_forward_hook(lambda module, given, maps: seen.append(maps))
    encoder(torch.randn(4, channels, 16, 16)).sum().backward()
    assert len(seen) == 4
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in seen)
