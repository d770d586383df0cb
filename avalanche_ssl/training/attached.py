"""Plugins that are modules, whose parameters are trained beside those of the method."""

from __future__ import annotations

from typing import Any

from avalanche.core import SupervisedPlugin
from torch import Tensor, nn


class KnownHooks(SupervisedPlugin):  # type: ignore[misc]
    """What a plugin may define beside Avalanche's hooks: Avalanche warns of others that begin with before or after."""

    def after_views(self, strategy: Any, **kwargs: Any) -> None:
        """Change `strategy.mb_views` before they are embedded."""

    def after_step(self, strategy: Any) -> None:
        """Follow a step that was made, see `ContinualPlugin.after_step`."""


def attach_plugins(strategy: Any) -> None:
    """Let every plugin with `attach(strategy)` make its networks and memory, in the order of the plugins."""
    for plugin in strategy.plugins:
        if hasattr(plugin, "attach"):
            plugin.attach(strategy)


def trained_modules(strategy: Any) -> list[nn.Module]:
    """The method, then the plugins with parameters that are trained, in the order of the optimizer's groups."""
    modules = (plugin for plugin in strategy.plugins if isinstance(plugin, nn.Module))
    return [strategy.model, *(m for m in modules if any(p.requires_grad for p in m.parameters()))]


def objective(strategy: Any) -> Tensor:
    """The method's loss of the step, or what the first plugin puts in its place whose `objective(strategy)` does."""
    for plugin in strategy.plugins:
        loss: Tensor | None = plugin.objective(strategy) if hasattr(plugin, "objective") else None
        if loss is not None:
            return loss
    own: Tensor = strategy._loss(strategy.mb_output, strategy.mb_y)
    return own
