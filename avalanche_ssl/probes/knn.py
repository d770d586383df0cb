"""k-nearest-neighbor probe (Wu et al. 2018, arXiv:1805.01978)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.errors import require_positive
from avalanche_ssl.probes.classifier import PooledClassifier


@dataclass(frozen=True)
class KNN(PooledClassifier):
    """Vote of the k training samples of largest cosine similarity, weighted exp(similarity / T); all if fewer than k.

    Wu et al. 2018, arXiv:1805.01978, section 3.4; scikit-learn's `KNeighborsClassifier` with the cosine metric and
    these weights.
    """

    k: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        require_positive(k=self.k, temperature=self.temperature)

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """Store the normalized features and their labels."""
        return KNNVotes(F.normalize(features, dim=1), labels, n_classes, self.k, self.temperature)


class KNNVotes(nn.Module):
    """Votes (B, C) of the nearest keys (N, D), which have unit length, with labels (N,).

    A class without a key has -inf votes.
    """

    keys: Tensor
    labels: Tensor

    def __init__(
        self, keys: Tensor, labels: Tensor, n_classes: int, k: int, temperature: float, chunk: int = 1024
    ) -> None:
        super().__init__()
        self.register_buffer("keys", keys)
        self.register_buffer("labels", labels)
        self.n_classes, self.k, self.temperature, self.chunk = n_classes, min(k, len(keys)), temperature, chunk

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, D) -> votes (B, C), `chunk` rows at a time."""
        votes = torch.cat([self._vote(rows) for rows in torch.split(features.to(self.keys.dtype), self.chunk)])
        absent = self.labels.bincount(minlength=self.n_classes) == 0
        return votes.masked_fill(absent, -torch.inf)

    def _vote(self, rows: Tensor) -> Tensor:
        similarity, neighbors = (F.normalize(rows, dim=1) @ self.keys.T).topk(self.k)
        weight = ((similarity - 1) / self.temperature).exp()  # - 1: the same order, and no overflow at a low T
        return weight.new_zeros(len(rows), self.n_classes).scatter_add_(1, self.labels[neighbors], weight)
