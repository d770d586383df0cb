"""The command checkpoint_cost.py: size and time of checkpoints."""

import checkpoint_cost
import pytest
from helpers.encoders import tiny

from avalanche_ssl.models import ENCODERS


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setitem(ENCODERS, "tiny", tiny)


def test_sizes_are_measured():
    size, seconds, read = checkpoint_cost.measure("moco", {"encoder": "tiny", "queue_size": 4096}, writes=2)
    assert size > 4096 * 128 * 4 and len(seconds) == 2 and min(*seconds, read) > 0


def test_one_line_per_strategy(monkeypatch, capsys):
    monkeypatch.setattr(checkpoint_cost, "LARGE", {"small": ("moco", {"encoder": "tiny", "queue_size": 64})})
    assert checkpoint_cost.main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("small: ") and line.count(",") >= 4 and line.endswith("% at 10 min")
