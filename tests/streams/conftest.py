"""Streams that several tests read."""

from __future__ import annotations

from typing import Any

import pytest

from avalanche_ssl import streams


@pytest.fixture(scope="session")
def default() -> Any:
    return streams.split_digits()
