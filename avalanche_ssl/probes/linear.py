"""`LinearProbe`: centering and a linear map as one module."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class LinearProbe(nn.Module):
    """Logits (B, C) = (features - mean) @ weight' + bias.

    Computed in the precision of its buffers: float64 as fitted, float32 after `.float()`. The mean is kept
    apart from the bias: folded in, float32 would lose features of large mean and small spread. A class
    without a training sample has a bias of -inf, so it is never predicted.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)  # (C, D)
        self.register_buffer("bias", bias)  # (C,)
        self.register_buffer("mean", mean)  # (D,)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, D) -> logits (B, C)."""
        return F.linear(features.to(self.weight.dtype) - self.mean, self.weight, self.bias)
