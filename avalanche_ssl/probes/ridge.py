"""Ridge probe in closed form, from statistics that add up over experiences.

Lambda is chosen on a held-out part of the training data; then the probe is fitted on all of it. The choice is a mean
over all values that do well, not the single best one: held-out accuracies of values a hundred times apart may differ by
a handful of samples, and which of them is ahead changes with any rounding of the features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes.class_statistics import ClassStatistics, gram, labeled_rows
from avalanche_ssl.probes.classifier import AugmentedFeatures, Fit
from avalanche_ssl.probes.label_subsets import hold_out
from avalanche_ssl.probes.linear import LinearProbe
from avalanche_ssl.probes.parallel import parallel_map

GRID = tuple(10 ** (exponent / 2) for exponent in range(-2, 11))  # 1e-1 .. 1e5
DEFAULT_L2 = 1.0  # where no class has a second sample to choose lambda with; scikit-learn's default


def solve_ridge(statistics: ClassStatistics, l2: float) -> LinearProbe:
    """Minimize ||(x - mean)/std W + b - Y||^2 + l2 ||W||^2, Y = +1 for the class and -1 elsewhere; b is free.

    The same as scikit-learn's `RidgeClassifier(alpha=l2)` behind a `StandardScaler`.

    Raises:
        ValueError: l2 is not positive, or no sample has a label.
    """
    if not l2 > 0:
        raise ValueError(f"l2 must be positive, got {l2}")
    problem = _NormalEquations.from_statistics(statistics)
    damped = problem.gram + l2 * torch.eye(len(problem.gram), dtype=torch.float64, device=problem.gram.device)
    solution = torch.cholesky_solve(problem.cross, torch.linalg.cholesky(damped))  # (D, present classes)
    weight = torch.zeros_like(statistics.sums)
    bias = torch.full_like(statistics.counts, -torch.inf)
    weight[problem.classes] = (solution / problem.std[:, None]).T
    bias[problem.classes] = problem.intercept
    return LinearProbe(weight, bias, statistics.mean)


def select_l2(
    fit: ClassStatistics, features: Tensor, labels: Tensor, grid: Sequence[float] = GRID, rows: Tensor | None = None
) -> float:
    """The l2 whose ridge probe on `fit` does well on held-out samples: the weighted geometric mean of `grid`.

    A value that classifies d samples less than the best one correctly has the weight exp(-(d / s)^2 / 2), where s^2,
    the variance of d, is the number of samples of which one of the two alone is correct (McNemar 1947). So a change of
    a few samples moves the choice a little.

    One eigendecomposition serves the whole grid: (V diag(e) V' + l2 I)^-1 = V diag(1 / (e + l2)) V'. Where
    the features `rows` (N, D) that `fit` sums up are fewer than D, their N x N Gram matrix is decomposed instead: what
    V then leaves out of the feature space is orthogonal to all of them, and so gets no weight.
    """
    problem = _NormalEquations.from_statistics(fit)

    def standardize(x: Tensor) -> Tensor:
        return (x.double() - fit.mean) / problem.std

    if rows is not None and len(rows) < rows.shape[1]:
        x = standardize(rows)
        eigenvalues, basis = _eigh_of_few_rows(x)
        rotated, cross = (standardize(features) @ x.T @ basis).float(), basis.T @ (x @ problem.cross)
    else:
        eigenvalues, basis = _eigh(problem.gram)
        rotated, cross = standardize(features).float() @ basis.float(), basis.T @ problem.cross

    def correct(l2: float) -> Tensor:
        logits = rotated @ (cross / (eigenvalues + l2)[:, None]).float() + problem.intercept.float()
        return problem.classes[logits.argmax(1)] == labels

    right = torch.stack([correct(l2) for l2 in grid])  # (values, samples)
    counts = right.sum(1).tolist()
    best = max(range(len(counts)), key=lambda i: (counts[i], grid[i]))
    differing = (right != right[best]).sum(1).tolist()
    weights = [math.exp(-((counts[best] - n) ** 2) / (2 * max(d, 1))) for n, d in zip(counts, differing, strict=True)]
    return math.exp(sum(w * math.log(l2) for w, l2 in zip(weights, grid, strict=True)) / sum(weights))


def _eigh(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (D,) and eigenvectors (D, D) of a symmetric matrix; on a CPU by numpy, which is faster."""
    if gram.device.type != "cpu":
        values, vectors = torch.linalg.eigh(gram)
        return values, vectors
    eigenvalues, basis = np.linalg.eigh(gram.numpy())
    return torch.from_numpy(eigenvalues), torch.from_numpy(basis)


def _eigh_of_few_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """The r eigenvalues of x'x that are not zero, for few rows x (N, D), and B (N, r): x'B are the eigenvectors."""
    eigenvalues, basis = _eigh(gram(x.T))
    above = eigenvalues > eigenvalues[-1] * len(x) * torch.finfo(x.dtype).eps
    return eigenvalues[above], basis[:, above] / eigenvalues[above].sqrt()


@dataclass(frozen=True)
class HoldoutSplit:
    """Labeled training data of one experience: a part to fit on, and a held-out part to choose lambda with."""

    fit: ClassStatistics
    held_out: ClassStatistics
    features: Tensor  # (H, D) held-out features
    labels: Tensor  # (H,) held-out labels
    rows: Tensor | None = None  # (N, D) features to fit on, where they are fewer than D

    @classmethod
    def from_features(
        cls,
        features: Tensor,
        labels: Tensor,
        n_classes: int,
        held_out_fraction: float = 0.1,
        max_held_out: int = 5000,
        seed: int = 0,
    ) -> HoldoutSplit:
        """Hold out a fraction of every class, the same for the same seed; samples without a label are ignored.

        Of a class with two samples or more, at least one is held out and at least one is kept.
        """
        if not 0 < held_out_fraction < 1:
            raise ValueError(f"held_out_fraction must be between 0 and 1, got {held_out_fraction}")
        features, labels = labeled_rows(features, labels, n_classes)
        fraction = min(held_out_fraction, max_held_out / max(len(labels), 1))
        out = hold_out(labels.cpu(), fraction, seed).to(labels.device)
        held_features, held_labels = features[out], labels[out]
        rows = features[~out]
        fit = ClassStatistics.from_features(rows, labels[~out], n_classes)
        held_out = ClassStatistics.from_features(held_features, held_labels, n_classes)
        few = rows if len(rows) < rows.shape[1] else None
        return cls(fit, held_out, held_features, held_labels, few)


def fit_splits(splits: Sequence[HoldoutSplit], grid: Sequence[float]) -> LinearProbe:
    """Ridge probe of the pooled data of the splits, with lambda chosen on their held-out parts."""
    fit = reduce(add, (split.fit for split in splits))
    held_out = reduce(add, (split.held_out for split in splits))
    if not held_out.n:
        return solve_ridge(fit, DEFAULT_L2)
    features, labels = torch.cat([s.features for s in splits]), torch.cat([s.labels for s in splits])
    known = [split.rows for split in splits if split.rows is not None]
    rows = torch.cat(known) if len(known) == len(splits) else None
    return solve_ridge(fit + held_out, select_l2(fit, features, labels, grid, rows))


@dataclass(frozen=True)
class _NormalEquations:
    """Normal equations (gram + l2 I) W = cross on standardized features, for the classes with a sample."""

    gram: Tensor  # (D, D)
    cross: Tensor  # (D, c)
    intercept: Tensor  # (c,)
    std: Tensor  # (D,)
    classes: Tensor  # (c,) their labels

    @classmethod
    def from_statistics(cls, statistics: ClassStatistics) -> _NormalEquations:
        n, mean = statistics.n, statistics.mean
        if not n:
            raise ValueError("no labeled sample to fit a probe on: every label is negative (unlabeled)")
        variance, eps = statistics.scatter.diagonal() / n, torch.finfo(torch.float64).eps
        rounding = n * eps * variance + (n * eps * mean) ** 2  # the bound of scikit-learn's StandardScaler
        std = variance.sqrt().where(variance > rounding, 1.0)
        classes = statistics.counts.nonzero().flatten()
        counts, sums = statistics.counts[classes], statistics.sums[classes]
        # x is centered, so x'(Y - mean Y) = x'Y = 2 x' one_hot
        cross = 2 * (sums - counts[:, None] * mean).T / std[:, None]
        return cls(statistics.scatter / torch.outer(std, std), cross, 2 * counts / n - 1, std, classes)


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on standardized features: scikit-learn's `RidgeClassifier` behind a `StandardScaler`.

    Its strength is chosen on a part of the training data, drawn once for all fits: `held_out_fraction` of every
    class, at most `max_held_out` samples over all experiences.
    """

    held_out_fraction: float = 0.1
    max_held_out: int = 5000
    grid: Sequence[float] = GRID

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Split each experience; the statistics of the parts add up."""
        share = self.max_held_out // max(len(train), 1)
        splits = parallel_map(
            lambda part: HoldoutSplit.from_features(*part, n_classes, self.held_out_fraction, share, seed), train
        )

        def fit(members: Sequence[int]) -> nn.Module | None:
            chosen = [splits[j] for j in members]
            return fit_splits(chosen, self.grid) if any(split.fit.n for split in chosen) else None

        return fit
