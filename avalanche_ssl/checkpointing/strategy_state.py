"""What is the whole state of a strategy, between two steps, and how does another one take it over?"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from avalanche.training import plugins as avalanche_plugins
from avalanche.training.plugins.clock import Clock
from avalanche.training.templates.base_sgd import PeriodicEval
from torch import nn

from avalanche_ssl import rng
from avalanche_ssl.checkpointing.file_format import State
from avalanche_ssl.checkpointing.serialization import StreamIndex, deserialize, serialize
from avalanche_ssl.errors import UsageError

REMEMBERS: dict[type, Sequence[str]] = {
    avalanche_plugins.EvaluationPlugin: ("metrics", "all_metric_results", "last_metric_results"),
    avalanche_plugins.EWCPlugin: ("saved_params", "importances"),
    avalanche_plugins.ReplayPlugin: ("storage_policy",),
    avalanche_plugins.SynapticIntelligencePlugin: ("ewc_data", "syn_data"),
    Clock: tuple(vars(Clock())),
    PeriodicEval: ("do_final",),
}
"""Attributes of Avalanche's plugins that change while a stream is learnt. Plugins that have `state_dict` and
`load_state_dict`, or no attribute at all, can be saved, too; others are refused."""


def check_plugins(strategy: Any) -> None:
    """Every plugin can be saved.

    Raises:
        UsageError: one cannot: which, and what it lacks.
    """
    for plugin in strategy.plugins:
        if not hasattr(plugin, "state_dict") and vars(plugin) and not _remembers(plugin):
            raise UsageError(
                f"the state of {type(plugin).__name__} cannot be saved: give it state_dict() and load_state_dict(), "
                "or run without checkpoints"
            )


def capture(strategy: Any, stream: StreamIndex) -> State:
    """All that decides how the strategy goes on: tensors (not copied) and plain values.

    Args:
        strategy: a `SelfSupervised` between two steps.
        stream: where the images of replay memories come from.

    Raises:
        UsageError: a plugin or metric holds something that cannot be saved.
    """
    return {
        "model": strategy.model.state_dict(),
        "passing": _passing(strategy.model),
        "optimizer": strategy.optimizer.state_dict(),
        "progress": strategy.progress(),
        "plugins": [(type(p).__name__, _plugin_state(p, stream)) for p in strategy.plugins],
        "random": _random_state(strategy),
    }


def restore(strategy: Any, state: State, stream: StreamIndex) -> None:
    """Make the strategy go on as the one that `capture` saw.

    Raises:
        UsageError: the state is of another method, optimiser, or list of plugins.
    """
    names = [name for name, _ in state["plugins"]]
    mine = [type(plugin).__name__ for plugin in strategy.plugins]
    if names != mine:
        raise UsageError(f"the checkpoint has the plugins {', '.join(names)}; this strategy has {', '.join(mine)}")
    try:
        strategy.model.load_state_dict(state["model"])
        _set_passing(strategy.model, state["passing"], strategy.device)
        strategy.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:  # torch: names, shapes, groups
        reason = str(error).splitlines()
        raise UsageError(f"the checkpoint is of another method or optimiser: {' '.join(reason[:2])}") from error
    strategy.load_progress(state["progress"])
    for plugin, (_, saved) in zip(strategy.plugins, state["plugins"], strict=True):
        _load_plugin(plugin, copy.deepcopy(saved), stream)  # plugins write into their tensors
    _set_random_state(strategy, state["random"])


def _random_state(strategy: Any) -> dict[str, Any]:
    return {
        "global": rng.capture(),
        "views": strategy.view_generator.get_state(),
        "order": strategy.order_generator.get_state(),
    }


def _set_random_state(strategy: Any, state: dict[str, Any]) -> None:
    rng.restore(state["global"])
    strategy.view_generator.set_state(state["views"])
    strategy.order_generator.set_state(state["order"])


def _remembers(plugin: Any) -> Sequence[str]:
    """Attributes that are the state of one of Avalanche's plugins, or of the user's subclass of one."""
    return next((names for kind, names in REMEMBERS.items() if isinstance(plugin, kind)), ())


def _plugin_state(plugin: Any, stream: StreamIndex) -> Any:
    if hasattr(plugin, "state_dict"):
        return plugin.state_dict()
    name = type(plugin).__name__
    return {field: serialize(getattr(plugin, field), stream, f"{name}.{field}") for field in _remembers(plugin)}


def _load_plugin(plugin: Any, saved: Any, stream: StreamIndex) -> None:
    if hasattr(plugin, "state_dict"):
        plugin.load_state_dict(saved)
        return
    for field, value in saved.items():
        name = f"{type(plugin).__name__}.{field}"
        setattr(plugin, field, deserialize(value, stream, getattr(plugin, field, None), name))


def _passing(model: nn.Module) -> dict[str, Any]:
    """Buffers that `state_dict` leaves out, since `prepare` recomputes them; but not in the midst of an epoch."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in kept}


def _set_passing(model: nn.Module, buffers: dict[str, Any], device: torch.device) -> None:
    for path, buffer in buffers.items():
        owner, _, name = path.rpartition(".")
        model.get_submodule(owner)._buffers[name] = buffer.to(device)
