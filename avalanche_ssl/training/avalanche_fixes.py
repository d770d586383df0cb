"""Work-arounds for avalanche-lib 0.6."""

import sys
from collections.abc import Iterable
from typing import Any

import torch
from avalanche.training.plugins import ReplayPlugin, SynapticIntelligencePlugin


def allow_save_checkpoint() -> None:
    """Let Avalanche's own `save_checkpoint` save strategies; call this once before it.

    torch deletes the names of the modules that define its optimizers from `torch.optim`, so that dill, not finding
    them, pickles their classes by value and fails. This puts the names back. Avalanche's files are pickles: load
    only your own.
    """
    for path, module in list(sys.modules.items()):
        parent, _, name = path.rpartition(".")
        if parent == "torch.optim":
            setattr(torch.optim, name, module)


def unalias_synaptic_intelligence(plugins: Iterable[Any]) -> None:
    """Give Avalanche's Synaptic Intelligence its own copies of the weights that it remembers.

    On the CPU, Avalanche 0.6.0 stores `param.detach().cpu().flatten()`, which is the weight itself and changes with
    it: the path integral and the penalty are silently zero.
    """
    for plugin in plugins:
        if isinstance(plugin, SynapticIntelligencePlugin):
            for kept in (*plugin.ewc_data[0].values(), *plugin.syn_data["old_theta"].values()):
                kept.data = kept.data.clone()


class AvalancheReplay(ReplayPlugin):  # type: ignore[misc]
    """Avalanche's replay, without the deprecated call to its buffer that warns after each experience."""

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Let the buffer draw from the experience."""
        self.storage_policy.post_adapt(strategy, strategy.experience)
