"""Policies of a memory of images by name; the simple ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from avalanche_ssl.errors import unknown_name
from avalanche_ssl.memory.climb_policy import Climb
from avalanche_ssl.memory.cluster_policy import ClusterBalanced
from avalanche_ssl.memory.min_redundancy import MinRed
from avalanche_ssl.memory.policy import Policy, draw

if TYPE_CHECKING:
    from avalanche_ssl.memory.image_buffer import ImageBuffer


class Reservoir(Policy):
    """Every image of the stream is kept with equal probability (Vitter 1985, algorithm R)."""

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int | None:
        """Slot j of j ~ U{0, ..., t} for image t; None for j beyond the slots."""
        slot = int(torch.randint(int(memory.seen) + 1, (), generator=memory.generator))
        return slot if slot < memory.size else None


class FIFO(Policy):
    """The newest images are kept: image t enters slot t modulo the number of slots."""

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int:
        """The slot of the oldest image."""
        return int(memory.born.argmin())


class ClassBalanced(Policy):
    """Classes are kept in equal numbers: a random image of the largest class leaves. Reads labels: for reference only.

    The new image counts in its class. Images of unknown label, -1, are a class.
    """

    reads_labels: ClassVar[bool] = True

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int:
        """A random slot of the largest class, or of all largest ones."""
        classes, members = torch.unique(memory.labels, return_inverse=True)
        sizes = members.bincount(minlength=len(classes)) + (classes == label)
        return draw((sizes[members] == sizes.max()).nonzero().squeeze(1), memory)


POLICIES: dict[str, type[Policy]] = {
    "reservoir": Reservoir,
    "fifo": FIFO,
    "class": ClassBalanced,
    "cluster": ClusterBalanced,
    "minred": MinRed,
    "climb": Climb,
}
"""Policies by the names that settings give."""

WITHOUT_LABELS = ", ".join(name for name, policy in POLICIES.items() if not policy.reads_labels)
"""The names of those that read no labels, for messages."""


def make_policy(policy: str | Policy) -> Policy:
    """The policy with a name of `POLICIES`, with its default settings; a policy is returned as it is.

    Raises:
        UsageError: no policy has the name.
    """
    if isinstance(policy, Policy):
        return policy
    if policy not in POLICIES:
        raise unknown_name("policy", policy, POLICIES)
    return POLICIES[policy]()
