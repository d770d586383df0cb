"""Factories of the encoders that recipes name, with the arguments given there; checked as far as a name can be."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models import ENCODERS, Encoder, EncoderFactory, get_encoder, replace_batch_norm, say_full_width
from avalanche_ssl.recipes.encoder_setting import EncoderSetting
from avalanche_ssl.recipes.python_files import ENCODER, failure, file_sha256, run_file
from avalanche_ssl.recipes.settings import arguments, convert, to_plain
from avalanche_ssl.rng import isolated


def checked_encoder(text: str) -> str:
    """The setting `encoder` of a recipe, written in one way; a file that it names is not run.

    Raises:
        UsageError: there is no such encoder (the nearest is proposed), its library is not installed, or an argument is
            none of its own or has a wrong type.
    """
    setting = EncoderSetting.parse(text)
    if not setting.is_file:
        get_encoder(setting.name)
    elif not setting.function.isidentifier():
        raise UsageError(f"encoder '{setting.name}' names no function: give PATH.py:NAME, e.g. {setting.path}:build")
    if setting.name not in ENCODERS or not setting.arguments:
        return str(setting)
    typed = arguments(ENCODERS[setting.name])
    converted = {}
    for name, value in setting.arguments.items():
        if name not in typed:
            raise unknown_name(
                f"argument of {setting.name}", name, [known for known in typed if known != "in_channels"]
            )
        converted[name] = to_plain(convert(value, typed[name][0], f"encoder.{name}"))
    return str(EncoderSetting(setting.name, converted))


def encoder_sha256(text: str) -> str | None:
    """SHA-256 of the file of an encoder in hexadecimal; None for one that is no file.

    Raises:
        UsageError: the file cannot be read.
    """
    setting = EncoderSetting.parse(text)
    return file_sha256(setting.path, ENCODER) if setting.is_file else None


def load_encoder(text: str, noted: str | None = None) -> EncoderFactory:
    """The factory of an encoder, whose arguments have the values of the setting unless the method gives others.

    A function of a file is called with those of in_channels, scale and norm that it takes, and gives an `Encoder`, as
    `wrap` makes one of any network. A file is run once: it can do all that its user can.

    Args:
        text: the setting `encoder` of a recipe.
        noted: SHA-256 of the file, in hexadecimal; other content is not run.

    Raises:
        UsageError: there is none, or its file is not the one that was noted, fails, or does not define the function.
    """
    setting = EncoderSetting.parse(text)
    factory = _of_file(setting, noted) if setting.is_file else get_encoder(setting.name)
    if not setting.arguments:
        return factory

    def build(*given: Any, **named: Any) -> Encoder:
        for name, value in named.items():
            if setting.arguments.get(name, value) != value:
                raise UsageError(
                    f"setting 'encoder.{name}' is {setting.arguments[name]!r}, and the method builds its encoder with "
                    f"{name}={value!r}: leave it out"
                )
        return factory(*given, **{**setting.arguments, **named})

    return build


def _of_file(setting: EncoderSetting, noted: str | None) -> EncoderFactory:
    with isolated():  # a file that draws random numbers changes no weights
        module = run_file(setting.path, noted, ENCODER, once=True)
    function: Any = getattr(module, setting.function, None)
    if function is None:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_name(f"function of {setting.path}", setting.function, names)
    if isinstance(function, nn.Module) or not callable(function):
        raise UsageError(f"{setting.name} is a {type(function).__name__}: name a function that builds the encoder")
    taken = inspect.signature(function).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())

    def build(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", **options: Any) -> Encoder:
        common = {"in_channels": in_channels, "scale": scale, "norm": norm}
        passed = {name: value for name, value in common.items() if name in taken or anything}
        for name in options:
            if name not in taken and not anything:
                raise unknown_name(f"argument of {setting.name}", name, [n for n in taken if n not in common])
        if "scale" not in passed:
            say_full_width(setting.name, scale)
        try:
            network: Encoder = function(**passed, **options)
        except UsageError:
            raise
        except Exception as error:
            raise failure(setting.path, module, error) from error
        if not isinstance(network, nn.Module):
            raise UsageError(f"{setting.name} gives a {type(network).__name__}, not a network: return wrap(network, D)")
        known = getattr(network, "in_channels", None)
        if "in_channels" not in passed and known not in (None, in_channels):
            raise UsageError(
                f"{setting.name} gives a network of images with {known} channels, and {in_channels} are needed: let it "
                "take an argument in_channels"
            )
        if "norm" not in passed:
            replace_batch_norm(network, norm)
        return network

    return build
