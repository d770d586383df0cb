"""Avalanche plugins: probes after each experience, the representation monitor, progress, replay."""

from avalanche_ssl.plugins.boundaries import ExperienceBoundaries
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.plugins.probe_metrics import probe_metrics
from avalanche_ssl.plugins.progress import Progress, planned_probes
from avalanche_ssl.plugins.replay import replay_plugin
from avalanche_ssl.plugins.tensorboard import RunTensorBoard

__all__ = [
    "ExperienceBoundaries",
    "ProbePlugin",
    "Progress",
    "RepresentationMonitor",
    "RunTensorBoard",
    "planned_probes",
    "probe_metrics",
    "replay_plugin",
]
