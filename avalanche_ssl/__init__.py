"""Continual self-supervised learning for Avalanche.

The names below are imported when first used: Avalanche and torch take seconds to load.
"""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.checks.contract import check_method as check_method
    from avalanche_ssl.checks.plugin_contract import check_plugin as check_plugin
    from avalanche_ssl.methods.base import Method as Method
    from avalanche_ssl.optim.lr_schedule import LRSchedule as LRSchedule
    from avalanche_ssl.plugins.matrix_metrics import probe_metrics as probe_metrics
    from avalanche_ssl.plugins.probe import ProbePlugin as ProbePlugin
    from avalanche_ssl.recipes.build import build_strategy as build_strategy
    from avalanche_ssl.recipes.recipe import Recipe as Recipe
    from avalanche_ssl.training.strategy import SelfSupervised as SelfSupervised

__version__ = "0.1.0"

__all__ = [
    "LRSchedule",
    "Method",
    "ProbePlugin",
    "Recipe",
    "SelfSupervised",
    "build_strategy",
    "check_method",
    "check_plugin",
    "probe_metrics",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Method": "methods.base",
        "ProbePlugin": "plugins.probe",
        "Recipe": "recipes.recipe",
        "LRSchedule": "optim.lr_schedule",
        "SelfSupervised": "training.strategy",
        "build_strategy": "recipes.build",
        "check_method": "checks.contract",
        "check_plugin": "checks.plugin_contract",
        "probe_metrics": "plugins.matrix_metrics",
    },
)
