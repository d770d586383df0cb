"""`Policy`: the base of what decides which images a memory keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from avalanche_ssl.memory.image_buffer import ImageBuffer


class Policy(nn.Module):
    """Decides which image leaves an `ImageBuffer` when another comes.

    Free slots are filled first; then `victim` names the slot that is overwritten. What a policy remembers lies in
    buffers that `allocate` makes, so that it counts in a byte budget and is saved. Random numbers come from
    `memory.generator`.
    """

    reads_labels: ClassVar[bool] = False
    """Whether it looks at labels, which self-supervised learning does not have: for reference only."""
    reads_features: ClassVar[bool] = False
    """Whether it reads features: where not, they may be on a GPU, and those of a batch are written after its last
    `enter`."""

    def allocate(self, size: int, dim: int) -> None:
        """Make the buffers, empty, for `size` slots with features of length `dim`.

        Their bytes are a constant and the same number for every slot. Called again, it begins again.
        """

    def choose(self, memory: ImageBuffer, feature: Tensor, label: int) -> int | None:
        """The slot for the next image, number `memory.seen` of the stream; None if it is not kept.

        Args:
            memory: the buffer; nothing of it changes, except by `memory.remove`.
            feature: (D,) of the image.
            label: of the image; -1 if unknown.
        """
        return memory.free_slot() if memory.count < memory.size else self.victim(memory, feature, label)

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int | None:
        """The slot whose image leaves a full memory for the next one; None if that is not kept. See `choose`."""
        raise NotImplementedError

    def leave(self, memory: ImageBuffer, slot: int) -> None:
        """Note that an image has left: `slot` counts as free already, and its feature and label can still be read."""

    def enter(self, memory: ImageBuffer, slot: int) -> None:
        """Note that an image has entered the free `slot`."""

    def refresh(self, memory: ImageBuffer, slots: Tensor) -> None:
        """Note that the features of `slots` (n,), all held and none twice, have changed."""

    def sample(self, memory: ImageBuffer, n: int) -> Tensor:
        """Draw min(n, held) different held slots, each with equal probability, in random order; (n,) long."""
        held = memory.held()
        return held[torch.randperm(len(held), generator=memory.generator)[:n]]


def draw(candidates: Tensor, memory: ImageBuffer) -> int:
    """One of `candidates` (n,), each with equal probability, by the memory's generator."""
    return int(candidates[torch.randint(len(candidates), (), generator=memory.generator)])
