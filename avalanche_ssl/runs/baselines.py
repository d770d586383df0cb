"""What the probes of a run are compared with: chance, raw pixels, and the encoder that it starts from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from avalanche_ssl.evaluation import baseline_events, evaluates_in_bf16
from avalanche_ssl.logging import BaselineEvent

if TYPE_CHECKING:
    from avalanche_ssl.plugins import ProbePlugin


def chance_of(benchmark: Any, probe: ProbePlugin) -> float:
    """Accuracy of guessing among all classes."""
    return 1 / len(benchmark.class_names or probe.classes)


def measure_baselines(probe: ProbePlugin, strategy: Any, benchmark: Any, start: str) -> list[BaselineEvent]:
    """Probe raw pixels, and give all baselines; once, between the first row of the matrix and any training.

    Args:
        probe: has measured the encoder at the start; keeps the accuracies of pixels.
        strategy: whose images and device are used.
        benchmark: the stream.
        start: what the encoder at the start is called.
    """
    begin = time.perf_counter()
    probe.history.pixels = probe.evaluator.pixel_accuracies(strategy)
    probe.eval_seconds += time.perf_counter() - begin
    scopes = {p.name: probe.evaluator.scopes_of(p) for p in probe.probes}
    return baseline_events(
        {name: {scope: probe.untrained(scope, name) for scope in each} for name, each in scopes.items()},
        probe.history.pixels,
        start=start,
        chance=chance_of(benchmark, probe),
        precision="bf16" if evaluates_in_bf16(strategy, probe.evaluator.features.precision) else "fp32",
    )
