"""Losses as functions of tensors."""

from avalanche_ssl.losses.clustering import cluster_prediction, sinkhorn, swapped_prediction
from avalanche_ssl.losses.contrastive import (
    contrast,
    contrast_in_batch,
    info_nce,
    nce,
    nt_xent,
    pair_info_nce,
    softmax_nce,
)
from avalanche_ssl.losses.noncontrastive import barlow_loss, byol_loss, cosine_similarity, vicreg_loss

__all__ = [
    "barlow_loss",
    "byol_loss",
    "cluster_prediction",
    "contrast",
    "contrast_in_batch",
    "cosine_similarity",
    "info_nce",
    "nce",
    "nt_xent",
    "pair_info_nce",
    "sinkhorn",
    "softmax_nce",
    "swapped_prediction",
    "vicreg_loss",
]
