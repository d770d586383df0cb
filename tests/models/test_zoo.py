"""Encoders of torchvision and timm by name."""

import importlib.util

import pytest
import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import adapting, get_encoder
from avalanche_ssl.models.zoo import timm_encoder, torchvision_encoder


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", ["convnext_tiny", "mobilenet_v3_small", "googlenet", "densenet121"])
def test_torchvisions_models_take_any_channels_and_sizes(name: str, channels: int) -> None:
    encoder = torchvision_encoder(name)(channels).eval()
    assert encoder.in_channels == channels and encoder.image_size is None
    assert encoder(torch.rand(2, channels, 40, 32)).shape == (2, encoder.out_features)


def test_the_weights_are_drawn_from_the_global_random_state() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(torchvision_encoder("squeezenet1_1")(1).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_transformer_of_one_size_takes_that_which_is_given() -> None:
    encoder = get_encoder("torchvision:vit_b_32")(1, image_size=64).eval()
    assert encoder.image_size == (64, 64) and encoder(torch.rand(2, 1, 64, 64)).shape == (2, 768)


def test_another_norm_reaches_every_batch_norm() -> None:
    encoder = get_encoder("torchvision:resnet18")(norm="layer")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())


def test_a_share_of_the_width_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "_said", set())
    with pytest.warns(UserWarning, match="torchvision:squeezenet1_1 has one width"):
        get_encoder("torchvision:squeezenet1_1")(scale=0.5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("torchvision:resnet19", {}, "no model of torchvision 'resnet19': did you mean 'resnet18'"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "'encoder.weights' of torchvision:resnet18: an encoder is bu"),
        ("torchvision:resnet18", {"widht": 3}, "torchvision:resnet18 cannot be built with widht=3: .*'widht'"),
        ("torchvision:resnet18", {"num_classes": 3}, "'encoder.num_classes' .*: an encoder has no classifier, leave"),
        (
            "resnet19",
            {},
            r"no encoder 'resnet19': did you mean 'resnet9'\? .*torchvision:NAME, timm:NAME, PATH.py:NAME",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        get_encoder(name)(**options)
    assert "\n" not in str(error.value)


def test_timm_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match="encoder 'timm:vit_tiny' needs timm, which is not installed: pip install timm"
    ):
        timm_encoder("vit_tiny")


@pytest.mark.parametrize("side", [32, 40])
def test_timms_transformers_take_any_size(side: int) -> None:
    """Also one that is no multiple of the patch."""
    pytest.importorskip("timm")
    encoder = get_encoder("timm:vit_tiny_patch16_224")(4, depth=1).eval()
    assert encoder.image_size is None and encoder.in_channels == 4 and encoder.out_features == 192
    assert encoder(torch.rand(2, 4, side, side)).shape == (2, 192)


def test_timms_models_of_one_size_and_with_a_hidden_head() -> None:
    pytest.importorskip("timm")
    mixer = get_encoder("timm:mixer_s32_224")(1, img_size=32).eval()
    assert mixer.image_size == (32, 32) and mixer(torch.rand(2, 1, 32, 32)).shape == (2, 512)
    mobile = get_encoder("timm:mobilenetv3_small_050")(norm="group").eval()
    assert mobile(torch.rand(2, 3, 64, 64)).shape == (2, mobile.out_features) == (2, 1024)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in mobile.modules())


def test_names_and_arguments_that_timm_does_not_have() -> None:
    timm = pytest.importorskip("timm")
    with pytest.raises(UsageError, match=r"did you mean 'vit_tiny_patch16_224'\?") as error:
        get_encoder("timm:vit_tinny_patch16_224")
    assert len(str(error.value)) < 300 and f"{len(timm.list_models()):,} in all" in str(error.value)
    for name in ("hf-hub:timm/resnet18", "local-dir:models/x"):
        with pytest.raises(UsageError, match="no model of timm"):
            get_encoder(f"timm:{name}")
    with pytest.raises(UsageError, match="timm:resnet18 cannot be built with widht=3"):
        get_encoder("timm:resnet18")(widht=3)
    with pytest.raises(UsageError, match=r"'encoder.pretrained' of timm:resnet18: an encoder is built untrained"):
        get_encoder("timm:resnet18")(pretrained=True)
