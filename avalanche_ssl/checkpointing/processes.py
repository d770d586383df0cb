"""Processes that learn as one are in the same state, bit for bit; this is where it is seen if they are not."""

from __future__ import annotations

from typing import Any

from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.strategy_state import capture_strategy
from avalanche_ssl.functional import state_sha256


def check_processes_agree(strategy: Any, stream: StreamIndex) -> None:
    """Refuse to go on where the state of one of several processes is not that of process 0.

    What plugins measure, such as seconds, does not count, nor what an evaluator does, which only process 0 may have
    loggers for; what plugins train and remember does.

    Raises:
        UsageError: names the part of the state, and the processes.
    """
    if distributed.size() == 1:
        return
    state = capture_strategy(strategy, stream)
    pairs = zip(strategy.plugins, state.pop("plugins"), strict=True)
    plugins = [saved for plugin, saved in pairs if not _measures(plugin)]
    for name, part in (state | {"plugins": plugins}).items():
        distributed.check_same(state_sha256(part), f"after step {strategy.clock.train_iterations} the state ({name})")


def _measures(plugin: Any) -> bool:
    """Whether the state of a plugin is only what it has measured."""
    with_state = hasattr(plugin, "state_dict") and not isinstance(plugin, nn.Module)
    return with_state or isinstance(plugin, EvaluationPlugin)
