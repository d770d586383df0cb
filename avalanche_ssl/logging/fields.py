"""Fields of events: each with its meaning and, if it is a number, its range."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING
from typing import Any


def field(meaning: str, default: Any = MISSING, low: float = -1e40, high: float = 1e40) -> Any:
    """A field with its meaning and, for numbers, its range: by default that of float32."""
    metadata = {"meaning": meaning, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


def count(meaning: str, default: Any = MISSING) -> Any:
    """A whole number, 0 or more."""
    return field(meaning, default, low=0, high=2**53)


def share(meaning: str, default: Any = MISSING) -> Any:
    """A number in 0 to 1."""
    return field(meaning, default, low=0, high=1)


def seconds(meaning: str, default: Any = MISSING) -> Any:
    """A duration."""
    return field(meaning, default, low=0, high=1e10)


def measure(meaning: str, default: Any = MISSING) -> Any:
    """A number that is not extreme."""
    return field(meaning, default, low=-1e9, high=1e9)
