"""Streams of small runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from avalanche_ssl.reports.comparison import Stream, streams
from avalanche_ssl.runs import read_run

OneStream = Callable[..., Stream]


@pytest.fixture
def one_stream() -> OneStream:
    """The stream of some folders of runs, which have one in common."""

    def read(*folders: Path) -> Stream:
        (stream,) = streams([read_run(folder) for folder in folders])
        return stream

    return read
