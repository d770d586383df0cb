"""Start a new run from the whole state of a finished one: weights, memories and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from avalanche_ssl.checkpointing.file_format import read
from avalanche_ssl.errors import UsageError


@dataclass(frozen=True)
class FinishedState:
    """The state at the end of a run."""

    path: Path
    """Its checkpoint."""
    model: Mapping[str, Tensor]
    """The method: weights and memories."""
    optimizer: Mapping[str, Any]
    optimizer_name: str
    plugins: tuple[str, ...]
    """The plugins that had networks or a memory of their own."""
    experiences: int
    """Experiences that the run has trained on."""


def read_finished(path: Path) -> FinishedState:
    """The state in the last checkpoint of a run.

    Raises:
        UsageError: it cannot be read, is damaged, or was written inside an experience.
    """
    state = read(path)
    try:
        if state["loader"] is not None:
            raise UsageError(f"{path} was written inside an experience: finish the run with --resume first")
        saved, settings = state["strategy"], state["config"]["strategy_settings"]
        plugins = tuple(str(name) for name, own in saved["plugins"] if {"under_way", "storage_policy"} & set(own or ()))
        return FinishedState(path, saved["model"], saved["optimizer"], settings["optimizer"], plugins, state["done"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the checkpoint {path} is not of a run ({type(error).__name__}: {error})") from error


def check_continues(method: nn.Module, state: FinishedState) -> None:
    """Refuse a state that is of another method, encoder, or size of the memories.

    Raises:
        UsageError: how many of how many tensors fit, and the first three that do not, by name.
    """
    own = method.state_dict()
    wrong = [
        f"{name} ({_size(state.model.get(name))}, here {_size(own.get(name))})"
        for name in dict.fromkeys([*own, *state.model])
        if _size(own.get(name)) != _size(state.model.get(name))
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        total = len(own.keys() | state.model.keys())
        raise UsageError(
            f"the state {state.path} does not fit: {total - len(wrong)} of {total} tensors, not {', '.join(wrong[:3])}"
            f"{more}; keep strategy, encoder and sizes of memories, or give --init with the encoder alone"
        )


def continue_strategy(strategy: Any, state: FinishedState) -> list[str]:
    """Let a strategy that was not trained yet start from the state of a finished run.

    Its rates, decays and seed are its own; random states, clocks and plugins are new.

    Args:
        strategy: a `SelfSupervised`.
        state: see `read_finished`.

    Returns:
        What of the state was not taken over, in words.

    Raises:
        UsageError: the state does not fit, see `check_continues`.
    """
    check_continues(strategy.model, state)
    strategy.model.load_state_dict(state.model)
    left_out = []
    name, own = type(strategy.optimizer).__name__, strategy.optimizer.state_dict()
    numbers = _method_groups(strategy)
    if name != state.optimizer_name:
        left_out.append(f"the state of the optimizer {state.optimizer_name}, since this one is {name}")
    elif numbers != [group["params"] for group in state.optimizer["param_groups"]][: len(numbers)]:
        left_out.append(f"the state of the optimizer {name}, since this one has other groups of parameters")
    else:  # those of plugins follow: their networks are new
        moments = state.optimizer["state"]
        moments = {number: moments[number] for group in numbers for number in group if number in moments}
        strategy.optimizer.load_state_dict({"state": moments, "param_groups": own["param_groups"]})
    replays = {"Replay", "AvalancheReplay"}
    if replays & set(state.plugins):
        left_out.append("the replay memory, whose images are of the stream of that run")
    if others := [plugin for plugin in state.plugins if plugin not in replays]:
        left_out.append(f"what {', '.join(others)} had learned and kept")
    return left_out


def _method_groups(strategy: Any) -> list[list[int]]:
    """The numbers of the parameters in each group of the optimizer that is the method's."""
    own = {id(parameter) for parameter in strategy.model.parameters()}
    groups = zip(strategy.optimizer.param_groups, strategy.optimizer.state_dict()["param_groups"], strict=True)
    return [saved["params"] for group, saved in groups if own.issuperset(map(id, group["params"]))]


def _size(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
