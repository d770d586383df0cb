"""Losses as functions of tensors."""

from avalanche_ssl.losses.clustering import cluster_prediction, sinkhorn, swapped_prediction
from avalanche_ssl.losses.contrastive import (
    info_nce,
    nce,
    nt_xent,
    pair_info_nce,
    similarity_scores,
    similarity_scores_in_batch,
    softmax_nce,
)
from avalanche_ssl.losses.noncontrastive import barlow_loss, byol_loss, cosine_similarity, vicreg_loss
from avalanche_ssl.losses.patches import patch_info_nce, patch_scores

__all__ = [
    "barlow_loss",
    "byol_loss",
    "cluster_prediction",
    "cosine_similarity",
    "info_nce",
    "nce",
    "nt_xent",
    "pair_info_nce",
    "patch_info_nce",
    "patch_scores",
    "similarity_scores",
    "similarity_scores_in_batch",
    "sinkhorn",
    "softmax_nce",
    "swapped_prediction",
    "vicreg_loss",
]
