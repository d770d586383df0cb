"""A batch that enters is uint8, or float in [0, 1]; everything else is refused with its minimum and maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.methods import SMALL, make
from torch import Tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CPC, PIRL, Method
from avalanche_ssl.transforms import RandomView, check_range, range_fault, to_float

RAW = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NORMALIZED = (RAW / 255 - 0.5) / 0.25
ENTRANCES: dict[str, Callable[[Method, Tensor], Any]] = {
    "views": lambda method, x: method.views(x),
    "forward": lambda method, x: method(x),
    "features": lambda method, x: method.eval().extract_features(x),
}


def method_of(name: str) -> Method:
    return make(next(cls for cls in SMALL if cls.__name__ == name))


@pytest.mark.parametrize("name", [cls.__name__ for cls in SMALL])
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_method_refuses_images_that_are_not_raw(name: str, entrance: str) -> None:
    method, enter = method_of(name), ENTRANCES[entrance]
    enter(method, RAW / 255)
    for x, remedy in ((NORMALIZED, "remove Normalize from the transforms"), (RAW.float(), "divide them by 255")):
        with pytest.raises(UsageError, match=rf"a batch of images holds float values from \S+ to \S+, .*: {remedy}"):
            enter(method, x)
    for x in (RAW.int(), RAW.to(torch.uint16)):
        with pytest.raises(UsageError, match=r"not torch\.\w+: convert them with avalanche_ssl\.data\.to_uint8"):
            enter(method, x)


@pytest.mark.parametrize("name", [cls.__name__ for cls in SMALL])
def test_floats_of_all_widths_have_the_features_of_float32(name: str) -> None:
    method = method_of(name).eval()
    expected = method.extract_features(RAW / 255)
    torch.testing.assert_close(method.extract_features(RAW.double() / 255), expected)
    halves = (RAW / 255).half()
    assert torch.equal(method.extract_features(halves), method.extract_features(halves.float()))
    assert torch.equal(method.extract_features(RAW), expected)


def test_what_is_wrong_is_said_with_minimum_and_maximum() -> None:
    for low, high in ((0.0, 1.0), (-0.0005, 1.0005)):
        assert range_fault(torch.tensor([low, high])) is None
    assert range_fault(torch.zeros(0)) is None
    reason, remedy = range_fault(torch.tensor([-2.0, 1.5])) or ("", "")
    assert reason == "holds float values from -2 to 1.5, where raw pixels are in [0, 1]"
    assert remedy.startswith("remove Normalize")
    for values in ([0.0, float("nan")], [0.5, float("inf")], [-float("inf"), 0.5]):
        assert (range_fault(torch.tensor(values)) or ("", ""))[1] == "find the image whose values are not finite"


def test_images_of_uint8_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "aminmax", None)
    check_range(RAW)
    for cls in (PIRL, CPC):
        make(cls).views(RAW)


def test_patches_of_a_view_are_views_without_a_check() -> None:
    patches, draws = RAW[:, :, :8, :8] / 255, torch.Generator()
    augment = RandomView(size=8)
    expected = augment(patches, draws.manual_seed(1))
    assert torch.equal(augment.of_views(patches, draws.manual_seed(1)), expected)


def test_floats_become_float32() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert to_float(torch.ones(1, dtype=dtype)).dtype == torch.float32
    x = torch.rand(3)
    assert to_float(x) is x
