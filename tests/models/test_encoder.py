"""Encoders: any network wrapped, compiled code, memory layout."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl import methods
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder, at_encoder_size, with_channels, wrap
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


def test_channels_are_those_of_the_first_convolution_unless_given() -> None:
    network = nn.Sequential(nn.Conv2d(13, 4, 3), nn.Conv2d(4, 8, 3))
    assert Encoder(network, 8).in_channels == wrap(network, 8).in_channels == 13
    assert Encoder(network, 8, 5).in_channels == 5
    assert Encoder(nn.Sequential(nn.Flatten(), nn.Linear(12, 8)), 8).in_channels is None


@pytest.mark.parametrize("channels", [1, 3, 4, 13])
def test_a_factory_with_channels_keeps_those_that_a_method_asks_for(channels: int) -> None:
    factory = with_channels(smallconv, channels)
    assert factory().in_channels == factory(norm="group", scale=0.5).in_channels == channels
    assert factory(2).in_channels == factory(in_channels=2).in_channels == 2
    assert factory()(torch.rand(2, channels, 16, 16)).shape == (2, 256)
    assert with_channels(smallconv, None) is smallconv


def test_a_transformer_declares_the_size_of_its_images() -> None:
    network = torchvision.models.VisionTransformer(24, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16)
    encoder = wrap(network, 16, head="heads")
    assert encoder.image_size == (24, 24)
    x = torch.rand(2, 3, 32, 40)
    resized = at_encoder_size(encoder, x)
    assert torch.equal(resized, nn.functional.interpolate(x, (24, 24), mode="bilinear", antialias=True))
    assert encoder(resized).shape == (2, 16)
    assert at_encoder_size(encoder, resized) is resized
    assert at_encoder_size(smallconv(), x) is x
    assert wrap(torchvision.models.resnet18(), 512, head="fc").image_size is None


def test_timms_transformers_declare_it_too_unless_they_take_any_size() -> None:
    class Patches(nn.Module):  # as in timm
        img_size, strict_img_size = (24, 16), True

    network = nn.Sequential(nn.Flatten())
    network.patch_embed = Patches()
    assert wrap(network, 8).image_size == (24, 16)
    network.patch_embed.strict_img_size = False
    assert wrap(network, 8).image_size is None


@pytest.mark.parametrize("name", ["SimCLR", "MoCo", "CMC", "CPC", "Supervised"])
def test_a_network_for_a_factory_is_refused_in_one_line(name):
    with pytest.raises(UsageError) as error:
        getattr(methods, name)(smallconv())
    assert str(error.value) == (
        "the encoder is an instance of Encoder, not what builds one: give the function, e.g. SimCLR(smallconv), or "
        "of a network SimCLR(lambda: wrap(network, out_features))"
    )


def test_a_network_that_is_not_wrapped_is_refused_in_one_line():
    with pytest.raises(UsageError, match="the encoder is a Flatten without out_features: give lambda: wrap"):
        methods.SimCLR(nn.Flatten)


def test_a_network_that_gives_no_tensor_is_refused_in_one_line():
    class Pair(nn.Module):
        def forward(self, x):
            return x.flatten(1), x

    with pytest.raises(UsageError) as error:
        wrap(Pair(), 12)(torch.zeros(2, 3, 2, 2))
    assert str(error.value) == (
        "the encoder gives a tuple, not a tensor of features: wrap a module whose forward picks it out"
    )


class Named(nn.Module):
    """Gives tensors by name, as models of Hugging Face do."""

    def __init__(self, **outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        return self.outputs


def test_of_a_dictionary_the_pooled_features_are_taken_or_those_that_are_named():
    pooled, tokens, maps = torch.rand(2, 8), torch.rand(2, 5, 8), torch.rand(2, 8, 3, 3)
    x = torch.zeros(2, 3, 4, 4)
    both = Named(pooler_output=pooled[:, :, None, None], last_hidden_state=tokens)
    assert torch.equal(wrap(both, 8)(x), pooled)
    assert torch.equal(wrap(Named(last_hidden_state=tokens), 8)(x), tokens[:, 0]), "2x2 patches and a class token"
    assert torch.equal(wrap(Named(last_hidden_state=tokens[:, 1:]), 8)(x), tokens[:, 1:].mean(1))
    assert torch.allclose(wrap(Named(last_hidden_state=maps), 8)(x), maps.mean((2, 3)))
    assert torch.equal(wrap(Named(image_embeds=pooled, last_hidden_state=tokens), 8, output="image_embeds")(x), pooled)
    registers = Named(last_hidden_state=torch.cat([tokens, tokens], 1)[:, :9])
    registers.config = SimpleNamespace(num_register_tokens=4)
    assert torch.equal(wrap(registers, 8)(x), tokens[:, 0]), "4 registers, not 3x3 patches"


def test_a_dictionary_without_known_features_is_refused_with_its_names():
    with pytest.raises(UsageError) as error:
        wrap(Named(features=torch.rand(2, 8), loss=None), 8)(torch.zeros(2, 3, 4, 4))
    assert str(error.value) == (
        "the encoder gives features, not pooler_output or last_hidden_state: give wrap(..., output=NAME), or wrap a "
        "module whose forward picks the features out"
    )


def test_a_transformer_of_hugging_face_declares_the_size_of_its_images():
    class Fixed(Named):
        def forward(self, pixel_values, interpolate_pos_encoding=None):
            return self.outputs

    fixed, free = Fixed(), Named()
    fixed.config = free.config = SimpleNamespace(image_size=48)
    assert wrap(fixed, 8).image_size == (48, 48) and wrap(free, 8).image_size is None
