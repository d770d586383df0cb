"""Which classifiers are fitted on frozen features? Ridge, nearest neighbours, nearest class mean, logistic regression.

Those that are trained by gradient descent are in `avalanche_ssl.heads`. A fitted classifier is a module from
features (B, D) to scores (B, C); a class without a training sample scores -inf.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.models.inference import Labelled
from avalanche_ssl.moments import Moments, labelled
from avalanche_ssl.parallel import at_once
from avalanche_ssl.ridge import GRID, LinearProbe, Split, fit_splits

Fit = Callable[[slice], nn.Module | None]
"""Fits on the experiences of a slice; None if none of their samples has a label."""

Again = Callable[[int], Sequence[Tensor]]
"""Features of the same images, each experience (N, D), as an epoch's random augmentation shows them."""


class Classifier(Protocol):
    """How a classifier is fitted on any run of consecutive experiences."""

    def prepare(self, train: Sequence[Labelled], n_classes: int, seed: int = 0, again: Again | None = None) -> Fit:
        """What the fits on all slices have in common. Only classifiers with epochs use `again`."""


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on standardised features: scikit-learn's `RidgeClassifier` behind a `StandardScaler`.

    Its strength is chosen on a part of the training data, drawn once for all slices: the fraction `held_out`, at
    most `max_held_out` samples over all experiences.
    """

    held_out: float = 0.1
    max_held_out: int = 5000
    grid: Sequence[float] = GRID

    def prepare(self, train: Sequence[Labelled], n_classes: int, seed: int = 0, again: Again | None = None) -> Fit:
        """Sums over each experience, which add up to those of any slice."""
        share = self.max_held_out // max(len(train), 1)
        splits = at_once(lambda part: Split.of(*part, n_classes, self.held_out, share, seed), train)

        def fit(span: slice) -> nn.Module | None:
            chosen = splits[span]
            return fit_splits(chosen, self.grid) if any(split.fit.n for split in chosen) else None

        return fit


@dataclass(frozen=True)
class ClassMeans:
    """Nearest class mean, Euclidean: scikit-learn's `NearestCentroid`.

    The nearest of the means m_c is where x'm_c - ||m_c||^2 / 2 is largest, so it is a linear probe.
    """

    def prepare(self, train: Sequence[Labelled], n_classes: int, seed: int = 0, again: Again | None = None) -> Fit:
        """Sums over each experience, which add up to those of any slice."""
        moments = [Moments.of(x, y, n_classes) for x, y in train]

        def fit(span: slice) -> nn.Module | None:
            pooled = reduce(add, moments[span])
            if not pooled.n:
                return None
            means = pooled.sums / pooled.counts.clamp(min=1)[:, None] - pooled.mean
            present = pooled.counts > 0
            return LinearProbe(means, (-means.square().sum(1) / 2).where(present, -torch.inf), pooled.mean)

        return fit


class Pooled:
    """A classifier that is fitted anew on the pooled data of each slice."""

    def prepare(self, train: Sequence[Labelled], n_classes: int, seed: int = 0, again: Again | None = None) -> Fit:
        """The samples with a label."""
        known = [labelled(x, y, n_classes) for x, y in train]

        def fit(span: slice) -> nn.Module | None:
            x, y = (torch.cat(part) for part in zip(*known[span], strict=True))
            return self.fit(x, y, n_classes, seed) if len(y) else None

        return fit

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """The classifier of features (N, D) with labels (N,), all of them known."""
        raise NotImplementedError


@dataclass(frozen=True)
class Neighbours(Pooled):
    """The k most cosine-similar training samples vote, weighted exp(similarity / T); if fewer than k, all vote.

    Wu et al. 2018, arXiv:1805.01978, section 3.4; scikit-learn's `KNeighborsClassifier` with the cosine metric and
    these weights.
    """

    k: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        require_positive(k=self.k, temperature=self.temperature)

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """Keeps the normalised features."""
        return Votes(F.normalize(features, dim=1), labels, n_classes, self.k, self.temperature)


class Votes(nn.Module):
    """Votes (B, C) of the nearest keys (N, D), which have unit length, with labels (N,); -inf for a class without."""

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
        similarity, nearest = (F.normalize(rows, dim=1) @ self.keys.T).topk(self.k)
        weight = ((similarity - 1) / self.temperature).exp()  # - 1: the same order, and no overflow at a low T
        return weight.new_zeros(len(rows), self.n_classes).scatter_add_(1, self.labels[nearest], weight)


@dataclass(frozen=True)
class Logistic(Pooled):
    """Multinomial logistic regression on standardised features by L-BFGS: scikit-learn's `LogisticRegression`.

    Args:
        c: inverse of the strength of the L2 penalty.
        max_iter: at most so many iterations; where they do not suffice, it counts as fitted.
    """

    c: float = 1.0
    max_iter: int = 100

    def __post_init__(self) -> None:
        require_positive(c=self.c, max_iter=self.max_iter)

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """Fitted in float32, as the features come."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        classes = labels.bincount().nonzero().flatten()
        mean, std = scaling(features)
        weight = features.new_zeros(n_classes, features.shape[1])
        bias = features.new_full((n_classes,), -torch.inf)
        bias[classes] = 0
        if len(classes) > 1:
            model = LogisticRegression(C=self.c, max_iter=self.max_iter)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(((features - mean) / std).numpy(), labels.numpy())
            rows = classes if len(classes) > 2 else classes[1:]  # of two classes it keeps the second's weights
            weight[rows] = torch.from_numpy(model.coef_).to(weight) / std
            bias[rows] = torch.from_numpy(model.intercept_).to(bias)
        return LinearProbe(weight, bias, mean)


def scaling(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and standard deviation (D,) of features (N, D); 1 where a feature is constant."""
    std, mean = torch.std_mean(features.double(), dim=0, correction=0)
    std = std.where(std > 1e-6 * mean.abs() + 1e-12, 1.0)
    return mean.to(features), std.to(features)


def check_labels(train: Sequence[Labelled]) -> None:
    """Refuse data without any label.

    Raises:
        UsageError: no sample of any experience has one.
    """
    if not any(bool((y >= 0).any()) for _, y in train):
        raise UsageError("no labelled sample to fit a probe on: every label is negative (unlabelled)")
