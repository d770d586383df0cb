"""Sums over labeled features that determine a linear probe and add up over experiences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from avalanche_ssl import distributed
from avalanche_ssl.models import LabeledFeatures


@dataclass(frozen=True)
class ClassStatistics:
    """Float64 sums over labeled features; adding two pools their data.

    The scatter is about the mean, pooled by the formula of Chan, Golub & LeVeque (1979), because
    sum(x x') - n mean mean' loses the digits of a feature whose mean is large compared with its standard deviation.
    """

    counts: Tensor  # (C,) samples of each class
    sums: Tensor  # (C, D) sum of the features of each class
    scatter: Tensor  # (D, D) sum of (x - mean)(x - mean)'

    @classmethod
    def from_features(cls, features: Tensor, labels: Tensor, n_classes: int, chunk: int = 16384) -> ClassStatistics:
        """Statistics of features (N, D) with labels (N,); samples with a negative label are ignored.

        Several processes, which all have the features, sum up a share each.
        """
        features, labels = labeled_rows(features, labels, n_classes)
        share = distributed.share_of(len(labels))
        if share is not None:
            features, labels = share.keep(features), share.keep(labels)
        parts = zip(torch.split(features, chunk), torch.split(labels, chunk), strict=True)
        own = reduce(add, (cls._from_chunk(x.double(), y, n_classes) for x, y in parts))
        if share is None:
            return own
        every = zip(*(distributed.of_all(sums) for sums in (own.counts, own.sums, own.scatter)), strict=True)
        return reduce(add, (cls(*sums) for sums in every))

    @classmethod
    def _from_chunk(cls, x: Tensor, y: Tensor, n_classes: int) -> ClassStatistics:
        sums = x.new_zeros(n_classes, x.shape[1]).index_add_(0, y, x)
        return cls(y.bincount(minlength=n_classes).double(), sums, gram(x - x.sum(0) / max(len(x), 1)))

    def __add__(self, other: ClassStatistics) -> ClassStatistics:
        n, m, gap = self.n, other.n, self.mean - other.mean
        between = n * m / max(n + m, 1) * torch.outer(gap, gap)
        return ClassStatistics(
            self.counts + other.counts, self.sums + other.sums, self.scatter + other.scatter + between
        )

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.counts.sum())

    @property
    def mean(self) -> Tensor:
        """Mean feature (D,); zero without samples."""
        return self.sums.sum(0) / max(self.n, 1)


def gram(x: Tensor) -> Tensor:
    """x'x of rows (N, D). On the CPU by numpy, which computes one triangle only and takes half the time."""
    if x.device.type != "cpu":
        return x.T @ x
    rows = x.numpy()
    return torch.from_numpy(rows.T @ rows)


def labeled_rows(features: Tensor, labels: Tensor, n_classes: int) -> LabeledFeatures:
    """The rows with a label (>= 0), checked: finite features (N, D), labels (N,) below n_classes.

    Raises:
        ValueError: the shapes do not match, a label is too large, or a feature is not finite.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(f"need features (N, D) and labels (N,), got {tuple(features.shape)} and {tuple(labels.shape)}")
    known = labels >= 0
    if not known.all():
        features, labels = features[known], labels[known]
    if len(labels) and int(labels.max()) >= n_classes:
        raise ValueError(f"label {int(labels.max())} is not among {n_classes} classes (0 to {n_classes - 1})")
    broken = int((~features.isfinite().all(1)).sum())
    if broken:
        raise ValueError(
            f"{broken} of {len(features)} images have NaN or infinite features: the encoder has diverged "
            "(try a lower learning rate or gradient clipping)"
        )
    return features, labels.long()
