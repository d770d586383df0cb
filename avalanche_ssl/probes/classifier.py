"""The protocol of classifiers on frozen features, and the base class of those that are refitted on pooled data.

A fitted classifier is a module from features (B, D) to scores (B, C); a class without a training sample scores -inf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes.class_statistics import labeled_rows

Fit = Callable[[Sequence[int]], nn.Module | None]
"""Fits on these experiences, counted from 0; None if none of their samples has a label."""

AugmentedFeatures = Callable[[int], Sequence[Tensor]]
"""Features (N, D) of each experience's images under the random augmentation of an epoch, by its number."""


class Classifier(Protocol):
    """A classifier that can be fitted on any of the experiences."""

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Compute what all fits share. Only classifiers that train in epochs use `augmented`."""


class PooledClassifier:
    """A classifier that is fitted from scratch on the pooled data of the experiences."""

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Select the labeled samples of each experience."""
        known = [labeled_rows(x, y, n_classes) for x, y in train]

        def fit(members: Sequence[int]) -> nn.Module | None:
            x, y = (torch.cat(part) for part in zip(*(known[j] for j in members), strict=True))
            return self.fit(x, y, n_classes, seed) if len(y) else None

        return fit

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """The fitted classifier of features (N, D) with labels (N,), all of them known."""
        raise NotImplementedError


def scaling(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and standard deviation (D,) of features (N, D); the latter is 1 where a feature is constant."""
    std, mean = torch.std_mean(features.double(), dim=0, correction=0)
    std = std.where(std > 1e-6 * mean.abs() + 1e-12, 1.0)
    return mean.to(features), std.to(features)


def require_labels(train: Sequence[LabeledFeatures]) -> None:
    """Refuse data without any label.

    Raises:
        UsageError: no sample of any experience has one.
    """
    if not any(bool((y >= 0).any()) for _, y in train):
        raise UsageError("no labeled sample to fit a probe on: every label is negative (unlabeled)")
