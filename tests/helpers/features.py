"""Synthetic labeled features, and what tests of classifiers do with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalanche_ssl.probes.classifier import Classifier
from avalanche_ssl.probes.linear import LinearProbe
from avalanche_ssl.probes.ridge import Ridge

FAST = ["ridge", "knn-20", "knn-200", "ncm", "logistic", "sgd", "mlp", "cla", "osiris", "lump"]
"""Protocols whose classifiers are fitted in a fraction of a second."""


def overlapping(n: int, seed: int, classes: int = 5, width: int = 10) -> tuple[Tensor, Tensor]:
    """Overlapping classes, the features of large mean and unequal spread."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(7).normal(size=(classes, width))
    y = rng.integers(0, classes, n)
    x = (centers[y] + rng.normal(size=(n, width))) * np.linspace(0.1, 3, width) + 20
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def clusters(
    n: int, classes: Sequence[int], dim: int = 24, seed: int = 0, spread: float = 1.5
) -> tuple[Tensor, Tensor]:
    """Noisy clusters of unequal scales; a constant feature, a dead one, and two that are nearly the same."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(100, dim))
    y = rng.choice(classes, size=n)
    x = (centers[y] + spread * rng.normal(size=(n, dim))) * np.logspace(-3, 3, dim)
    x[:, 0], x[:, 1], x[:, 2] = 0.3, 0.0, x[:, 3] + 1e-6 * rng.normal(size=n)
    return torch.tensor(x), torch.tensor(y)


def three_experiences(n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Features of three experiences of two classes each, overlapping so that no probe is perfect."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(7).normal(size=(6, 12))
    labels = [rng.choice(classes, size=n) for classes in ([0, 1], [2, 3], [4, 5])]
    return [(torch.tensor(centers[y] + 1.5 * rng.normal(size=(n, 12))), torch.tensor(y)) for y in labels]


TRAIN, TEST = overlapping(400, 0), overlapping(300, 1)


def fitted(classifier: Classifier, train: tuple[Tensor, Tensor] = TRAIN, n_classes: int = 5) -> Any:
    """The classifier fitted on a single experience."""
    return classifier.prepare([train], n_classes)([0])


def fitted_ridge(experiences: Sequence[tuple[Tensor, Tensor]], n_classes: int, **settings: Any) -> LinearProbe:
    """The ridge probe of the pooled experiences."""
    probe = Ridge(**settings).prepare(experiences, n_classes)(range(len(experiences)))
    assert isinstance(probe, LinearProbe)
    return probe


def score(model: nn.Module, x: Tensor = TEST[0], y: Tensor = TEST[1]) -> float:
    """Accuracy of the model."""
    return float((model(x).argmax(1) == y).double().mean())
