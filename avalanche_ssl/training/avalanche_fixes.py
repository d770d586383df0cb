"""Work-arounds for avalanche-lib 0.6."""

import sys
from typing import Any

import torch
from avalanche.training.plugins import ReplayPlugin


def allow_save_checkpoint() -> None:
    """Let Avalanche's own `save_checkpoint` save strategies; call it once before.

    torch deletes the names of the modules that define its optimisers from `torch.optim`, so that dill, not finding
    them, pickles their classes by value and fails. This puts the names back. Avalanche's files are pickles: load
    only your own.
    """
    for path, module in list(sys.modules.items()):
        parent, _, name = path.rpartition(".")
        if parent == "torch.optim":
            setattr(torch.optim, name, module)


class Replay(ReplayPlugin):  # type: ignore[misc]
    """Avalanche's, which calls its buffer by a deprecated name, with a warning after each experience."""

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Let the buffer draw from the experience."""
        self.storage_policy.post_adapt(strategy, strategy.experience)
