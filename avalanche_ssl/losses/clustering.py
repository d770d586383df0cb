"""Losses over clusters: Sinkhorn codes, swapped prediction, cluster prediction."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int = 3, valid: Tensor | None = None) -> Tensor:
    """Codes that use all prototypes equally (SwAV, arXiv:2006.09882, eq. 3 and 5).

    Sinkhorn-Knopp in the log domain, where no score overflows. Each sample's code sums to 1; the prototypes' shares
    become equal as the iterations go on.

    Args:
        scores: (N, K) similarities of samples and prototypes.
        epsilon: weight of the entropy; small values give sharp codes.
        iterations: how often prototypes, then samples, are normalized.
        valid: (N,) bool, which samples count; the codes of the others are meaningless. None: all of them.

    Returns:
        Codes (N, K) without gradient.
    """
    plan = (scores if scores.dtype == torch.float64 else scores.float()) / epsilon
    for _ in range(iterations):
        counted = plan if valid is None else plan.masked_fill(~valid[:, None], -math.inf)
        plan = (plan - counted.logsumexp(0)).log_softmax(1)
    return plan.softmax(1)


def swapped_prediction(scores: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Predict the code of one crop from every other crop of its image (SwAV eq. 2 and 6).

    Args:
        scores: (B, V, K) similarities of all crops and prototypes.
        codes: (B, A, K) codes of the first A crops; no gradient flows into them.
        temperature: of the softmax over prototypes.

    Returns:
        Scalar: cross-entropy, mean over the images and the A (V - 1) pairs of different crops.
    """
    prediction = (scores / temperature).log_softmax(2)
    pairs = -torch.einsum("bak,bvk->av", codes.detach(), prediction) / len(scores)
    different = 1 - torch.eye(*pairs.shape, dtype=pairs.dtype, device=pairs.device)
    return (pairs * different).sum() / (codes.shape[1] * (scores.shape[1] - 1))


def cluster_prediction(scores: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of the cluster of each image, for several clusterings (DeepCluster, arXiv:1807.05520, eq. 2).

    Args:
        scores: (B, H, K) logits of the clusters in each of H clusterings.
        labels: (B, H) long.
        weight: (H, K), weight of the images of each cluster. None: equal weights.

    Returns:
        Scalar, the (weighted) mean over images and clusterings.
    """
    losses = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
    if weight is None:
        return losses.mean()
    weights = weight.gather(1, labels.T).T.flatten()
    return (weights * losses).sum() / weights.sum()
