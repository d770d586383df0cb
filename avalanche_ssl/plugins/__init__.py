"""Avalanche plugins: strategies against forgetting, probes, monitor, progress; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.plugins.anchor import Anchor as Anchor
    from avalanche_ssl.plugins.balance import GradientBalance as GradientBalance
    from avalanche_ssl.plugins.boundaries import ExperienceBoundaries as ExperienceBoundaries
    from avalanche_ssl.plugins.cassle import CaSSLe as CaSSLe
    from avalanche_ssl.plugins.cla import CLA as CLA
    from avalanche_ssl.plugins.climb import CLIMB as CLIMB
    from avalanche_ssl.plugins.continual import ContinualPlugin as ContinualPlugin
    from avalanche_ssl.plugins.continual import embedding_dims as embedding_dims
    from avalanche_ssl.plugins.der import DER as DER
    from avalanche_ssl.plugins.lump import LUMP as LUMP
    from avalanche_ssl.plugins.matrix_metrics import probe_metrics as probe_metrics
    from avalanche_ssl.plugins.monitor import RepresentationMonitor as RepresentationMonitor
    from avalanche_ssl.plugins.osiris import Osiris as Osiris
    from avalanche_ssl.plugins.pfr import FD as FD
    from avalanche_ssl.plugins.pfr import PFR as PFR
    from avalanche_ssl.plugins.probe import ProbePlugin as ProbePlugin
    from avalanche_ssl.plugins.progress import Progress as Progress
    from avalanche_ssl.plugins.progress import planned_probes as planned_probes
    from avalanche_ssl.plugins.registry import PLUGINS as PLUGINS
    from avalanche_ssl.plugins.registry import build_plugins as build_plugins
    from avalanche_ssl.plugins.registry import complete_plugins as complete_plugins
    from avalanche_ssl.plugins.registry import plugin_class as plugin_class
    from avalanche_ssl.plugins.registry import plugin_line as plugin_line
    from avalanche_ssl.plugins.registry import plugin_settings as plugin_settings
    from avalanche_ssl.plugins.replay import Replay as Replay
    from avalanche_ssl.plugins.teacher import Teacher as Teacher
    from avalanche_ssl.plugins.tensorboard import RunTensorBoard as RunTensorBoard

__all__ = [
    "CLA",
    "CLIMB",
    "DER",
    "FD",
    "LUMP",
    "PFR",
    "PLUGINS",
    "Anchor",
    "CaSSLe",
    "ContinualPlugin",
    "ExperienceBoundaries",
    "GradientBalance",
    "Osiris",
    "ProbePlugin",
    "Progress",
    "Replay",
    "RepresentationMonitor",
    "RunTensorBoard",
    "Teacher",
    "build_plugins",
    "complete_plugins",
    "embedding_dims",
    "planned_probes",
    "plugin_class",
    "plugin_line",
    "plugin_settings",
    "probe_metrics",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Anchor": "anchor",
        "CLA": "cla",
        "CLIMB": "climb",
        "CaSSLe": "cassle",
        "ContinualPlugin": "continual",
        "DER": "der",
        "ExperienceBoundaries": "boundaries",
        "FD": "pfr",
        "GradientBalance": "balance",
        "LUMP": "lump",
        "Osiris": "osiris",
        "PFR": "pfr",
        "PLUGINS": "registry",
        "ProbePlugin": "probe",
        "Progress": "progress",
        "Replay": "replay",
        "RepresentationMonitor": "monitor",
        "RunTensorBoard": "tensorboard",
        "Teacher": "teacher",
        "build_plugins": "registry",
        "complete_plugins": "registry",
        "embedding_dims": "continual",
        "planned_probes": "progress",
        "plugin_class": "registry",
        "plugin_line": "registry",
        "plugin_settings": "registry",
        "probe_metrics": "matrix_metrics",
    },
)
