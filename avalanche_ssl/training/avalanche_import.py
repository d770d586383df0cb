"""Import Avalanche without what it imports for parts that no run uses.

Avalanche imports all its datasets and metrics with itself, and with them `wandb`, for pictures of a confusion matrix,
and `gdown`, to download CUB-200: together 0.35 s. Here these are imported when Avalanche reads an attribute of them, if
it ever does. Only a command does this, for its own process; who imports this package gets Avalanche as it is.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

UNUSED = ("wandb", "gdown")


class _Deferred(ModuleType):
    """What a module of Avalanche holds for another one, which is imported when an attribute of it is first read."""

    def __getattr__(self, attribute: str) -> Any:
        _withdraw(self)
        return getattr(importlib.import_module(self.__name__), attribute)


def import_avalanche() -> None:
    """Import Avalanche; modules that are imported already, and all that are imported later, are the real ones."""
    deferred: list[_Deferred] = []
    for name in UNUSED:
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            module = _Deferred(name)
            module.__spec__, module.__file__ = spec, spec.origin  # `inspect` reads the files of all modules
            sys.modules[name] = module
            deferred.append(module)
    try:
        importlib.import_module("avalanche")
    finally:
        for module in deferred:
            _withdraw(module)


def _withdraw(module: _Deferred) -> None:
    """Let the next import find the real module."""
    if sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]
