"""What goes wrong in a run, in words: weights that explode or stay, a collapse, and where a run was stopped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from avalanche_ssl.checkpointing import Checkpointer
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins import ProbePlugin, RepresentationMonitor

SHOWN = ("feature_std", "rankme", "alignment", "uniformity", "drift_cka")
"""Measures of the representation that `where` shows."""
DEAD = 0.001
"""Share of the healthy feature std below which no loss has a useful gradient any more."""
EXPLODED = 100.0
"""Growth of the norm of the weights, which training changes by a small factor, beyond which lr was too large."""
UNCHANGED = 1e-6
"""Change of the weights, as a share of their norm, that is below the resolution of float32."""


def check_alive(monitor: RepresentationMonitor, strategy: Any) -> None:
    """Stop a run that has exploded, or whose features are identical: no loss has a useful gradient there.

    Args:
        monitor: has measured the features.
        strategy: has been trained on an experience.

    Raises:
        UsageError: names the experience, and the cause or the settings to look at.
    """
    event = monitor.events[-1] if monitor.events else None
    if event and (std := monitor.untrained_std) is not None and std < DEAD / math.sqrt(event.feature_dim):
        raise UsageError(
            f"the features of different images are the same already without training (std {std:.2g}): the images are "
            "identical or nearly so, or the encoder ignores them; look at the data"
        )
    rate = strategy.optimizer.defaults.get("lr")
    growth = monitor.weight_growth(strategy.model)
    if growth > EXPLODED:
        raise UsageError(f"the weights have exploded to {growth:,.0f} times their initial size: lower lr ({rate:g})")
    if event and monitor.collapsed(DEAD):
        raise UsageError(
            f"the features have collapsed beyond recovery after experience {event.experiences_trained}: lower lr "
            f"({rate:g}), or look at temperature, momentum and batch_size"
        )


def check_trained(strategy: Any, untrained: Method, monitor: RepresentationMonitor, probe: ProbePlugin | None) -> None:
    """Refuse the result of a run that has learned nothing.

    Args:
        strategy: at the end of the run.
        untrained: the same method as it was before.
        monitor: has measured the features.
        probe: has measured the accuracy, if there are labels.

    Raises:
        UsageError: there was no step, no weight has changed, or the features have collapsed and no longer tell the
            classes apart as well as those of the untrained encoder.
    """
    steps = strategy.clock.train_iterations
    if not steps:
        raise UsageError("nothing was trained, the run has 0 steps: a step takes two images, give larger experiences")
    rate = strategy.optimizer.defaults.get("lr")
    before = dict(untrained.named_parameters())
    pairs = [(p.detach().cpu(), before[n].detach()) for n, p in strategy.model.named_parameters() if p.requires_grad]
    change = math.sqrt(sum(float((now - then).square().sum()) for now, then in pairs))
    if change < UNCHANGED * math.sqrt(sum(float(then.square().sum()) for _, then in pairs)):
        raise UsageError(f"nothing was learned: {steps} steps have changed no weight, raise lr ({rate:g})")
    if monitor.collapsed() and not (probe and np.nanmean(probe.matrix("all")[-1]) > np.mean(probe.untrained("all"))):
        raise UsageError(
            f"nothing was learned: the features have collapsed (std {monitor.events[-1].feature_std:.2g}, "
            f"{monitor.untrained_std or 0:.2g} untrained), lower lr ({rate:g}), or look at temperature, momentum and "
            "batch_size"
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
