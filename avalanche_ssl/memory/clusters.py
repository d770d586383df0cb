"""`Clusters`: several clusterings of the same images by spherical k-means (DeepCluster).

Assignments have no gradient; everything is computed in float32, also under autocast.
"""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.rng import uniform

MIN_CLUSTER_SIZE = 10
"""Images that a cluster needs on average: a smaller experience is divided into fewer clusters."""

CHUNK = 8192
"""Rows that k-means compares with the centroids at once."""


@torch.no_grad()
def spherical_kmeans(
    rows: Tensor, start: Tensor, iterations: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """k-means by cosine (Dhillon & Modha 2001): centroids are unit, each row belongs to the most similar one.

    A cluster that loses all its rows restarts at a random row, thus mostly inside a large cluster.

    Args:
        rows: (N, D) unit vectors.
        start: (K, D) initial centroids, e.g. those of the last call.
        iterations: how often all rows are assigned and all centroids moved.
        generator: draws the rows where empty clusters restart.

    Returns:
        Centroids (K, D), and the cluster (N,) long of each row.
    """
    centroids, count = start, len(start)
    for _ in range(iterations):
        sums, sizes = torch.zeros_like(start), start.new_zeros(count)
        for part in torch.split(rows, CHUNK):
            # A matrix product is repeatable on GPUs, where a scatter is not.
            members = F.one_hot(nearest_centroid(part, centroids), count).to(rows.dtype)
            sums += members.T @ part
            sizes += members.sum(0)
        restarts = (
            (uniform((count,), 0, 1, generator, rows.device, images=None) * len(rows)).long().clamp(max=len(rows) - 1)
        )
        centroids = torch.where(sizes[:, None] > 0, l2_normalize(sums), rows[restarts])
    return centroids, torch.cat([nearest_centroid(part, centroids) for part in torch.split(rows, CHUNK)])


def nearest_centroid(rows: Tensor, centroids: Tensor) -> Tensor:
    """Index (N,) long of the most similar of (K, D) unit centroids for each of (N, D) unit rows."""
    with torch.autocast(rows.device.type, enabled=False):
        return (rows @ centroids.T).argmax(1)


def perplexity(sizes: Tensor) -> Tensor:
    """Effective number of clusters, exp(entropy) of their sizes (..., K): 1 if one holds all, K if balanced."""
    shares = sizes.float() / sizes.sum(-1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(-1)
    return entropy.exp()


class Clusters(nn.Module):
    """Several clusterings of the same images by spherical k-means.

    The centroids move either by `fit` on all rows of an experience, starting from the last centroids, or by
    `partial_fit` batch by batch, without boundaries. An experience of fewer than `MIN_CLUSTER_SIZE` images per cluster
    uses only the first N // `MIN_CLUSTER_SIZE` clusters, at least two: see `active`.

    Args:
        heads: H, number of clusterings; clustering h reads crop h modulo V.
        count: K, clusters per clustering.
        crops: V, embeddings per image.
        dim: length D of an embedding.
        whiten: whiten the embeddings first (DeepCluster sec. 3.3), as needed where they share a large mean, such as
            features behind a ReLU.
        balance: lower the similarity to a cluster of n images by ``balance * log(1 + n)`` (frequency-sensitive
            competitive learning, Banerjee & Ghosh 2004). Online clusters need it: without it, all images soon share
            one cluster, since images that are predicted well become more alike.
    """

    centroids: Tensor
    sizes: Tensor
    active: Tensor
    fitted: Tensor
    mean: Tensor
    basis: Tensor

    DECAY = 0.99
    """Decay of the sizes in `partial_fit`: centroids average over some 100 batches."""

    def __init__(
        self, heads: int, count: int, crops: int, dim: int, whiten: bool = False, balance: float = 0.0
    ) -> None:
        super().__init__()
        if heads < 1 or count < 2:
            raise ValueError(f"{heads} clusterings into {count} clusters: give at least 1 and 2")
        self.whiten, self.balance = whiten, balance
        self.register_buffer("centroids", l2_normalize(torch.randn(heads, count, dim)))
        self.register_buffer("sizes", torch.zeros(heads, count))
        self.register_buffer("active", torch.tensor(count))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(crops, dim))
        self.register_buffer("basis", torch.eye(dim).expand(crops, dim, dim).clone() if whiten else torch.empty(0))

    def assign(self, rows: Tensor) -> Tensor:
        """The cluster (B, H) long of images in each clustering, from their unit embeddings (B, V, D)."""
        rows = self._whitened(rows)
        heads = range(len(self.centroids))
        return torch.stack([self._similarity(rows, head).argmax(1) for head in heads], dim=1)

    def mask(self, scores: Tensor) -> Tensor:
        """Scores (..., K) with -inf for unused clusters."""
        unused = torch.arange(scores.shape[-1], device=scores.device) >= self.active
        return scores.masked_fill(unused, -math.inf)

    @torch.no_grad()
    def fit(self, rows: Tensor, iterations: int, generator: Generator | None = None) -> None:
        """Cluster unit embeddings (N, V, D), starting from random rows at first and from the last centroids later."""
        heads, count, _ = self.centroids.shape
        used = min(count, max(2, len(rows) // MIN_CLUSTER_SIZE))
        self.active.fill_(used)
        if self.whiten:
            self._fit_whitening(rows)
        rows = self._whitened(rows)
        for head in range(heads):
            data = rows[:, head % rows.shape[1]]
            start = self.centroids[head, :used]
            if not self.fitted:
                order = uniform((len(data),), 0, 1, generator, data.device, images=None).argsort()
                start = data[order[torch.arange(used) % len(data)]]
            self.centroids[head, :used], labels = spherical_kmeans(data, start, iterations, generator)
            self.sizes[head] = labels.bincount(minlength=count)
        self.fitted += 1

    @torch.no_grad()
    def partial_fit(self, rows: Tensor, generator: Generator | None = None) -> None:
        """Move the centroids towards a batch (B, V, D): online clustering (cf. ODC, arXiv:2006.10645).

        Clusters that have shrunk below a tenth of the mean size restart at rows of the batch.
        """
        if self.whiten:
            self.mean.lerp_(rows.mean(0), (1 / (self.fitted + 1)).clamp(min=1 - self.DECAY))
        rows = self._whitened(rows)
        for head, (centroids, sizes) in enumerate(zip(self.centroids, self.sizes, strict=True)):
            data = rows[:, head % rows.shape[1]]
            members = F.one_hot(self._similarity(rows, head).argmax(1), len(sizes)).to(data.dtype)
            moved = l2_normalize(sizes[:, None] * centroids + members.T @ data)
            centroids.copy_(torch.where(members.sum(0)[:, None] > 0, moved, centroids))
            sizes.mul_(self.DECAY).add_(members.sum(0))
            self._restart_small(centroids, sizes, data, generator)
        self.fitted += 1

    def _restart_small(self, centroids: Tensor, sizes: Tensor, rows: Tensor, generator: Generator | None) -> None:
        mean = sizes.mean()
        small = (sizes <= mean / 10) & (torch.arange(len(sizes), device=sizes.device) < self.active)
        rank = small.cumsum(0) - 1
        small = small & (rank < len(rows))
        order = uniform((len(rows),), 0, 1, generator, rows.device, images=None).argsort()
        seeds = rows[order[rank.clamp(0, len(rows) - 1)]]
        centroids.copy_(torch.where(small[:, None], seeds, centroids))
        sizes.copy_(torch.where(small, mean.clamp(min=1), sizes))

    def _similarity(self, rows: Tensor, head: int) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            similarity = self.mask(rows[:, head % rows.shape[1]] @ self.centroids[head].T)
        return similarity - self.balance * self.sizes[head].log1p() if self.balance else similarity

    def _whitened(self, rows: Tensor) -> Tensor:
        if not self.whiten:
            return rows
        with torch.autocast(rows.device.type, enabled=False):
            return l2_normalize(torch.einsum("bvd,vde->bve", rows - self.mean, self.basis))

    def _fit_whitening(self, rows: Tensor) -> None:
        """Fit a whitening without rotation (ZCA), so that the last centroids keep their meaning.

        Directions of little variance are noise and stay small: a hundredth of the mean variance is added.
        """
        self.mean.copy_(rows.mean(0))
        for crop, data in enumerate((rows - self.mean).unbind(1)):
            variance, axes = torch.linalg.eigh(data.T.double() @ data.double() / len(data))
            variance = variance.clamp(min=0)
            scale = (variance + 0.01 * variance.mean() + 1e-12).rsqrt()
            self.basis[crop] = (axes * scale @ axes.T).to(self.basis.dtype)
