"""Checks of what a plugin remembers, draws and adds to batches."""

from __future__ import annotations

from typing import Any

import torch

from avalanche_ssl.checks.harness import require, require_unchanged
from avalanche_ssl.checks.plugin_trial import BATCH, EXPERIENCES, STEPS, PluginTrial, global_draws
from avalanche_ssl.checks.plugin_watch import hooked
from avalanche_ssl.memory import Queue

STOPS = (2, EXPERIENCES * STEPS - 1)
"""Steps after which runs are interrupted: inside the first experience, and inside the last."""


def shapes_never_change(trial: PluginTrial) -> None:
    """Names, shapes and types in `state_dict` are final after the first step, whose images give those of a memory."""
    first, *others = (step.shapes for step in trial.on.steps)
    for shapes in others:
        remedy = "register it in build with its final shape"
        require_unchanged(first, shapes, "after some steps, state_dict has changed", remedy)


def hooks_are_removed(trial: PluginTrial) -> None:
    """After a step, no module of the method or of a copy of it has hooks that it did not have before."""
    allowed = hooked(trial.method, "method") | hooked(trial.plugin, "plugin")
    for step in trial.on.steps:
        names = sorted(step.hooks - allowed)
        found = f"{len(names)} modules have hooks after a step, the first '{'' if not names else names[0]}'"
        require(not names, f"{found}: remove them in after_forward, a deep copy would take the plugin with it")


def randomness_comes_from_its_generator(trial: PluginTrial) -> None:
    """The plugin draws nothing from global generators.

    Where it changes batches or views, a method that draws from them itself, as dropout does, is no witness.
    """
    if trial.replaces_something and global_draws(trial.plain):
        return
    plain, own = (
        {name: value for name, value in run.ends[-1].items() if "global generator" in name}
        for run in (trial.plain, trial.on)
    )
    remedy = "draw from a torch.Generator of its own, whose state get_extra_state saves"
    require_unchanged(plain, own, "it draws from", remedy)


def replayed_rows_come_last(trial: PluginTrial) -> None:
    """The first `n_new` rows of a batch are those that no step has had, the others come from the memory; none is twice.

    The rows ``[n_new:]`` are the images that the memory has at `slots`, and queues get every image once.
    """
    met: set[bytes] = set()
    pushed = 0
    for step in trial.on.steps:
        rows = [row.numpy().tobytes() for row in step.images]
        remedy = "append remembered rows, and leave strategy.n_new"
        require(len(set(rows)) == len(rows), "a batch has an image twice: let it enter the memory after its last step")
        new = [row not in met for row in rows]
        found = f"strategy.n_new is {step.n_new}, and rows {[i for i, is_new in enumerate(new) if is_new]} of a batch"
        expected = [i < step.n_new for i in range(len(rows))]
        require(new == expected, f"{found} of {len(rows)} are new: {remedy}")
        if step.remembered is not None:
            same = torch.equal(step.images[step.n_new :], step.remembered)
            require(same, "the rows behind strategy.n_new are not the images that the memory has at `slots`")
        met |= set(rows)
        pushed += step.n_new
    if trial.plugin.fills_batches:
        _check_pushes(pushed, trial)


def goes_on_bit_for_bit(trial: PluginTrial) -> None:
    """Interrupted and resumed from its checkpoint file, a run goes on to the same state."""
    for stop in STOPS:
        resumed = trial.resumed(stop)
        remedy = "keep what is remembered in buffers, and the state of a generator in get_extra_state"
        found = f"interrupted after step {stop} and resumed, a run ends with another"
        require_unchanged(trial.on.state(), resumed.state(), found, remedy)


def counters_are_tensors(trial: PluginTrial) -> None:
    """Plain attributes of the plugin, which no checkpoint holds, end alike in a resumed run and in one piece."""
    for stop in STOPS:
        resumed = trial.resumed(stop)
        remedy = "register it as a buffer in build (a counter: torch.zeros((), dtype=torch.long))"
        found = f"interrupted after step {stop} and resumed, a run ends with another attribute"
        require_unchanged(trial.on.plain_attributes(), resumed.plain_attributes(), found, remedy)


def _check_pushes(new: int, trial: PluginTrial) -> None:
    """Queues get as many rows for each new image as without the plugin, and none for a replayed one."""
    for name, queue in trial.on.strategy.model.named_modules():
        if isinstance(queue, Queue):
            plain: Any = trial.plain.strategy.model.get_submodule(name)
            count, expected = int(queue.n_enqueued), int(plain.n_enqueued) * new // (EXPERIENCES * STEPS * BATCH)
            found = f"queue '{name}' got {count} rows for {new} new images, not {expected}"
            require(
                count == expected, f"{found}: let strategy.n_new count those that the method meets for the first time"
            )
