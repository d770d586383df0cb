"""The feature pyramid: which maps of which encoders, from which images, and which encoders have none."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from helpers.encoders import tiny
from torch import nn

from avalanche_ssl.detection import PyramidBackbone
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, CPC, SimCLR
from avalanche_ssl.models import get_encoder, resnet9, resnet18, resnet50, wrap


def levels(encoder: Any) -> list[tuple[str, int, int]]:
    (found,) = PyramidBackbone(SimCLR(encoder), 8, 64).levels
    return [tuple(level) for level in found]


def test_the_maps_are_those_of_whole_stages() -> None:
    assert levels(tiny) == [("2", 4, 16), ("", 8, 32)]
    assert levels(partial(resnet9, width=4)) == [("2", 4, 8), ("3", 8, 16), ("", 16, 32)]
    # The first block of the next stage begins at the resolution of the one before, with layers that run twice.
    assert levels(partial(resnet50, width=4)) == [("3", 4, 64), ("", 8, 128)]
    assert [stride for _, stride, _ in levels(partial(resnet18, width=4, stem="imagenet"))] == [4, 8, 16, 32]


def test_encoders_by_name_have_the_usual_stages() -> None:
    layers = [f"0.layer{i}" for i in (1, 2, 3, 4)]
    widths = [(4, 64), (8, 128), (16, 256), (32, 512)]
    assert levels(get_encoder("torchvision:resnet18")) == [(name, *w) for name, w in zip(layers, widths)]


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (50, 70)])
def test_maps_have_the_size_of_their_strides(size: tuple[int, int]) -> None:
    backbone = PyramidBackbone(SimCLR(tiny), 8, 64)
    maps = backbone(torch.rand(2, 3, *size))
    assert list(maps) == ["0", "1", "2"] and backbone.strides == [4, 8, 16] and backbone.out_channels == 8
    expected = [(2, 8, *(math.ceil(side / stride) for side in size)) for stride in (4, 8, 16)]
    assert [tuple(m.shape) for m in maps.values()] == expected


def test_the_pyramid_ends_where_four_strides_cover_most_of_the_image() -> None:
    ends = {side: PyramidBackbone(SimCLR(tiny), 8, side).strides[-1] for side in (32, 64, 96, 110, 800)}
    assert ends == {32: 8, 64: 16, 96: 16, 110: 32, 800: 128}


def test_the_maps_are_those_of_normalized_images() -> None:
    method = SimCLR(tiny).eval()
    backbone = PyramidBackbone(method, 8, 32).eval()
    seen: dict[str, torch.Tensor] = {}
    backbone.pyramid.register_forward_pre_hook(lambda module, given: seen.update(given[0]))
    images = torch.rand(2, 3, 32, 32)
    backbone(images + 1e-4 * (images > 0.9999))
    last = method.encoder.stages(method.augment.normalize_only(images))
    torch.testing.assert_close(seen["1"], last, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(seen["1"].mean((2, 3)), method.extract_features(images), rtol=1e-3, atol=1e-3)


def test_encoders_of_several_views_are_joined() -> None:
    method = CMC(tiny, negatives="batch").eval()
    backbone = PyramidBackbone(method, 8, 32).eval()
    seen: dict[str, torch.Tensor] = {}
    backbone.pyramid.register_forward_pre_hook(lambda module, given: seen.update(given[0]))
    images = torch.rand(2, 3, 32, 32)
    backbone(images)
    torch.testing.assert_close(seen["1"].mean((2, 3)), method.extract_features(images), rtol=1e-3, atol=1e-3)
    assert seen["0"].shape == (2, 16, 8, 8)


def test_an_encoder_of_patches_sees_whole_images() -> None:
    assert list(PyramidBackbone(CPC(tiny), 8, 32)(torch.rand(1, 3, 32, 32))) == ["0", "1"]


def test_the_method_is_copied_and_nothing_of_it_changes() -> None:
    method = SimCLR(tiny)
    before = {k: v.clone() for k, v in method.state_dict().items()}
    PyramidBackbone(method, 8, 8).train()(torch.rand(2, 3, 32, 32))
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items()) and method.training
    assert not any(module._forward_hooks for module in method.modules())


def patches() -> Any:
    """As a transformer: one map, of embedded patches, then tokens."""
    return wrap(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten()), 8)


def windows() -> Any:
    """As a Swin transformer: a map of embedded patches, and one much coarser at the end, with none between."""
    return wrap(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.MaxPool2d(8)), 8)


def fixed() -> Any:
    encoder = tiny()
    encoder.image_size = (32, 32)
    return encoder


def broken() -> Any:
    return wrap(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(), nn.Linear(512, 8)), 8)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (patches, "gives maps .* at 1 resolution of stride 4 or more"),
        (windows, "gives maps .* at 1 resolution of stride 4 or more"),
        (fixed, "takes images of 32x32 only, and a detector larger ones"),
        (broken, "does not take images of 128x192"),
    ],
)
def test_what_has_no_pyramid_is_one_line(encoder: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message + r".*: give a convolutional one, such as smallconv") as caught:
        PyramidBackbone(SimCLR(lambda *given, **options: encoder()), 8, 64)
    assert "\n" not in str(caught.value)
