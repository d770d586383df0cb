"""ONNX and TorchScript give the same features as the encoder, for other batches and sizes, or are refused."""

import io
import sys
from typing import Any

import pytest
import torch
from helpers.encoders import tiny
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import Encoder, resnet18, to_onnx, to_torchscript, wrap
from avalanche_ssl.models import exchange as exchange_module

OTHER = torch.randn(5, 3, 40, 48, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_onnx_gives_the_same_features_for_any_batch_and_size(channels: int) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    encoder = resnet18(channels, width=8)
    encoder(OTHER[:, :channels])  # statistics that are not the initial ones
    session = runtime.InferenceSession(to_onnx(encoder, 32), providers=["CPUExecutionProvider"])
    assert encoder.training, "it is left as it was"
    for images in (OTHER[:, :channels], OTHER[:1, :channels, :32, :32]):
        found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        torch.testing.assert_close(found, encoder.eval()(images).detach(), rtol=1e-4, atol=1e-5)
        encoder.train()


@pytest.mark.parametrize("channels", [1, 3])
def test_torchscript_gives_the_same_features_for_any_batch_and_size(channels: int) -> None:
    encoder = tiny(channels)
    encoder(OTHER[:, :channels])
    loaded = torch.jit.load(io.BytesIO(to_torchscript(encoder, 32)))
    encoder.eval()
    for images in (OTHER[:, :channels], OTHER[:1, :channels, :32, :32]):
        torch.testing.assert_close(loaded(images), encoder(images), rtol=1e-5, atol=1e-5)


def test_an_encoder_of_one_size_only() -> None:
    from torchvision.models import VisionTransformer

    encoder = wrap(VisionTransformer(32, 16, 1, 2, 16, 16), 16, head="heads").eval()
    loaded = torch.jit.load(io.BytesIO(to_torchscript(encoder, 64)))
    images = OTHER[..., :32, :32]
    torch.testing.assert_close(loaded(images), encoder(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match="ONNX needs three packages: pip install onnx onnxruntime onnxscript"):
        to_onnx(tiny(), 32)


def test_several_encoders_are_refused() -> None:
    with pytest.raises(UsageError, match="the encoder is a ModuleDict of several networks"):
        to_torchscript(nn.ModuleDict({"l": tiny(1)}), 32)


class Shuffling(nn.Module):
    """A network whose features depend on chance."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(x), 2)


def test_other_features_are_not_given_away() -> None:
    with pytest.raises(UsageError, match=r"TorchScript gives other features than torch .*: not exported"):
        to_torchscript(Encoder(nn.Sequential(Shuffling()), 2, 3), 8)


def test_a_network_that_cannot_be_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such\noperator")

    monkeypatch.setattr(exchange_module.torch.jit, "trace", fail)
    with pytest.raises(UsageError, match="cannot be traced: no such operator"):
        to_torchscript(tiny(), 32)
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(exchange_module.torch.onnx, "export", fail)
    with pytest.raises(UsageError, match="cannot be written as ONNX: no such operator"):
        to_onnx(tiny(), 32)
