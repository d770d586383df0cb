"""Plugins that are modules, whose parameters are trained beside those of the method."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avalanche.core import SupervisedPlugin
from torch import Tensor, nn


class KnownHooks(SupervisedPlugin):  # type: ignore[misc]
    """What a plugin may define beside Avalanche's hooks: Avalanche warns of others that begin with before or after."""

    def after_views(self, strategy: Any, **kwargs: Any) -> None:
        """Change `strategy.mb_views` before they are embedded."""

    def check_shape(self, strategy: Any, shape: tuple[int, int, int]) -> None:
        """Refuse images (C, H, W) before any training, where the shape is known by then."""

    def after_step(self, strategy: Any) -> None:
        """Follow a step that was made, see `ContinualPlugin.after_step`."""


@contextmanager
def attached_plugins(strategy: Any) -> Iterator[None]:
    """Let every plugin with `attach(strategy)` make its networks and memory, in the order of the plugins.

    If one is refused, or the block fails, plugins and optimizer are as they were, and can join another strategy.
    """
    joining = [plugin for plugin in strategy.plugins if hasattr(plugin, "attach")]
    parts = [part for plugin in joining for part in (plugin.modules() if isinstance(plugin, nn.Module) else [plugin])]
    before = [_attributes(part) for part in parts]
    groups = len(strategy.optimizer.param_groups)
    try:
        for plugin in joining:
            plugin.attach(strategy)
        yield
    except BaseException:
        for part, attributes in zip(parts, before, strict=True):
            vars(part).clear()
            vars(part).update(attributes)
        del strategy.optimizer.param_groups[groups:]
        raise


def _attributes(part: Any) -> dict[str, Any]:
    """The attributes of an object; lists and the like, as a module has for its buffers, are copied."""
    return {k: copy.copy(v) if isinstance(v, dict | list | set) else v for k, v in vars(part).items()}


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
    labels = strategy.whole(strategy.mb_y) if strategy.model.num_classes_read else strategy.mb_y
    own: Tensor = strategy._loss(strategy.mb_output, labels)
    return own
