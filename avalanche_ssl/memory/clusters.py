"""How do embeddings fall into clusters? Prototypes and balanced codes (SwAV), spherical k-means (DeepCluster).

Functions of tensors, and the two memories made of them. Assigning is never differentiated; all of it is in float32,
also under autocast.
"""

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.rng import uniform

IMAGES = 10
"""Images that a cluster needs at least on average: a smaller experience is cut into fewer clusters."""

ROWS = 8192
"""Rows that k-means compares with the centroids at once."""


@torch.no_grad()
def spherical_kmeans(
    rows: Tensor, start: Tensor, iterations: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """k-means by cosine (Dhillon & Modha 2001): centroids are unit, each row belongs to the most similar one.

    A cluster that loses all its rows begins anew at a row drawn at random, thus mostly inside a large cluster.

    Args:
        rows: (N, D) unit vectors.
        start: (K, D) centroids to begin with, e.g. those of the last time.
        iterations: how often all rows are assigned and all centroids moved.
        generator: draws the rows where empty clusters begin anew.

    Returns:
        Centroids (K, D), and the cluster (N,) long of each row.
    """
    centroids, count = start, len(start)
    for _ in range(iterations):
        sums, sizes = torch.zeros_like(start), start.new_zeros(count)
        for part in torch.split(rows, ROWS):
            members = F.one_hot(nearest_centroid(part, centroids), count).to(
                rows.dtype
            )  # a product is repeatable on GPUs
            sums += members.T @ part
            sizes += members.sum(0)
        fresh = (uniform((count,), 0, 1, generator, rows.device) * len(rows)).long().clamp(max=len(rows) - 1)
        centroids = torch.where(sizes[:, None] > 0, l2_normalize(sums), rows[fresh])
    return centroids, torch.cat([nearest_centroid(part, centroids) for part in torch.split(rows, ROWS)])


def nearest_centroid(rows: Tensor, centroids: Tensor) -> Tensor:
    """The most similar centroid (N,) long of each row: (N, D) unit, (K, D) unit."""
    with torch.autocast(rows.device.type, enabled=False):
        return (rows @ centroids.T).argmax(1)


def perplexity(sizes: Tensor) -> Tensor:
    """How many clusters are in use, as exp(entropy) of their sizes (..., K): 1 when all is in one, K when balanced."""
    shares = sizes.float() / sizes.sum(-1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(-1)
    return entropy.exp()


class Clusters(nn.Module):
    """Several clusterings of the same images by spherical k-means, and which cluster an embedding belongs to.

    Two ways to move the centroids: `fit` on all rows of an experience, from where they were (warm start), or
    `partial_fit` batch by batch, without any boundary. An experience of fewer than `IMAGES` images a cluster uses only
    the first N // `IMAGES` clusters, at least two: see `active`.

    Args:
        heads: H, clusterings; number h looks at crop h modulo V.
        count: K, clusters of each.
        crops: V, embeddings of an image.
        dim: length D of an embedding.
        whiten: first make the embeddings' distribution round (DeepCluster sec. 3.3); needed where they share a
            large mean, as features behind a ReLU do.
        balance: a cluster of n images is less similar by ``balance * log(1 + n)`` (frequency-sensitive competitive
            learning, Banerjee & Ghosh 2004). Online clusters need it: without, all images soon share one, since
            what is predicted well becomes more alike.
    """

    centroids: Tensor
    sizes: Tensor
    active: Tensor
    fitted: Tensor
    mean: Tensor
    basis: Tensor

    DECAY = 0.99
    """Of the sizes in `partial_fit`: centroids average over some 100 batches."""

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
        """The cluster (B, H) long of images by their unit embeddings (B, V, D), in each clustering."""
        rows = self._rounded(rows)
        heads = range(len(self.centroids))
        return torch.stack([self._similarity(rows, head).argmax(1) for head in heads], dim=1)

    def mask(self, scores: Tensor) -> Tensor:
        """Scores (..., K), those of unused clusters -inf."""
        unused = torch.arange(scores.shape[-1], device=scores.device) >= self.active
        return scores.masked_fill(unused, -math.inf)

    @torch.no_grad()
    def fit(self, rows: Tensor, iterations: int, generator: Generator | None = None) -> None:
        """Cluster unit embeddings (N, V, D); the first time from random rows, later from the last centroids."""
        heads, count, _ = self.centroids.shape
        used = min(count, max(2, len(rows) // IMAGES))
        self.active.fill_(used)
        if self.whiten:
            self._make_round(rows)
        rows = self._rounded(rows)
        for head in range(heads):
            data = rows[:, head % rows.shape[1]]
            start = self.centroids[head, :used]
            if not self.fitted:
                start = data[
                    uniform((len(data),), 0, 1, generator, data.device).argsort()[torch.arange(used) % len(data)]
                ]
            self.centroids[head, :used], labels = spherical_kmeans(data, start, iterations, generator)
            self.sizes[head] = labels.bincount(minlength=count)
        self.fitted += 1

    @torch.no_grad()
    def partial_fit(self, rows: Tensor, generator: Generator | None = None) -> None:
        """Move the centroids towards a batch (B, V, D): online clustering (cf. ODC, arXiv:2006.10645).

        Clusters that have shrunk below a tenth of the mean size begin anew at rows of the batch.
        """
        if self.whiten:
            self.mean.lerp_(rows.mean(0), (1 / (self.fitted + 1)).clamp(min=1 - self.DECAY))
        rows = self._rounded(rows)
        for head, (centroids, sizes) in enumerate(zip(self.centroids, self.sizes, strict=True)):
            data = rows[:, head % rows.shape[1]]
            members = F.one_hot(self._similarity(rows, head).argmax(1), len(sizes)).to(data.dtype)
            moved = l2_normalize(sizes[:, None] * centroids + members.T @ data)
            centroids.copy_(torch.where(members.sum(0)[:, None] > 0, moved, centroids))
            sizes.mul_(self.DECAY).add_(members.sum(0))
            self._begin_anew(centroids, sizes, data, generator)
        self.fitted += 1

    def _begin_anew(self, centroids: Tensor, sizes: Tensor, rows: Tensor, generator: Generator | None) -> None:
        mean = sizes.mean()
        small = (sizes <= mean / 10) & (torch.arange(len(sizes), device=sizes.device) < self.active)
        rank = small.cumsum(0) - 1
        small = small & (rank < len(rows))
        order = uniform((len(rows),), 0, 1, generator, rows.device).argsort()
        seeds = rows[order[rank.clamp(0, len(rows) - 1)]]
        centroids.copy_(torch.where(small[:, None], seeds, centroids))
        sizes.copy_(torch.where(small, mean.clamp(min=1), sizes))

    def _similarity(self, rows: Tensor, head: int) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            similarity = self.mask(rows[:, head % rows.shape[1]] @ self.centroids[head].T)
        return similarity - self.balance * self.sizes[head].log1p() if self.balance else similarity

    def _rounded(self, rows: Tensor) -> Tensor:
        if not self.whiten:
            return rows
        with torch.autocast(rows.device.type, enabled=False):
            return l2_normalize(torch.einsum("bvd,vde->bve", rows - self.mean, self.basis))

    def _make_round(self, rows: Tensor) -> None:
        """Whitening that turns no axis (ZCA), so that the last centroids keep their meaning.

        Directions of little variance are noise and are left small: a hundredth of the mean variance is added.
        """
        self.mean.copy_(rows.mean(0))
        for crop, data in enumerate((rows - self.mean).unbind(1)):
            variance, axes = torch.linalg.eigh(data.T.double() @ data.double() / len(data))
            variance = variance.clamp(min=0)
            scale = (variance + 0.01 * variance.mean() + 1e-12).rsqrt()
            self.basis[crop] = (axes * scale @ axes.T).to(self.basis.dtype)
