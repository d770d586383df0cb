"""Calls of encoder factories: one that does not take a method's arguments is refused."""

import inspect
from collections.abc import Callable
from typing import Any

from avalanche_ssl.errors import UsageError


def check_call(factory: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Refuse a factory of encoders that does not take these arguments; it is not called.

    Raises:
        UsageError: shows the call, and the arguments of a factory that works with every method.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of a callable that is not written in Python
        return
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        call = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in options.items())])
        raise UsageError(
            f"the method calls encoder({call}), which the given factory does not take ({error}): define it as "
            "def encoder(in_channels=3, *, scale=1.0, norm='batch'), as smallconv and resnet18 are"
        ) from None
