"""Logistic-regression probe."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import require_positive
from avalanche_ssl.probes.classifier import PooledClassifier, scaling
from avalanche_ssl.probes.linear import LinearProbe


@dataclass(frozen=True)
class LogisticRegression(PooledClassifier):
    """Multinomial logistic regression on standardized features by L-BFGS: scikit-learn's `LogisticRegression`.

    Args:
        c: inverse of the strength of the L2 penalty.
        max_iter: largest number of iterations; a fit that has not converged by then is used as it is.
    """

    c: float = 1.0
    max_iter: int = 100

    def __post_init__(self) -> None:
        require_positive(c=self.c, max_iter=self.max_iter)

    def fit(self, features: Tensor, labels: Tensor, n_classes: int, seed: int = 0) -> nn.Module:
        """Fit in the precision of the features, float32."""
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
            rows = classes if len(classes) > 2 else classes[1:]  # for two classes it has the second's weights only
            weight[rows] = torch.from_numpy(model.coef_).to(weight) / std
            bias[rows] = torch.from_numpy(model.intercept_).to(bias)
        return LinearProbe(weight, bias, mean)
