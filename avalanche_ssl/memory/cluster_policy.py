"""`ClusterBalanced`: a memory balanced over clusters of its features, without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from avalanche_ssl.errors import require_positive
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory.policy import Policy, draw

if TYPE_CHECKING:
    from avalanche_ssl.memory.image_buffer import ImageBuffer


class ClusterBalanced(Policy):
    """Clusters of features are kept in equal numbers: a random image of the largest cluster leaves.

    The label-free form of `ClassBalanced`, by online spherical k-means of what the memory holds. Centroids are the
    means of the features of their images. An image belongs to the most similar centroid when it enters, and again
    whenever its feature is refreshed. If a cluster is empty, it begins that one; and if it is less similar to any
    centroid than the two most similar ones are to each other, these two merge first (as in incremental clustering,
    Charikar et al. 1997). Without that, the first class of a stream would keep nearly all clusters, and later classes
    that share one would push each other out.

    Args:
        clusters: K; give at least the number of classes that the stream may have, for more do no harm.
    """

    reads_features: ClassVar[bool] = True

    member: Tensor
    centroids: Tensor

    def __init__(self, clusters: int = 20) -> None:
        super().__init__()
        require_positive(clusters=clusters)
        self.clusters = clusters

    def allocate(self, size: int, dim: int) -> None:
        """Make `member` (M,) long, the cluster of each slot, -1 if free, and `centroids` (K, D), zero if empty."""
        self.register_buffer("member", torch.full((size,), -1))
        self.register_buffer("centroids", torch.zeros(self.clusters, dim))

    def victim(self, memory: ImageBuffer, feature: Tensor, label: int) -> int:
        """A random slot of the largest cluster, or of all largest ones; the new image counts in the nearest."""
        sizes = self.sizes()
        sizes[self._cluster(feature, sizes)] += 1
        return draw((sizes[self.member] == sizes.max()).nonzero().squeeze(1), memory)

    def sizes(self) -> Tensor:
        """Images of each cluster, (K,) long."""
        return (self.member + 1).bincount(minlength=self.clusters + 1)[1:]

    def leave(self, memory: ImageBuffer, slot: int) -> None:
        """The centroid of the image forgets it."""
        cluster = self.member[slot].clone()
        self.member[slot] = -1
        self._move(memory, cluster[None])

    def enter(self, memory: ImageBuffer, slot: int) -> None:
        """The image joins a cluster, or begins one."""
        self._make_room(memory, memory.features[slot])
        self.member[slot] = self._cluster(memory.features[slot], self.sizes())
        self._move(memory, self.member[slot][None])

    def refresh(self, memory: ImageBuffer, slots: Tensor) -> None:
        """The images join clusters again, as all centroids were before, and then the centroids move."""
        before = self.member[slots].clone()
        self.member[slots] = (l2_normalize(memory.features[slots]) @ self.centroids.T).argmax(1)
        self._move(memory, torch.unique(torch.cat([before, self.member[slots]])))

    def _make_room(self, memory: ImageBuffer, feature: Tensor) -> None:
        """Merge the two most similar clusters if the image is less similar to any: so it begins one."""
        if self.clusters < 2 or (self.sizes() == 0).any():
            return
        pairs = (self.centroids @ self.centroids.T).fill_diagonal_(-torch.inf)
        if (self.centroids @ l2_normalize(feature)).max() < pairs.max():
            one, other = divmod(int(pairs.argmax()), self.clusters)
            self.member[self.member == other] = one
            self._move(memory, torch.tensor([one, other]))

    def _cluster(self, feature: Tensor, sizes: Tensor) -> Tensor:
        """The cluster that an image with `feature` (D,) joins, 0-d long: the first empty one, or else the nearest."""
        nearest = (self.centroids @ l2_normalize(feature)).argmax()
        return torch.where(sizes.min() == 0, sizes.argmin(), nearest)

    def _move(self, memory: ImageBuffer, clusters: Tensor) -> None:
        """Recompute the centroids of `clusters` (n,) from their images."""
        for cluster in clusters.tolist():
            features = l2_normalize(memory.features[self.member == cluster])
            self.centroids[cluster] = l2_normalize(features.sum(0))
