"""Small tensor functions that losses, memories and metrics share."""

import torch
from torch import Tensor
from torch.nn import functional as F


def off_diagonal(matrix: Tensor) -> Tensor:
    """Sum of the squared entries off the diagonal; 0-d."""
    return (matrix - matrix.diagonal().diag()).square().sum()


def l2_normalize(x: Tensor) -> Tensor:
    """Rows scaled to length 1, in float32 even under autocast; (..., D) to (..., D)."""
    return F.normalize(x.double() if x.dtype == torch.float64 else x.float(), dim=-1)


def log_mean_exp(scores: Tensor, temperature: float) -> Tensor:
    """Logarithm of the mean of exp(scores / temperature) over the finite entries; 0-d. The normalizer of NCE."""
    count = torch.isfinite(scores).sum(dtype=scores.dtype)
    return torch.logsumexp(scores.flatten() / temperature, dim=0) - count.log()
