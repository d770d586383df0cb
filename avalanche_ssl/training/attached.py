"""Plugins that are modules, whose parameters are trained beside those of the method."""

from __future__ import annotations

from typing import Any

from torch import nn


def attach_plugins(strategy: Any) -> None:
    """Let every plugin with `attach(strategy)` make its networks and memory, in the order of the plugins."""
    for plugin in strategy.plugins:
        if hasattr(plugin, "attach"):
            plugin.attach(strategy)


def trained_modules(strategy: Any) -> list[nn.Module]:
    """The method, then the plugins that are modules: what a step moves, in the order of the optimizer's groups."""
    return [strategy.model, *(plugin for plugin in strategy.plugins if isinstance(plugin, nn.Module))]
