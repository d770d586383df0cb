"""How much embeddings differ from those of an old model, in the form of loss that suits the method's family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import barlow_loss, byol_loss, pair_info_nce
from avalanche_ssl.methods import Family

TEMPERATURES: Mapping[str, float] = {"contrastive": 0.2, "knowledge": 0.1}
"""Temperatures of the families that have one, as in CaSSLe's code."""

BARLOW_SCALE, BARLOW_WEIGHT = 0.1, 0.005
"""Of the decorrelative loss, and of the entries off its diagonal, as in CaSSLe's code."""

MIN_ROWS = 16
"""Rows below which the statistics of a batch are too noisy for the batch norm of a predictor or teacher."""


def likeness_loss(
    family: Family,
    predictions: Sequence[Tensor],
    targets: Sequence[Tensor],
    temperature: float | None = None,
    codebooks: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Difference of predictions and the old embeddings that they should be, small where they are alike.

    The five forms of CaSSLe (Fini et al. 2022, arXiv:2112.04215), with unit(x) = x / \\|x\\|:

    - "contrastive": cross-entropy of finding each prediction's target among those of all views and images, and each
      target's prediction, mean of both; scores are cosines divided by T. As in the published code the other view of
      the same image is one of the candidates that are wrong;
    - "decorrelative": 0.1 times Barlow Twins' loss with weight 0.005;
    - "predictive": 2 - 2 cos, as in BYOL;
    - "mse": mean squared difference, also over dimensions;
    - "knowledge": cross-entropy of softmax(unit(target) @ old codebook / T) and softmax(unit(prediction) @ codebook /
      T), mean over clusterings.

    All but the first are means over views.

    Args:
        family: of the method.
        predictions: for each view (N, D).
        targets: for each view (N, D); no gradient reaches them.
        temperature: T; None: that of `TEMPERATURES`.
        codebooks: (H, K, D) unit rows each, for targets and for predictions; of "knowledge" only.

    Returns:
        0-d.
    """
    targets = [z.detach() for z in targets]
    t = TEMPERATURES.get(family, 1.0) if temperature is None else temperature
    if family == "contrastive":
        return pair_info_nce(l2_normalize(torch.cat(list(predictions))), l2_normalize(torch.cat(targets)), t) / 2
    pairs = list(zip(predictions, targets, strict=True))
    if family == "decorrelative":
        losses = [BARLOW_SCALE * barlow_loss(p, z, BARLOW_WEIGHT) for p, z in pairs]
    elif family == "predictive":
        losses = [byol_loss(p, z) for p, z in pairs]
    elif family == "mse":
        losses = [F.mse_loss(p, z) for p, z in pairs]
    else:
        assert codebooks is not None, "the family 'knowledge' compares with codebooks"
        losses = [_cross_entropy(_logits(p, codebooks[1]) / t, _logits(z, codebooks[0]) / t) for p, z in pairs]
    return torch.stack(losses).mean()


def warn_of_few_rows(plugin: object, rows: int) -> None:
    """Warn of a batch whose statistics are no good, where a plugin's `norm` or `predictor_norm` is "batch".

    Args:
        plugin: what normalizes.
        rows: images times views that it normalizes together.
    """
    others = {"norm": "eval", "predictor_norm": "none"}
    found = [f"{name}='{other}'" for name, other in others.items() if getattr(plugin, name, None) == "batch"]
    if found and rows < MIN_ROWS:
        warnings.warn(
            f"{type(plugin).__name__} normalizes by the statistics of {rows} rows, which are noisy below {MIN_ROWS}: "
            f"raise batch_size, replay more images, or give {' and '.join(found)}",
            stacklevel=2,
        )


def _logits(z: Tensor, codebook: Tensor) -> Tensor:
    """Cosines (N, H, K) of rows (N, D) with a codebook (H, K, D)."""
    return torch.einsum("nd,hkd->nhk", l2_normalize(z), codebook)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the first two dimensions of the cross-entropy of two softmaxes of logits (N, H, K)."""
    return -(targets.softmax(2) * logits.log_softmax(2)).sum(2).mean()
