"""Do encoders have the promised shapes, sizes and layers?"""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.encoder import Encoder, wrap
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.models.resnet import resnet9, resnet18, resnet50
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


def test_imagenet_stem_at_224() -> None:
    encoder = resnet18(stem="imagenet").eval()
    with torch.no_grad():
        assert encoder.stages(torch.randn(1, 3, 224, 224)).shape == (1, 512, 7, 7)


@pytest.mark.parametrize(("padding", "side"), [(1, 4), (2, 5)])
def test_stem_padding_sets_the_last_map(padding: int, side: int) -> None:
    assert resnet18(width=8, stem_padding=padding).stages(torch.randn(2, 3, 32, 32)).shape[2:] == (side, side)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_imagenet_stem_equals_torchvision(name: str) -> None:
    ours = ENCODERS[name](stem="imagenet")  # type: ignore[call-arg]
    theirs = getattr(torchvision.models, name)()
    theirs.fc = nn.Identity()
    assert count(ours) == count(theirs)
    # Both register their layers in the same order, so our state is theirs under other names.
    renamed = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(renamed))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)  # in float32 their memory layouts differ in the last digits
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), theirs.double().eval()(x))


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
    half, whole = ENCODERS[name](scale=0.5), ENCODERS[name]()
    assert half.out_features * 2 == whole.out_features
    assert 3.5 < count(whole) / count(half) < 4.1


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


def test_zero_init_makes_a_block_its_shortcut() -> None:
    block = resnet18(width=8, zero_init=True).get_submodule("stages.1.0")
    x = torch.rand(2, 8, 4, 4)
    torch.testing.assert_close(block(x), x)
    with pytest.raises(UsageError, match="zero_init needs a norm"):
        resnet50(norm="none", zero_init=True)


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


def test_mlp() -> None:
    head = mlp(8, 16, 4, layers=3, last_norm=True)
    assert [type(m).__name__ for m in head] == [
        *("Linear", "BatchNorm1d", "ReLU") * 2,
        *("Linear", "BatchNorm1d"),
    ]
    assert all(m.bias is None for m in head if isinstance(m, nn.Linear))
    assert head(torch.randn(5, 8)).shape == (5, 4)
    plain = mlp(8, 16, 4, norm=False)
    assert [type(m).__name__ for m in plain] == ["Linear", "ReLU", "Linear"]
    assert all(m.bias is not None for m in plain if isinstance(m, nn.Linear))
    assert [type(m).__name__ for m in mlp(8, 16, 4, layers=1)] == ["Linear"]


@pytest.mark.parametrize(
    "options", [{"norm": "bacth"}, {"scale": 0.0}, {"stem": "cifra"}, {"width": 0}, {"scale": float("nan")}]
)
def test_wrong_options_are_one_line(options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as error:
        resnet18(**options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_nearest() -> None:
    assert str(unknown_name("strategy", "cmx", ["cmc", "moco"])) == "no strategy 'cmx': did you mean 'cmc'? (cmc, moco)"
    assert str(unknown_name("norm", "zzz", ["batch"])) == "no norm 'zzz': choose one (batch)"


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
