"""Factories of encoders that do not take a method's arguments are refused in one line."""

from functools import partial
from typing import Any

import pytest
from helpers.encoders import tiny

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, CPC, MoCo, SimCLR
from avalanche_ssl.models import Encoder, smallconv, wrap
from avalanche_ssl.models.factory_calls import check_call

FORM = "define it as def encoder(in_channels=3, *, scale=1.0, norm='batch'), as smallconv and resnet18 are"


def plain() -> Encoder:
    """A factory without arguments."""
    return wrap(tiny(), 16)


def gray(in_channels: int) -> Encoder:
    """A factory that must be given the channels."""
    return tiny(in_channels)


@pytest.mark.parametrize(
    ("method", "factory", "message"),
    [
        (CMC, plain, "encoder(1, scale=0.5), which the given factory does not take (too many positional arguments)"),
        (CMC, gray, "encoder(1, scale=0.5), which the given factory does not take (got an unexpected keyword argument"),
        (
            CPC,
            plain,
            "encoder(norm='layer'), which the given factory does not take (got an unexpected keyword argument",
        ),
        (partial(MoCo, split_norm=True), plain, "encoder(norm='split'), which the given factory does not take ("),
        (SimCLR, gray, "encoder(), which the given factory does not take (missing a required argument: 'in_channels')"),
    ],
)
def test_the_call_is_shown_with_a_form_that_works(method: Any, factory: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        method(factory)
    assert f"the method calls {message}" in str(error.value)
    assert str(error.value).endswith(FORM)
    assert "\n" not in str(error.value)


def test_factories_that_take_the_arguments_pass_and_are_not_called() -> None:
    check_call(smallconv, 1, scale=0.5)
    check_call(lambda *args, **options: 1 / 0, 1, scale=0.5)
    check_call(partial(smallconv, width=4), norm="layer")
    SimCLR(plain)


def test_an_error_inside_a_factory_stays_its_own() -> None:
    def broken(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch") -> Encoder:
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        SimCLR(broken)
