"""The measures of a `representation` event as metric values, for Avalanche's loggers."""

from __future__ import annotations

import math
from typing import Any

from avalanche.evaluation.metric_results import MetricValue

from avalanche_ssl.logging import RepresentationEvent
from avalanche_ssl.recipes import flatten

COUNTS = ("experiences_trained", "images_measured", "feature_dim", "embedding_dim")
"""Fields of an event that are no measures."""


def representation_metrics(event: RepresentationEvent, origin: Any, step: int) -> list[MetricValue]:
    """The finite measures of an event, those in a mapping by dotted names, e.g. `memory.queue.stale`.

    Args:
        event: what was measured.
        origin: the plugin that did.
        step: of the training.
    """
    measures = flatten({name: value for name, value in event.fields().items() if name not in COUNTS})
    return [
        MetricValue(origin, f"Representation_{name}/train_phase/train_stream", float(value), step)
        for name, value in measures.items()
        if isinstance(value, int | float) and math.isfinite(value)
    ]
