"""Avalanche plugins: probes after each experience, the representation monitor, replay."""

from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.plugins.probe_metrics import probe_metrics

__all__ = [
    "ProbePlugin",
    "RepresentationMonitor",
    "probe_metrics",
]
