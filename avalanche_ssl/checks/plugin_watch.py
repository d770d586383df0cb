"""What can be seen of a plugin in each step, by another that stands behind it in the list of plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.checks.snapshot import Snapshot, tensors
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins import ContinualPlugin


@dataclass
class Step:
    """A step of a strategy with the plugin."""

    experience: int
    """Number of its experience, from 0."""
    images: Tensor
    """Raw images of the batch that was trained on."""
    n_new: int
    """`strategy.n_new`."""
    remembered: Tensor | None
    """What the memory of a plugin with `buffer` and `slots` holds for the rows ``[n_new:]``."""
    frozen: tuple[Snapshot, Snapshot]
    """What is never trained in the plugin, at the start of the step and when its gradient is known."""
    term: Tensor | None
    """The term, detached."""
    differentiable: bool
    """Whether the term has a gradient."""
    reached: bool
    """Whether a gradient of the term that is not 0 reaches the encoder."""
    trained: set[str]
    """Parameters of the plugin with a gradient that is not 0."""
    shapes: Snapshot
    """Types and shapes in the plugin's `state_dict` after the step."""
    hooks: set[str]
    """Modules of the method and the plugin that have hooks after the step."""


class Watch:
    """Notes what the plugin does in each step; switches it and the method to eval mode and back between steps.

    Args:
        plugin: that is watched; None: nothing is noted.
    """

    def __init__(self, plugin: ContinualPlugin | None) -> None:
        self.plugin = plugin
        self.steps: list[Step] = []
        self._seen: dict[str, Any] = {}
        self._experience = -1
        if plugin is not None:
            self._keep_terms(plugin)

    def _keep_terms(self, plugin: ContinualPlugin) -> None:
        original = plugin.term

        def term(strategy: Any) -> Tensor | None:
            self._seen["term"] = value = original(strategy)
            return value

        object.__setattr__(plugin, "term", term)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: it has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Count the experiences."""
        self._experience += 1

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Note the batch and what is frozen, around a change of modes as evaluation makes it."""
        if self.plugin is None:
            return
        for mode in (False, True):
            strategy.model.train(mode)
            self.plugin.train(mode)
        plugin: Any = self.plugin
        remembered = None
        if hasattr(plugin, "buffer") and hasattr(plugin, "slots") and len(plugin.slots):
            remembered = plugin.buffer.images(plugin.slots).cpu()
        self._seen = {
            "images": strategy.mb_x.cpu().clone(),
            "n_new": strategy.n_new,
            "remembered": remembered,
            "frozen": frozen(self.plugin),
            "term": None,
        }

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        """Note where the gradient of the term alone goes."""
        term = self._seen.get("term")
        differentiable = self._seen["differentiable"] = term is not None and term.requires_grad
        weights = [p for p in strategy.model.encoder.parameters() if p.requires_grad]
        gradients: tuple[Tensor | None, ...] = ()
        if term is not None and differentiable and weights:
            gradients = torch.autograd.grad(term.sum(), weights, retain_graph=True, allow_unused=True)
        self._seen["reached"] = any(g is not None and bool(g.count_nonzero()) for g in gradients)

    def before_update(self, strategy: Any, **kwargs: Any) -> None:
        """Note which parameters of the plugin have a gradient, and what is frozen."""
        if self.plugin is None:
            return
        named = self.plugin.named_parameters()
        self._seen["trained"] = {n for n, p in named if p.grad is not None and p.grad.count_nonzero()}
        self._seen["frozen"] = (self._seen["frozen"], frozen(self.plugin))

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Put the step down."""
        if self.plugin is None:
            return
        term = self._seen["term"]
        self._seen["term"] = None if term is None else term.detach()
        step = Step(
            experience=self._experience,
            shapes={n: _shape(value) for n, value in self.plugin.state_dict().items()},
            hooks=hooked(strategy.model, "method") | hooked(self.plugin, "plugin"),
            **self._seen,
        )
        self.steps.append(step)


def frozen(plugin: nn.Module) -> Snapshot:
    """Copies of the tensors, running statistics too, of the parts of a plugin that have weights and train none."""
    found: Snapshot = {}
    for name, part in _frozen_parts(plugin, ""):
        found |= {f"{name}.{entry}": value for entry, value in tensors(part).items()}
    return found


def method_copies(plugin: nn.Module) -> dict[str, Method]:
    """The methods inside a plugin, by name."""
    return {name: part for name, part in plugin.named_modules() if isinstance(part, Method)}


def hooked(module: nn.Module, name: str) -> set[str]:
    """The parts of a module that have hooks of a forward or backward pass."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {f"{name}.{path}" for path, part in module.named_modules() if any(getattr(part, kind) for kind in kinds)}


def _frozen_parts(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    """The largest submodules that have parameters, none of which is trained."""
    parts = []
    for name, child in module.named_children():
        trained = [parameter.requires_grad for parameter in child.parameters()]
        if trained and not any(trained):
            parts.append((f"{prefix}{name}", child))
        elif trained:
            parts += _frozen_parts(child, f"{prefix}{name}.")
    return parts


def _shape(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
