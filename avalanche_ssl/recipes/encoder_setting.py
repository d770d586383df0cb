"""`EncoderSetting`: name and arguments of an encoder, as one setting; imports nothing heavy."""

from __future__ import annotations

import ast
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError

FORMS = (
    "give a name (smallconv, resnet18, torchvision:convnext_tiny, timm:vit_tiny_patch16_224) or path/to/mine.py:build, "
    "with arguments as in resnet18(width=32)"
)
LONGEST = 2000
"""Characters of a setting."""
_FILE = re.compile(r"(?P<name>.+\.py:[^():]*)(?:\((?P<arguments>.*)\))?", re.DOTALL)
_NAME = re.compile(r"(?P<name>[^()]*)(?:\((?P<arguments>.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class EncoderSetting:
    """What a recipe's `encoder` says, e.g. `resnet18(width=32)`, `timm:vit_tiny_patch16_224` or `mine.py:build`.

    `str` writes it as it is read.
    """

    name: str
    """An encoder of this package, `torchvision:NAME`, `timm:NAME`, or `PATH.py:FUNCTION`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Plain values by name."""

    @classmethod
    def parse(cls, text: str) -> EncoderSetting:
        """Read a setting.

        Raises:
            UsageError: it has not the form of a name, or of a call with plain values by name.
        """
        match = len(text) <= LONGEST and (_FILE.fullmatch(text) or _NAME.fullmatch(text))
        if not match:
            raise _malformed(text)
        name, arguments = match["name"].strip(), match["arguments"] or ""
        if name.endswith(".py"):
            raise UsageError(f"encoder '{name}' names no function of the file: give '{name}:NAME', e.g. {name}:build")
        if not name or name.endswith(":"):
            raise _malformed(text)
        return cls(name, _read_arguments(arguments, text))

    def __str__(self) -> str:
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.arguments.items())})"

    @property
    def is_file(self) -> bool:
        """Whether it is a function of a Python file, which is code."""
        return ".py:" in self.name

    @property
    def path(self) -> Path:
        """The file, of a setting that is one."""
        return Path(self.name.rpartition(":")[0])

    @property
    def function(self) -> str:
        """The name of the function in the file."""
        return self.name.rpartition(":")[2]

    def with_argument(self, name: str, value: Any) -> EncoderSetting:
        """The same encoder with another argument.

        Raises:
            UsageError: it is no name, or no plain value.
        """
        if not name.isidentifier():
            raise UsageError(f"setting 'encoder.{name}' is no argument of an encoder: give encoder.NAME=VALUE")
        if name == "in_channels":
            raise UsageError("setting 'encoder.in_channels' is a setting of the recipe: give in_channels=N")
        if not _is_plain(value):
            raise UsageError(
                f"setting 'encoder.{name}' is {value!r}: give a number, a word, true, false, null or a list"
            )
        return replace(self, arguments={**self.arguments, name: value})

    def with_absolute_path(self) -> EncoderSetting:
        """The same, of a file with its absolute path."""
        if not self.is_file:
            return self
        return replace(self, name=f"{os.path.abspath(self.path.expanduser())}:{self.function}")

    def without_folder(self) -> EncoderSetting:
        """The same, of a file without the folder it lies in, which decides no result."""
        return replace(self, name=f"{self.path.name}:{self.function}") if self.is_file else self


def file_of(encoder: Any) -> Path | None:
    """The Python file that the setting `encoder`, of any type, names; None if it names none.

    Raises:
        UsageError: it is a word of no known form.
    """
    setting = EncoderSetting.parse(encoder) if isinstance(encoder, str) else None
    return setting.path if setting and setting.is_file else None


def _read_arguments(text: str, whole: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise _malformed(whole)
        values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise _malformed(whole) from error
    setting = EncoderSetting(whole)
    for name, value in values.items():
        setting = setting.with_argument(name, value)
    return values


def _is_plain(value: Any) -> bool:
    """Whether `repr` writes the value so that it can be read back."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _malformed(text: str) -> UsageError:
    return UsageError(f"setting 'encoder' is '{text[:200]}': {FORMS}")
