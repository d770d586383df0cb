"""Losses that make two views agree without negatives, as functions of unnormalized embeddings (B, D)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.functional import l2_normalize, off_diagonal


def cosine_similarity(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cosine of the rows of two (B, D) tensors; no gradient reaches `target` (stop-gradient); 0-d."""
    return (l2_normalize(prediction) * l2_normalize(target.detach())).sum(1).mean()


def byol_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of unit rows, 2 - 2 cos: BYOL (arXiv:2006.07733) eq. 2, one direction; 0-d."""
    return 2 - 2 * cosine_similarity(prediction, target)


def barlow_loss(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Squared distance of the cross-correlation to the identity: Barlow Twins (arXiv:2103.03230) eq. 1, 2.

    Args:
        first: (B, D) embeddings of one view, any scale.
        second: (B, D) of the other.
        weight: lambda, of the D (D - 1) off-diagonal entries.

    Returns:
        Scalar, the sum over the entries.
    """
    a, b = (_standardized(z) for z in (first, second))
    correlation = a.T @ b / len(a)
    diagonal = correlation.diagonal()
    return (1 - diagonal).square().sum() + weight * off_diagonal(correlation)


def vicreg_loss(
    first: Tensor, second: Tensor, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """Invariance, variance and covariance: VICReg (arXiv:2105.04906) eq. 6.

    The scale is that of the authors' code, to which the published weights belong: the invariance is also a mean over
    dimensions, and the variance a mean over the two views, where the paper writes sums.

    Args:
        first: (B, D) embeddings of one view, any scale.
        second: (B, D) of the other.
        invariance: weight lambda of the mean squared difference of the views.
        variance: weight mu of the hinge that keeps each dimension's standard deviation above 1.
        covariance: weight nu of the squared covariances of different dimensions, divided by D.

    Returns:
        Scalar.
    """
    hinge = [F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2 for z in (first, second)]
    correlated = [off_diagonal(_covariance(z)) / z.shape[1] for z in (first, second)]
    return invariance * F.mse_loss(first, second) + variance * sum(hinge) + covariance * torch.stack(correlated).sum()


def _covariance(z: Tensor) -> Tensor:
    centered = z - z.mean(0)
    return centered.T @ centered / (len(z) - 1)


def _standardized(z: Tensor) -> Tensor:
    """Dimensions with mean 0 and variance 1 over the batch, as in batch norm."""
    return (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
