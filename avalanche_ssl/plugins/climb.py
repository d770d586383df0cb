"""`CLIMB`: replay from long-term and short-term centroids, with embeddings aligned with those of a slow copy."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins.cla import CLA
from avalanche_ssl.plugins.replay import Replay


class CLIMB(Replay):
    """`Replay` whose policy keeps what came often and what is new, and `CLA` (CLA-E) on its replayed images, in one.

    CLIMB (CoLLAs 2026) of 2,500 images, for streams without boundaries; see `Replay` for the memory,
    `avalanche_ssl.memory.Climb` for its policy and `CLA` for the term.

    Args:
        size: images in the memory; None: 2,500, or as many as `bytes` hold.
        bytes: instead of a size, see `Replay`.
        batch: replayed images of a step, see `Replay`.
        weight: of the term; None: 2.
        balance: see `ContinualPlugin`.
        momentum: of the slow copy, for a step.
        hidden_dim: width of the aligners.

    Raises:
        UsageError: as `Replay` and `CLA` do; when the strategy is made: there is another `CLA`.
    """

    needs_spaces = True

    def __init__(
        self,
        size: int | None = None,
        bytes: int | str | None = None,
        batch: int = 0,
        weight: float | None = None,
        balance: float | None = None,
        momentum: float = 0.999,
        hidden_dim: int = 512,
    ) -> None:
        super().__init__(2500 if size is None and bytes is None else size, bytes, batch, policy="climb")
        self.alignment = CLA("ema", weight, balance, momentum, hidden_dim=hidden_dim)
        self.weight, self.gradients = self.alignment.weight, self.alignment.gradients
        self._has_default_weight = weight is None

    def default_weight(self, method: Method) -> float:
        """2, as published."""
        return 2.0

    def build(self, strategy: Any) -> None:
        """Make the memory, the aligners and the slow copy.

        Raises:
            UsageError: another plugin aligns, or replays.
        """
        super().build(strategy)
        if any(isinstance(plugin, CLA) for plugin in strategy.plugins):
            raise UsageError("CLIMB and CLA align the same embeddings: give one of them")
        self.alignment.build(strategy)

    def term(self, strategy: Any) -> Tensor | None:
        """That of CLA-E, 0-d; None without replayed images."""
        return self.alignment.term(strategy)

    def after_step(self, strategy: Any) -> None:
        """Let features and copy follow, and new images enter."""
        super().after_step(strategy)
        self.alignment.after_step(strategy)
