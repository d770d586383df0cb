"""Continual self-supervised learning for Avalanche.

The names below are imported when first used: Avalanche and torch take seconds to load.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avalanche_ssl.checks.contract import check_method as check_method
    from avalanche_ssl.methods.base import Method as Method
    from avalanche_ssl.optim.lr_schedule import Schedule as Schedule
    from avalanche_ssl.plugins.probe import ProbePlugin as ProbePlugin
    from avalanche_ssl.plugins.probe_metrics import probe_metrics as probe_metrics
    from avalanche_ssl.recipes.recipe import Recipe as Recipe
    from avalanche_ssl.training.strategy import SelfSupervised as SelfSupervised

__version__ = "0.1.0"

_HOME = {
    "Method": "method",
    "ProbePlugin": "evaluation",
    "Recipe": "recipe",
    "Schedule": "schedule",
    "SelfSupervised": "strategy",
    "check_method": "checks",
    "probe_metrics": "probe_metrics",
}

__all__ = ["Method", "ProbePlugin", "Recipe", "Schedule", "SelfSupervised", "check_method", "probe_metrics"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"avalanche_ssl.{_HOME[name]}"), name)
        globals()[name] = value  # the module `probe_metrics` has taken the name of its function
        return value
    raise AttributeError(f"module 'avalanche_ssl' has no attribute '{name}'")
