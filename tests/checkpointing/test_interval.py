"""How often checkpoints are written."""

import time
from pathlib import Path
from typing import Any

import pytest
from crashes.small_run import few_digits
from helpers.resuming import make

from avalanche_ssl.checkpointing import Checkpointer, SaveInterval, file_format
from avalanche_ssl.checkpointing.interval import SaveTimer
from avalanche_ssl.errors import UsageError


def test_a_checkpoint_is_due_by_iterations_or_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    steps, minutes, never = (SaveTimer(SaveInterval.parse(text), share=0.5) for text in ("3it", "1min", "never"))
    assert not steps.is_due(2) and steps.is_due(3)
    now = 59.0
    assert not minutes.is_due(10**9) and not never.is_due(10**9)
    now = 60.0
    assert minutes.is_due(0) and not never.is_due(10**9)


def test_a_timer_waits_until_writing_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    timer = SaveTimer(SaveInterval.parse("1it"), share=0.25)
    now = 10.0
    timer.written(start=8.0)
    assert timer.total == 2.0
    now = 15.9
    assert not timer.is_due(1)
    now = 16.0
    assert timer.is_due(1), "2 of 8 seconds were spent on writing"


@pytest.mark.parametrize("text", ["", "5", "0it", "5 days", "-1s", "it", "1e3it"])
def test_no_interval(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no interval: give e\.g\. 500it"):
        SaveInterval.parse(text)


def test_intervals() -> None:
    assert SaveInterval.parse("500it") == SaveInterval(iterations=500)
    assert SaveInterval.parse("10min") == SaveInterval(seconds=600)
    assert SaveInterval.parse("1.5 h") == SaveInterval(seconds=5400)
    assert SaveInterval.parse("never") == SaveInterval()


@pytest.mark.slow
def test_writing_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk, and a checkpoint wanted after each step: one in twenty of the time is spent on it."""
    benchmark = few_digits()
    now = spent = 0.0
    strategy = make(benchmark, train_epochs=40)
    checkpointer = Checkpointer("checkpoint", strategy, benchmark.train_stream, every="1it", share=0.05)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    checkpointer.timer._last = 0.0

    def write(path: Path, state: Any) -> None:
        nonlocal now, spent
        now += 2
        spent += 2

    def step() -> None:
        nonlocal now
        now += 1
        checkpointer._after_step()

    monkeypatch.setattr(file_format, "write", write)
    strategy.after_step = step
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    assert 4 <= spent <= 0.06 * now
