"""Which classifiers are fitted on frozen features? Ridge, nearest neighbours, nearest class mean, logistic regression.

Those that are trained by gradient descent are in `avalanche_ssl.probes.sgd`. A fitted classifier is a module from
features (B, D) to scores (B, C); a class without a training sample scores -inf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.inference import LabeledFeatures
from avalanche_ssl.probes.class_statistics import labeled

Fit = Callable[[slice], nn.Module | None]
"""Fits on the experiences of a slice; None if none of their samples has a label."""

AugmentedFeatures = Callable[[int], Sequence[Tensor]]
"""Features of the same images, each experience (N, D), as an epoch's random augmentation shows them."""


class Classifier(Protocol):
    """How a classifier is fitted on any run of consecutive experiences."""

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """What the fits on all slices have in common. Only classifiers with epochs use `again`."""


class PooledClassifier:
    """A classifier that is fitted anew on the pooled data of each slice."""

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """The samples with a label."""
        known = [labeled(x, y, n_classes) for x, y in train]

        def fit(span: slice) -> nn.Module | None:
            x, y = (torch.cat(part) for part in zip(*known[span], strict=True))
            return self.fit(x, y, n_classes, seed) if len(y) else None

        return fit

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """The classifier of features (N, D) with labels (N,), all of them known."""
        raise NotImplementedError


def scaling(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and standard deviation (D,) of features (N, D); 1 where a feature is constant."""
    std, mean = torch.std_mean(features.double(), dim=0, correction=0)
    std = std.where(std > 1e-6 * mean.abs() + 1e-12, 1.0)
    return mean.to(features), std.to(features)


def check_labels(train: Sequence[LabeledFeatures]) -> None:
    """Refuse data without any label.

    Raises:
        UsageError: no sample of any experience has one.
    """
    if not any(bool((y >= 0).any()) for _, y in train):
        raise UsageError("no labelled sample to fit a probe on: every label is negative (unlabelled)")
