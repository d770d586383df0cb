"""`Encoder`: images to pooled features, and `wrap` for networks of your own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, unknown_name


class Encoder(nn.Module):
    """Stages of convolutions, then global average pooling: (B, C, H, W) -> (B, out_features).

    `stages` may also be a network that pools by itself: features that come out as (B, D) are left alone.
    """

    _training_pass: Callable[[Tensor], Tensor] | None = None
    """Compiled code, see `compile`."""

    def __init__(self, stages: nn.Sequential, out_features: int, in_channels: int = 3) -> None:
        super().__init__()
        self.stages = stages
        self.in_channels = in_channels
        self.out_features = out_features

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Let `torch.compile`, which takes the arguments, make code for passes in training mode, by shape of the batch.

        Evaluation stays as it is: its batches come in many sizes, and each would have to be compiled for. A copy of
        the encoder, and what is read from a file, is not compiled.
        """
        self._training_pass = torch.compile(self._features, *args, **{"dynamic": False} | kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name != "_training_pass"}

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out_features) of images (B, C, H, W); UsageError if the stages give others."""
        compiled = self._training_pass if self.training else None
        return compiled(x) if compiled else self._features(x)

    def _features(self, x: Tensor) -> Tensor:
        # Convolutions run faster on this layout. Weights stay as they are: Avalanche's AGEM and GEM view their
        # gradients as contiguous vectors.
        features: Tensor = self.stages(_channels_last(x))
        if features.dim() == 4:
            # Channels moved last by name as in memory: else the gradient comes back laid out the other way.
            features = features.permute(0, 2, 3, 1).mean((1, 2))
        if features.dim() != 2 or features.shape[1] != self.out_features:
            raise UsageError(
                f"the encoder gives features of shape {tuple(features.shape)}, not (B, {self.out_features}): "
                "give its real out_features, and remove its classifier with wrap(..., head='fc')"
            )
        return features


def _channels_last(x: Tensor) -> Tensor:
    """The same images in this layout; of a single channel, which any layout fits, torch goes by the strides."""
    if x.shape[1] == 1:
        batch, _, height, width = x.shape
        return x.reshape(batch, height, width, 1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


class EncoderFactory(Protocol):
    """Builds an encoder. `scale` multiplies every width, so that views can share one budget (CMC)."""

    def __call__(self, in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch") -> Encoder:
        """An encoder of images with `in_channels` channels; `norm` is batch, split, group, layer or none."""


def wrap(module: nn.Module, out_features: int, in_channels: int = 3, *, head: str | None = None) -> Encoder:
    """Use any network (torchvision, timm, your own) as an encoder; its weights are kept.

    The network gives (B, out_features) or (B, out_features, h, w). `head` names a classifier to remove first,
    changing `module` in place: "fc" in torchvision's ResNets, "classifier" or "heads" in other models.
    """
    if head is not None:
        if head not in dict(module.named_children()):
            raise unknown_name(f"layer of {type(module).__name__}", head, dict(module.named_children()))
        setattr(module, head, nn.Identity())
    return Encoder(nn.Sequential(module), out_features, in_channels)


def _initialized(encoder: Encoder) -> Encoder:
    """He et al. 2015 (arXiv:1502.01852), as in torchvision."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder


def _scaled(width: int, scale: float) -> int:
    if width < 1 or not scale > 0:
        raise UsageError(f"an encoder cannot have width={width} and scale={scale}: give values above 0")
    return max(1, round(width * scale))
