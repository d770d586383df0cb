"""Capture the whole state of a strategy between two steps, and restore it into another one."""

import copy
import warnings
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

STATE_ATTRIBUTES: dict[type, Sequence[str]] = {
    avalanche_plugins.EvaluationPlugin: ("metrics", "all_metric_results", "last_metric_results"),
    avalanche_plugins.EWCPlugin: ("saved_params", "importances"),
    avalanche_plugins.ReplayPlugin: ("storage_policy",),
    avalanche_plugins.SynapticIntelligencePlugin: ("ewc_data", "syn_data"),
    Clock: tuple(vars(Clock())),
    PeriodicEval: ("do_final",),
}
"""Attributes of Avalanche's plugins that change during training. Plugins that have `state_dict` and `load_state_dict`,
or no attribute at all, can be saved too; others are refused."""


def check_savable(strategy: Any) -> None:
    """Refuse plugins that cannot be saved.

    Raises:
        UsageError: the first such plugin, and what it lacks.
    """
    for plugin in strategy.plugins:
        if not hasattr(plugin, "state_dict") and vars(plugin) and not _state_attributes(plugin):
            raise UsageError(
                f"the state of {type(plugin).__name__} cannot be saved: give it state_dict() and load_state_dict(), "
                "or run without checkpoints"
            )


def capture_strategy(strategy: Any, stream: StreamIndex) -> State:
    """Everything that decides how the strategy continues: tensors (not copied) and plain values.

    Args:
        strategy: a `SelfSupervised` between two steps.
        stream: where replay memories have their images from.

    Raises:
        UsageError: a plugin or metric holds something that cannot be saved.
    """
    return {
        "model": strategy.model.state_dict(),
        "temporary": _temporary_buffers(strategy.model),
        "optimizer": strategy.optimizer.state_dict(),
        "progress": strategy.progress(),
        "plugins": [(type(p).__name__, _plugin_state(p, stream)) for p in strategy.plugins],
        "random": _random_state(strategy),
    }


def restore_strategy(strategy: Any, state: State, stream: StreamIndex) -> None:
    """Make the strategy continue as the one that `capture_strategy` was given.

    Raises:
        UsageError: the state is of another method, optimizer, or list of plugins.
    """
    names = [name for name, _ in state["plugins"]]
    mine = [type(plugin).__name__ for plugin in strategy.plugins]
    if names != mine:
        raise UsageError(f"the checkpoint has the plugins {', '.join(names)}; this strategy has {', '.join(mine)}")
    try:
        strategy.model.load_state_dict(state["model"])
        _set_buffers(strategy.model, state["temporary"], strategy.device)
        strategy.optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:  # torch: names, shapes, groups
        reason = str(error).splitlines()
        raise UsageError(f"the checkpoint is of another method or optimizer: {' '.join(reason[:2])}") from error
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


def _state_attributes(plugin: Any) -> Sequence[str]:
    """Attributes that are the state of a plugin of Avalanche, or of a subclass of one."""
    return next((names for kind, names in STATE_ATTRIBUTES.items() if isinstance(plugin, kind)), ())


def _plugin_state(plugin: Any, stream: StreamIndex) -> Any:
    if hasattr(plugin, "state_dict"):
        return plugin.state_dict()
    name = type(plugin).__name__
    return {field: serialize(getattr(plugin, field), stream, f"{name}.{field}") for field in _state_attributes(plugin)}


def _load_plugin(plugin: Any, saved: Any, stream: StreamIndex) -> None:
    if hasattr(plugin, "state_dict"):
        plugin.load_state_dict(saved)
        return
    if isinstance(plugin, avalanche_plugins.EvaluationPlugin):
        saved = _of_these_metrics(plugin, saved)
    for field, value in saved.items():
        name = f"{type(plugin).__name__}.{field}"
        setattr(plugin, field, deserialize(value, stream, getattr(plugin, field, None), name))


def _of_these_metrics(evaluator: Any, saved: dict[str, Any]) -> dict[str, Any]:
    """The state of an evaluator; without that of its metrics, with a warning, if it has others than the checkpoint.

    They follow from its loggers, which may change when a run is resumed.
    """
    then = [metric["class"] for metric in saved["metrics"]]
    now = [type(metric).__name__ for metric in evaluator.metrics]
    if then == now:
        return saved
    names = [", ".join(dict.fromkeys(names)) or "none" for names in (then, now)]
    warnings.warn(
        f"the checkpoint has the metrics {names[0]}, now there are {names[1]}: these start here", stacklevel=2
    )
    return {field: value for field, value in saved.items() if field != "metrics"}


def _temporary_buffers(model: nn.Module) -> dict[str, Any]:
    """Buffers that `state_dict` leaves out, since `prepare` recomputes them before an epoch; inside one they matter."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in kept}


def _set_buffers(model: nn.Module, buffers: dict[str, Any], device: torch.device) -> None:
    for path, buffer in buffers.items():
        owner, _, name = path.rpartition(".")
        model.get_submodule(owner)._buffers[name] = buffer.to(device)
