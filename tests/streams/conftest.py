"""Streams that several tests read."""

from __future__ import annotations

from typing import Any

import pytest

from avalanche_ssl import streams


@pytest.fixture(scope="session")
def on_photographs() -> Any:
    return streams.digits_on_photographs()
