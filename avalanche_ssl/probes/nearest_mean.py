"""Nearest-class-mean probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import nn

from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes.class_statistics import ClassStatistics
from avalanche_ssl.probes.classifier import AugmentedFeatures, Fit
from avalanche_ssl.probes.linear import LinearProbe


@dataclass(frozen=True)
class NearestClassMean:
    """Nearest class mean, Euclidean: scikit-learn's `NearestCentroid`.

    The nearest of the means m_c is where x'm_c - ||m_c||^2 / 2 is largest, so it is a linear probe.
    """

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Compute the statistics of each experience, which add up."""
        statistics = [ClassStatistics.from_features(x, y, n_classes) for x, y in train]

        def fit(members: Sequence[int]) -> nn.Module | None:
            pooled = reduce(add, (statistics[j] for j in members))
            if not pooled.n:
                return None
            means = pooled.sums / pooled.counts.clamp(min=1)[:, None] - pooled.mean
            present = pooled.counts > 0
            return LinearProbe(means, (-means.square().sum(1) / 2).where(present, -torch.inf), pooled.mean)

        return fit
