"""What goes wrong in a run, in words: a collapse beyond recovery, and where a run was stopped."""

from __future__ import annotations

import math
from typing import Any

from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import RepresentationMonitor

SHOWN = ("feature_std", "rankme", "alignment", "uniformity", "drift_cka")
"""Measures of the representation that `where` shows."""
DEAD = 0.001
"""Share of the healthy feature std below which no loss has a useful gradient any more."""


def check_alive(monitor: RepresentationMonitor) -> None:
    """Stop a run whose features are identical: no loss has a useful gradient there.

    Raises:
        UsageError: names the experience and the settings to look at.
    """
    event = monitor.events[-1] if monitor.events else None
    if event and event.feature_std is not None and event.feature_std < DEAD / math.sqrt(event.feature_dim):
        raise UsageError(
            f"the features have collapsed beyond recovery after experience {event.experiences_trained}: lower lr, or "
            "look at temperature, momentum and batch_size"
        )


def where(strategy: Any, monitor: RepresentationMonitor, checkpointer: Checkpointer) -> str:
    """The step, the last measures of the representation and the last checkpoint of a run that a fault stopped."""
    event = monitor.events[-1] if monitor.events else None
    found = {name: getattr(event, name) for name in SHOWN if event and getattr(event, name) is not None}
    shown = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
    measured = f" after experience {event.experiences_trained}: {shown}" if event and found else ": not measured yet"
    saved = checkpointer.saved_at
    last = f"step {saved}, {checkpointer.path}" if saved is not None else "none"
    return f"stopped after step {strategy.clock.train_iterations}; representation{measured}; last checkpoint: {last}"
