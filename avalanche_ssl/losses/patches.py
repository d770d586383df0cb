"""InfoNCE between positions of grids of patches: the loss of CPC."""

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.losses.contrastive import similarity_scores


def patch_scores(predictions: Tensor, targets: Tensor, offset: int, drawn: Tensor | None = None) -> Tensor:
    """Dot products of each prediction with the target `offset` rows below (column 0), and with other positions.

    Args:
        predictions: (B, D, H - offset, W), from the contexts of the upper rows.
        targets: (B, D, H, W), not normalized.
        offset: rows from a context to its target.
        drawn: (K,) long, which of the B * H * W positions to compare with. None: all of them.

    Returns:
        (B * (H - offset) * W, 1 + K); among the others, a prediction's own target scores -inf.
    """
    positions = _positions(targets)
    drawn = positions.flatten() if drawn is None else drawn
    other = drawn != positions[:, offset:].reshape(-1, 1)
    return similarity_scores(_rows(predictions), _rows(targets[:, :, offset:]), _rows(targets)[drawn], other)


def patch_info_nce(
    predictions: Tensor, targets: Tensor, offset: int, scale: float, drawn: Tensor | None = None
) -> Tensor:
    """InfoNCE of the target `offset` rows below among positions of all images: CPC eq. 4, N = B * H * W or 1 + K.

    Arguments as for `patch_scores`, whose values are multiplied by `scale`. Scalar in nats, mean over predictions.
    """
    if drawn is not None:
        return _drawn_info_nce(predictions, targets, offset, scale, drawn)
    scores = scale * _rows(predictions) @ _rows(targets).T  # (B * (H - offset) * W, B * H * W)
    return F.cross_entropy(scores, _positions(targets)[:, offset:].flatten())


def _drawn_info_nce(predictions: Tensor, targets: Tensor, offset: int, scale: float, drawn: Tensor) -> Tensor:
    """InfoNCE of `patch_scores`, without passes over all scores for mask, temperature and positives.

    The sum of exponentials over the drawn positions lacks the own target or, if it was drawn, contains it already
    (twice if it was drawn twice); this is corrected per row.
    """
    queries = scale * _rows(predictions)
    positive = (queries * _rows(targets[:, :, offset:])).sum(1)
    every = torch.logsumexp(queries @ _rows(targets)[drawn].T, dim=1)
    own = _positions(targets)[:, offset:].flatten()
    times = torch.zeros(targets.numel() // targets.shape[1], device=drawn.device)
    times = times.index_add_(0, drawn, torch.ones(len(drawn), device=drawn.device))[own]
    above = positive - every
    missing = torch.where(times == 0, F.softplus(above), torch.log1p((1 - times) * above.clamp(max=0).exp()))
    return (every + missing - positive).mean()


def _positions(grid: Tensor) -> Tensor:
    """Indices (B, H, W) of the positions of a grid (B, D, H, W)."""
    batch, _, height, width = grid.shape
    return torch.arange(batch * height * width, device=grid.device).view(batch, height, width)


def _rows(grid: Tensor) -> Tensor:
    """A grid (B, D, H, W) as rows (B * H * W, D)."""
    return grid.movedim(1, 3).reshape(-1, grid.shape[1])
