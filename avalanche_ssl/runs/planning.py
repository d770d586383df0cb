"""When a run is probed, and its progress, which counts on it."""

from __future__ import annotations

from typing import Any

from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.plugins import Progress, planned_probes
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.streams import experience_sizes

PROBED_EXPERIENCES = 40
"""A stream of more experiences is probed after as many of them at most, unless the user says how often."""


def probing_times(config: RunConfig, benchmark: Any) -> tuple[int, ProbeSchedule | None]:
    """After each how-many-th experience to probe, and at which numbers of images between."""
    often = config.probe_every_experiences or -(-len(benchmark.train_stream) // PROBED_EXPERIENCES)
    return often, ProbeSchedule.parse(config.probe_every_images) if config.probe_every_images else None


def planned_progress(config: RunConfig, benchmark: Any, epochs: int) -> Progress:
    """The progress over a stream of which every image is trained on so many times."""
    sizes = experience_sizes(benchmark, config.regime)
    return Progress([size * epochs for size in sizes], planned_probes(sizes, *probing_times(config, benchmark)))
