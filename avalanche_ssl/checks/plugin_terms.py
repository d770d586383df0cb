"""Checks of what a plugin adds to the loss, and of what it trains."""

from __future__ import annotations

import torch
from torch import nn

from avalanche_ssl.checks.harness import require, require_unchanged
from avalanche_ssl.checks.plugin_trial import PluginTrial
from avalanche_ssl.checks.plugin_watch import method_copies


def its_gradient_reaches_the_encoder(trial: PluginTrial) -> None:
    """The term is finite, 0-d and float32, has a gradient, and one that is not 0 reaches the encoder in some step."""
    if not trial.has_term:
        return
    steps = [step for step in trial.on.steps if step.term is not None]
    require(steps, "term returns None in each of two experiences: return a 0-d tensor once there is something to keep")
    for step in steps:
        term = step.term
        assert term is not None
        found = f"term returns {term.dtype} {tuple(term.shape)}"
        require(term.ndim == 0 and term.dtype == torch.float32, f"{found}: return a 0-d float32 tensor")
        require(term.isfinite(), f"term returns {term.item()}")
        require(
            step.differentiable, "term has no gradient: compute it from strategy.mb_output, and detach only targets"
        )
    remedy = "is the present embedding detached, or does the term not depend on it?"
    require(any(step.reached for step in steps), f"no gradient of the term reaches the encoder: {remedy}")


def the_teacher_stays(trial: PluginTrial) -> None:
    """What is frozen in the plugin is bit for bit the same after a forward and backward pass, running statistics too.

    Of a plugin that needs boundaries it stays so through an experience. Modes are switched as evaluation does.
    """
    previous = None
    for step in trial.on.steps:
        before, after = step.frozen
        remedy = "embed with a Teacher, or under frozen_buffers without gradient"
        require_unchanged(before, after, "a forward and backward pass changed the frozen", remedy)
        kept = trial.plugin.needs_boundaries and not trial.plugin.every
        if kept and previous is not None and previous.experience == step.experience:
            remedy = "take the model in boundary only"
            require_unchanged(previous.frozen[1], before, "within an experience, a step changed the frozen", remedy)
        previous = step


def idle_where_it_says_so(trial: PluginTrial) -> None:
    """A plugin that needs boundaries changes nothing in the first experience: method, memory and random states."""
    if not trial.plugin.needs_boundaries or trial.plugin.every:
        return
    remedy = "return None from term before the first boundary"
    for step in trial.on.steps:
        active = step.experience == 0 and step.term is not None
        require(not active, f"it has a term in the first experience, with no model of the past to learn from: {remedy}")
    require_unchanged(trial.plain.ends[0], trial.on.ends[0], "in the first experience, it changed the method's", remedy)


def off_is_off(trial: PluginTrial) -> None:
    """With weight 0, a run is the one without the plugin, bit for bit, and so are all its draws.

    Of plugins that add to the loss and change nothing else.
    """
    if not trial.has_term or trial.replaces_something:
        return
    remedy = "read the method and its outputs only, and draw from a generator of the plugin's own"
    require_unchanged(trial.plain.ends[-1], trial.off.ends[-1], "with weight 0, it changed", remedy)


def its_parameters_are_trained_once(trial: PluginTrial) -> None:
    """Each trainable parameter is in one group of the optimizer and gets a gradient; what is frozen is in none."""
    run = trial.on
    plugin = run.plugin
    assert plugin is not None
    for name, method in method_copies(plugin).items():
        trained = any(parameter.requires_grad for parameter in method.parameters())
        require(not trained, f"its copy of the method '{name}' is trainable: use a Teacher, or requires_grad_(False)")
    groups = run.strategy.optimizer.param_groups
    used = set().union(*(step.trained for step in run.steps))
    for name, parameter in plugin.named_parameters():
        count = sum(parameter is other for group in groups for other in group["params"])
        if parameter.requires_grad:
            remedy = "make it in build" if not count else "leave it to attach, which adds one group"
            require(count == 1, f"parameter '{name}' is in {count} groups of the optimizer, not 1: {remedy}")
            require(name in used, f"no gradient reaches parameter '{name}': is it frozen by no_grad, or not used?")
        else:
            require(not count, f"parameter '{name}' is frozen, and in the optimizer: freeze it in build")
    decayed = [group for group in groups if group["weight_decay"] and _holds(group["params"], plugin)]
    require(not decayed, "its parameters have weight decay: leave the optimizer to attach")


def _holds(parameters: list[nn.Parameter], plugin: nn.Module) -> bool:
    own = {id(parameter) for parameter in plugin.parameters()}
    return any(id(parameter) in own for parameter in parameters)
