"""Contrastive losses as functions of tensors: rows are unit vectors unless stated otherwise, values are in nats.

`similarity_scores` scores each query against its key and the negatives; `info_nce`, `nce` and `softmax_nce` are losses
of such scores, so every method with negatives (MoCo, CMC, PIRL) combines it with one of them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def similarity_scores(query: Tensor, key: Tensor, negatives: Tensor, valid: Tensor | None = None) -> Tensor:
    """Similarities of each query to its key (column 0) and to the negatives.

    Args:
        query: (B, D).
        key: (B, D).
        negatives: (K, D) shared by all queries, or (B, K, D).
        valid: (K,) or (B, K) bool, which negatives count; the others score -inf. None: all of them.

    Returns:
        Scores (B, 1 + K), not divided by the temperature.
    """
    positive = (query * key).sum(1, keepdim=True)
    negative = query @ negatives.T if negatives.ndim == 2 else torch.einsum("bd,bkd->bk", query, negatives)
    if valid is not None:
        negative = negative.masked_fill(~valid, -math.inf)
    return torch.cat([positive, negative], dim=1)


def similarity_scores_in_batch(query: Tensor, key: Tensor) -> Tensor:
    """`similarity_scores` with the keys of the other images as negatives: (B, D) and (B, D) to (B, 1 + B), N = B."""
    others = ~torch.eye(len(key), dtype=torch.bool, device=key.device)
    return similarity_scores(query, key, key, others)


def info_nce(scores: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the key (column 0) among the negatives: CPC (arXiv:1807.03748) eq. 4, MoCo eq. 1.

    Args:
        scores: (B, 1 + K) similarities from `similarity_scores`.
        temperature: scores are divided by it.

    Returns:
        Scalar, mean over queries.
    """
    return F.cross_entropy(scores / temperature, scores.new_zeros(len(scores), dtype=torch.long))


def nce(scores: Tensor, temperature: float, log_z: Tensor) -> Tensor:
    """Noise-contrastive estimation: K + 1 binary decisions "key or noise" per query.

    Gutmann & Hyvarinen 2010; CMC (arXiv:1906.05849) eq. 11 with noise uniform over the n stored rows: a row has
    probability exp(s/T) / (n z), where z is the mean of exp(s/T), and is the key with odds exp(s/T - log z) to K. The
    number n cancels, so a growing memory changes nothing.

    Args:
        scores: (B, 1 + K) similarities from `similarity_scores`; -inf is excluded.
        temperature: scores are divided by it.
        log_z: 0-d, log of the mean of exp(s/T), see `log_mean_exp`; a constant, not learned.

    Returns:
        Scalar: sum over the candidates, mean over queries.
    """
    count = torch.isfinite(scores[:, 1:]).sum(1, keepdim=True, dtype=scores.dtype)
    odds = scores / temperature - log_z - count.clamp(min=1).log()
    return -(F.logsigmoid(odds[:, 0]) + F.logsigmoid(-odds[:, 1:]).sum(1)).mean()


def softmax_nce(scores: Tensor, temperature: float) -> Tensor:
    """PIRL's loss (arXiv:1912.01991 eq. 4 and 5): -log h(key) - the sum over negatives of log(1 - h(negative)).

    h(i) = e_i / (e_i + the sum of e over the negatives), e = exp(s/T), so no normalizer has to be known.

    Args:
        scores: (B, 1 + K) similarities from `similarity_scores`; -inf is excluded.
        temperature: scores are divided by it.

    Returns:
        Scalar: sum over the candidates, mean over queries; 0 for queries without negatives.
    """
    logits = scores / temperature
    noise = torch.logsumexp(logits[:, 1:], dim=1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    return (F.softplus(noise - logits[:, :1]) + F.softplus(logits[:, 1:] - noise).sum(1, keepdim=True)).mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss (arXiv:2002.05709 eq. 1): find the other view of the image among the 2B - 1 other embeddings.

    Args:
        first: (B, D) embeddings of one view.
        second: (B, D) embeddings of the other.
        temperature: similarities are divided by it.

    Returns:
        Scalar, mean over the 2B anchors (SimCLR's TensorFlow code returns twice this).
    """
    z = torch.cat([first, second])
    scores = (z @ z.T / temperature).fill_diagonal_(-math.inf)
    return F.cross_entropy(scores, torch.arange(len(z), device=z.device).roll(len(first)))


def pair_info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """In-batch InfoNCE in both directions, summed: L(V1, V2) of CMC (arXiv:1906.05849 eq. 4) with N = B.

    Args:
        first: (B, D) embeddings of one view.
        second: (B, D) embeddings of the other.
        temperature: similarities are divided by it.
    """
    scores = first @ second.T / temperature
    labels = torch.arange(len(first), device=first.device)
    return F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)
