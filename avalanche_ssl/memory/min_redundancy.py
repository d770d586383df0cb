"""`MinRed`: a memory without near duplicates, kept incrementally."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from avalanche_ssl.memory.policy import Policy

if TYPE_CHECKING:
    from avalanche_ssl.memory.image_buffer import ImageBuffer

CHUNK = 256
"""Slots that search their nearest other at once."""


class MinRed(Policy):
    """One image of the closest pair leaves (minimum redundancy, Purushwalkam et al. 2022, arXiv:2203.12710).

    Distances are 1 - cos of features. Each slot remembers its nearest other, `who`, and the distance to it, `near`: an
    image enters or leaves with one or two products of a feature with all, O(M D) instead of O(M^2 D), and memory is
    O(M). Images of a batch compete with each other, one at a time; every new image enters.
    """

    reads_features: ClassVar[bool] = True

    near: Tensor
    who: Tensor
    scale: Tensor

    def allocate(self, size: int, dim: int) -> None:
        """Make `near` (M,), `who` (M,) long, -1 for no other, and `scale` (M,), 1 / length of the feature."""
        self.register_buffer("near", torch.full((size,), torch.inf))
        self.register_buffer("who", torch.full((size,), -1))
        self.register_buffer("scale", torch.zeros(size))

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int:
        """The later slot of the closest pair.

        Either may leave. Equal features are all nearest to the first of them, and would have to search all again if
        that one left.
        """
        slot = int(self.near.argmin())
        return max(slot, int(self.who[slot]))

    def leave(self, memory: ImageBuffer, slot: int) -> None:
        """Slots that were nearest to `slot` search again."""
        self.near[slot], self.who[slot] = torch.inf, -1
        self._search(memory, (self.who == slot).nonzero().squeeze(1))

    def enter(self, memory: ImageBuffer, slot: int) -> None:
        """The slot searches its nearest other, and becomes that of the slots it is nearer to."""
        self.refresh(memory, torch.tensor([slot]))

    def refresh(self, memory: ImageBuffer, slots: Tensor) -> None:
        """The slots and those nearest to them search again; then others that the slots came nearer to follow."""
        self.scale[slots] = 1 / memory.features[slots].norm(dim=1).clamp(min=1e-12)
        orphans = torch.isin(self.who, slots)
        orphans[slots] = False
        self._search(memory, orphans.nonzero().squeeze(1))
        self._search(memory, slots)

    def _search(self, memory: ImageBuffer, slots: Tensor) -> None:
        """Find the nearest others of `slots`, and whom they are nearer to than what is remembered."""
        if len(slots) == 0:
            return
        free = memory.born < 0
        for part in torch.split(slots, CHUNK):
            away = 1 - memory.features[part] @ memory.features.T * self.scale[part, None] * self.scale  # (n, M)
            away[torch.arange(len(part)), part] = torch.inf
            away[:, free] = torch.inf
            self._remember(part, *away.min(1))
            distance, row = away.min(0)
            closer = (distance < self.near).nonzero().squeeze(1)
            self._remember(closer, distance[closer], part[row[closer]])

    def _remember(self, slots: Tensor, distance: Tensor, other: Tensor) -> None:
        self.near[slots] = distance
        self.who[slots] = torch.where(distance.isfinite(), other, -1)
