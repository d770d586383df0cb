"""`RawPixels`: images themselves as features, to compare an encoder with."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.probes import KNN, NearestClassMean, ProbeProtocol, Ridge

SIDE = 16
"""Pixels of an image side at most: ridge regression on all of 32x32 takes minutes for each fit."""


class RawPixels(nn.Module):
    """A model whose features are the pixels of an image, sides above 16 pixels averaged down to 16.

    Args:
        needs_color: whether gray images become RGB, as in a stream that has both.
    """

    name = f"raw pixels {SIDE}x{SIDE}"
    side = SIDE

    def __init__(self, needs_color: bool = False) -> None:
        super().__init__()
        self.needs_color = needs_color

    def extract_features(self, x: Tensor) -> Tensor:
        """Features (B, C H W) of raw uint8 images (B, C, H, W), in [0, 1]."""
        height, width = x.shape[-2:]
        return F.adaptive_avg_pool2d(x.float() / 255, (min(height, SIDE), min(width, SIDE))).flatten(1)


def reads_pixels(probe: ProbeProtocol) -> bool:
    """Whether every run reads raw pixels by a probe: one that is exact and quick, and fitted on all experiences.

    Not what is trained by gradient descent or with the encoder, nor a readout of maps that pixels do not have.
    """
    if probe.online or probe.readout or probe.augment or "all" not in probe.scopes:
        return False
    return isinstance(probe.classifier_for(1), Ridge | NearestClassMean | KNN)
