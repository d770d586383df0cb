"""Which ridge classifier fits these features best? Closed form, from sums that add up over experiences.

Lambda is chosen on a held-out part of the training data; then the probe is fitted on everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.models.inference import LabeledFeatures
from avalanche_ssl.probes.class_statistics import ClassStatistics, gram, labeled
from avalanche_ssl.probes.classifier import AugmentedFeatures, Fit
from avalanche_ssl.probes.label_subsets import _hold_out
from avalanche_ssl.probes.linear import LinearProbe
from avalanche_ssl.probes.parallel import parallel_map

GRID = tuple(10 ** (exponent / 2) for exponent in range(-2, 11))  # 1e-1 .. 1e5

DEFAULT_L2 = 1.0  # where no class has a second sample to choose lambda with; scikit-learn's default


def ridge(moments: ClassStatistics, l2: float) -> LinearProbe:
    """Minimise ||(x - mean)/std W + b - Y||^2 + l2 ||W||^2, Y = +1 for the class and -1 elsewhere; b is free.

    The same as scikit-learn's `RidgeClassifier(alpha=l2)` behind a `StandardScaler`.

    Raises:
        ValueError: l2 is not positive, or no sample has a label.
    """
    if not l2 > 0:
        raise ValueError(f"l2 must be positive, got {l2}")
    problem = _Normal.of(moments)
    damped = problem.gram + l2 * torch.eye(len(problem.gram), dtype=torch.float64, device=problem.gram.device)
    solution = torch.cholesky_solve(problem.cross, torch.linalg.cholesky(damped))  # (D, present classes)
    weight = torch.zeros_like(moments.sums)
    bias = torch.full_like(moments.counts, -torch.inf)
    weight[problem.classes] = (solution / problem.std[:, None]).T
    bias[problem.classes] = problem.intercept
    return LinearProbe(weight, bias, moments.mean)


def select_l2(
    fit: ClassStatistics, features: Tensor, labels: Tensor, grid: Sequence[float] = GRID, rows: Tensor | None = None
) -> float:
    """The l2 of `grid` whose ridge probe on `fit` is most accurate on held-out samples; largest of equals.

    One eigendecomposition serves the whole grid: (V diag(e) V' + l2 I)^-1 = V diag(1 / (e + l2)) V'. The features
    `rows` (N, D) that `fit` sums up, where they are fewer than D, make it a smaller one: what V leaves out of the
    space of the features is orthogonal to all of them, and so gets no weight.
    """
    problem = _Normal.of(fit)

    def standardised(x: Tensor) -> Tensor:
        return (x.double() - fit.mean) / problem.std

    if rows is not None and len(rows) < rows.shape[1]:
        x = standardised(rows)
        eigenvalues, basis = _thin(x)
        rotated, cross = (standardised(features) @ x.T @ basis).float(), basis.T @ (x @ problem.cross)
    else:
        eigenvalues, basis = _eigh(problem.gram)
        rotated, cross = standardised(features).float() @ basis.float(), basis.T @ problem.cross

    def correct(l2: float) -> int:
        logits = rotated @ (cross / (eigenvalues + l2)[:, None]).float() + problem.intercept.float()
        return int((problem.classes[logits.argmax(1)] == labels).sum())

    return max(grid, key=lambda l2: (correct(l2), l2))


def _eigh(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (D,) and eigenvectors (D, D) of a symmetric matrix; numpy is the faster one on a CPU."""
    if gram.device.type != "cpu":
        values, vectors = torch.linalg.eigh(gram)
        return values, vectors
    eigenvalues, basis = np.linalg.eigh(gram.numpy())
    return torch.from_numpy(eigenvalues), torch.from_numpy(basis)


def _thin(x: Tensor) -> tuple[Tensor, Tensor]:
    """Of few rows x (N, D) the r eigenvalues of x'x that are not zero, and B (N, r): x'B are their eigenvectors."""
    eigenvalues, basis = _eigh(gram(x.T))
    above = eigenvalues > eigenvalues[-1] * len(x) * torch.finfo(x.dtype).eps
    return eigenvalues[above], basis[:, above] / eigenvalues[above].sqrt()


@dataclass(frozen=True)
class Split:
    """Labelled training data of one experience: a part to fit on, a held-out part to choose lambda with."""

    fit: ClassStatistics
    held_out: ClassStatistics
    features: Tensor  # (H, D) of the held-out part
    labels: Tensor  # (H,)
    rows: Tensor | None = None  # (N, D) of the part to fit on, where they are fewer than D

    @classmethod
    def of(
        cls,
        features: Tensor,
        labels: Tensor,
        n_classes: int,
        held_out: float = 0.1,
        max_held_out: int = 5000,
        seed: int = 0,
    ) -> Split:
        """Hold out a fraction of every class, the same for the same seed; samples without label are ignored.

        A class with two samples or more gives one at least and keeps one at least.
        """
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is a fraction between 0 and 1, got {held_out}")
        features, labels = labeled(features, labels, n_classes)
        fraction = min(held_out, max_held_out / max(len(labels), 1))
        out = _hold_out(labels.cpu(), fraction, seed).to(labels.device)
        held_features, held_labels = features[out], labels[out]
        rows = features[~out]
        fit = ClassStatistics.of(rows, labels[~out], n_classes)
        few = rows if len(rows) < rows.shape[1] else None
        return cls(fit, ClassStatistics.of(held_features, held_labels, n_classes), held_features, held_labels, few)


def fit_splits(splits: Sequence[Split], grid: Sequence[float] = GRID) -> LinearProbe:
    """Ridge probe on the pooled data of the splits, lambda chosen on their held-out parts."""
    fit = reduce(add, (split.fit for split in splits))
    held_out = reduce(add, (split.held_out for split in splits))
    if not held_out.n:
        return ridge(fit, DEFAULT_L2)
    features, labels = torch.cat([s.features for s in splits]), torch.cat([s.labels for s in splits])
    known = [split.rows for split in splits if split.rows is not None]
    rows = torch.cat(known) if len(known) == len(splits) else None
    return ridge(fit + held_out, select_l2(fit, features, labels, grid, rows))


def fit_ridge(
    experiences: Sequence[LabeledFeatures],
    n_classes: int,
    held_out: float = 0.1,
    max_held_out: int = 5000,
    seed: int = 0,
    grid: Sequence[float] = GRID,
) -> LinearProbe:
    """Ridge probe on the pooled experiences, whose samples with a negative label are ignored.

    Lambda is chosen on the fraction `held_out` of each, about `max_held_out` samples in all at most.
    """
    share = max_held_out // max(len(experiences), 1)
    return fit_splits([Split.of(x, y, n_classes, held_out, share, seed) for x, y in experiences], grid)


@dataclass(frozen=True)
class _Normal:
    """Normal equations (gram + l2 I) W = cross on standardised features, for the classes with a sample."""

    gram: Tensor  # (D, D)
    cross: Tensor  # (D, c)
    intercept: Tensor  # (c,)
    std: Tensor  # (D,)
    classes: Tensor  # (c,) their labels

    @classmethod
    def of(cls, moments: ClassStatistics) -> _Normal:
        n, mean = moments.n, moments.mean
        if not n:
            raise ValueError("no labelled sample to fit a probe on: every label is negative (unlabelled)")
        variance, eps = moments.scatter.diagonal() / n, torch.finfo(torch.float64).eps
        rounding = n * eps * variance + (n * eps * mean) ** 2  # the bound of scikit-learn's StandardScaler
        std = variance.sqrt().where(variance > rounding, 1.0)
        classes = moments.counts.nonzero().flatten()
        counts, sums = moments.counts[classes], moments.sums[classes]
        # x is centred, so x'(Y - mean Y) = x'Y = 2 x' one_hot
        cross = 2 * (sums - counts[:, None] * mean).T / std[:, None]
        return cls(moments.scatter / torch.outer(std, std), cross, 2 * counts / n - 1, std, classes)


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on standardised features: scikit-learn's `RidgeClassifier` behind a `StandardScaler`.

    Its strength is chosen on a part of the training data, drawn once for all slices: the fraction `held_out`, at
    most `max_held_out` samples over all experiences.
    """

    held_out: float = 0.1
    max_held_out: int = 5000
    grid: Sequence[float] = GRID

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Sums over each experience, which add up to those of any slice."""
        share = self.max_held_out // max(len(train), 1)
        splits = parallel_map(lambda part: Split.of(*part, n_classes, self.held_out, share, seed), train)

        def fit(span: slice) -> nn.Module | None:
            chosen = splits[span]
            return fit_splits(chosen, self.grid) if any(split.fit.n for split in chosen) else None

        return fit
