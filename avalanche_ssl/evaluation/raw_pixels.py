"""`RawPixels`: images themselves as features, to compare an encoder with."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 16
"""Pixels of an image side at most: ridge regression on all of 32x32 takes minutes for each fit."""


class RawPixels(nn.Module):
    """A model whose features are the pixels of an image, sides above 16 pixels averaged down to 16."""

    name = f"raw pixels {SIDE}x{SIDE}"
    side = SIDE

    def extract_features(self, x: Tensor) -> Tensor:
        """Features (B, C H W) of raw uint8 images (B, C, H, W), in [0, 1]."""
        height, width = x.shape[-2:]
        return F.adaptive_avg_pool2d(x.float() / 255, (min(height, SIDE), min(width, SIDE))).flatten(1)
