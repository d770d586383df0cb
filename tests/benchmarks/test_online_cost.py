"""The command online_cost.py: time and memory of a stream of mini-batches."""

import numpy as np
import online_cost
import pytest

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.streams.benchmark import benchmark_from_parts

pytestmark = pytest.mark.slow


@pytest.fixture
def textures(monkeypatch):
    """The stream that costs are measured on: 240 small images."""
    images = textured(240).permute(0, 2, 3, 1).numpy()
    data = ArrayDataset(images, np.arange(240) % 4)
    benchmark = benchmark_from_parts(data, [np.arange(240)], data, [np.arange(240)], list("abcd"))
    monkeypatch.setattr(online_cost, "digits_on_photographs", lambda *_, **__: benchmark)
    monkeypatch.setattr(online_cost, "MEMORY", 20)
    monkeypatch.setitem(online_cost.ENCODERS, "narrow", None)  # the command sets it


def test_times_are_printed(textures, capsys):
    assert online_cost.main(["--experiences", "2", "--repeat", "2"]) == 0
    *_, theirs, ours, their_replay, our_replay, monitored, difference = capsys.readouterr().out.splitlines()
    assert all(line.count("(") == 3 for line in (theirs, ours, their_replay, our_replay, monitored))
    assert difference.startswith("ours beyond Avalanche's own: ") and difference.endswith(" ms")


def test_memory_is_printed(textures, capsys):
    assert online_cost.main(["--memory", "--experiences", "20"]) == 0
    *_, ours, theirs = capsys.readouterr().out.splitlines()
    assert len(ours.split()) == len(theirs.split()) == 12
    assert all(float(size) > 50 for size in ours.split()[1:11])
