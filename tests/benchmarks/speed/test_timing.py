"""Timing: measurements in turn, and their summaries."""

import pytest
from speed import timing
from speed.timing import in_turn, median_range, now, ratios, seconds_per_call


def test_measurements_alternate_after_a_round_that_does_not_count():
    order, numbers = [], iter(range(100))

    def measure(name):
        order.append(name)
        return next(numbers)

    assert in_turn(2, lambda: measure("a"), lambda: measure("b")) == [[2, 4], [3, 5]]
    assert order == ["a", "b"] * 3


def test_median_range_and_ratios():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert median_range([3.0, 1.0, 2.5]) == "2.50 (1.00-3.00)"
    assert median_range([3000.4, 1.0, 2500.0], 0) == "2,500 (1-3,000)"


def test_seconds_per_call_are_a_mean_over_50_ms_or_more(monkeypatch):
    """Of calls that take 10 ms on a clock that only they move; the first takes longer and is not counted."""
    clock, calls = [0.0], []

    def operation():
        calls.append(1)
        clock[0] += 0.01 if len(calls) > 1 else 3.0

    clocks = []
    monkeypatch.setattr(timing, "now", lambda device, kind: clocks.append(kind) or clock[0])
    assert seconds_per_call(operation, clock="processor") == pytest.approx(0.01)
    assert set(clocks) == {"processor"}
    assert len(calls) == 1 + 2 + 4 + 8, "twice as many each time: 4 of them last 40 ms"


def test_the_processor_clock_counts_work():
    start = now("cpu", "processor")
    while now("cpu", "processor") == start:
        sum(range(1000))
    assert now("cpu", "processor") > start
