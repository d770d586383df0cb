"""Processes that learn as one are in the same state, bit for bit; this is where it is seen if they are not."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor, nn

from avalanche_ssl import distributed
from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.strategy_state import capture_strategy


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
        distributed.check_same(state_hash(part), f"after step {strategy.clock.train_iterations} the state ({name})")


def _measures(plugin: Any) -> bool:
    """Whether the state of a plugin is only what it has measured."""
    with_state = hasattr(plugin, "state_dict") and not isinstance(plugin, nn.Module)
    return with_state or isinstance(plugin, EvaluationPlugin)


def state_hash(state: Any) -> str:
    """SHA-256 of tensors and plain values, in hexadecimal."""
    digest = hashlib.sha256()
    _add(digest, state)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in value:
            digest.update(repr(key).encode())
            _add(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"{type(value).__name__} {len(value)}".encode())
        for item in value:
            _add(digest, item)
    else:
        digest.update(repr(value).encode())
