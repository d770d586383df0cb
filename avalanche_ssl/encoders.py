"""Which network turns images into features?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import gcd
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from avalanche_ssl.errors import UsageError, nearest


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


class Norm(Protocol):
    """Builds the normalisation layer for a number of channels."""

    def __call__(self, channels: int, /) -> nn.Module:
        """The layer."""


def _batch_norm(channels: int, /) -> nn.Module:
    return nn.BatchNorm2d(channels)


def _group_norm(channels: int, /) -> nn.Module:
    """At most 32 groups (Wu & He 2018, arXiv:1803.08494), none of fewer than 8 channels."""
    return nn.GroupNorm(gcd(channels, max(1, channels // 8), 32), channels)


def _layer_norm(channels: int, /) -> nn.Module:
    return nn.GroupNorm(1, channels)


def _no_norm(channels: int, /) -> nn.Module:
    return nn.Identity()


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch norm with statistics of its own for each of some groups of the batch, as if on as many devices.

    MoCo's CIFAR-10 demo has 8 groups: a query cannot tell its key by statistics that they share. The groups are
    consecutive images, differ by at most one in size, and hold 8 images or more: a small batch has fewer groups.
    Running statistics follow the mean of the groups'; in eval mode this is batch norm.

    Args:
        channels: C of (B, C, H, W).
        groups: G, at most so many groups.
    """

    running_mean: Tensor
    running_var: Tensor
    interleaved = False
    """Group image i by i modulo G instead: other company than in consecutive groups, so that keys need no shuffling."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__(channels)
        if groups < 1:
            raise UsageError(f"batch norm cannot be split into {groups} groups: give 1 or more")
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Normalised maps (B, C, H, W)."""
        groups = min(self.groups, len(x) // 8)
        if not self.training or groups < 2:
            return super().forward(x)
        sizes = [len(part) for part in torch.arange(len(x)).tensor_split(groups)]
        if not self.interleaved:
            # The gradient of tensor_split would pad each part to the whole batch.
            return self._normalised(x.split_with_sizes(sizes))
        order = torch.arange(len(x), device=x.device)
        order = torch.cat([order[i::groups] for i in range(groups)])
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(x), device=x.device))
        return _reordered(self._normalised(_reordered(x, order).split_with_sizes(sizes)), back)

    def _normalised(self, parts: Sequence[Tensor]) -> Tensor:
        """Each part by its own statistics, joined; the running ones follow their mean."""
        means, variances = (s.expand(len(parts), -1).clone() for s in (self.running_mean, self.running_var))
        normalised = [
            F.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum or 0.0, self.eps)
            for part, mean, variance in zip(parts, means, variances, strict=True)
        ]
        with torch.no_grad():
            self.running_mean.copy_(means.mean(0))
            self.running_var.copy_(variances.mean(0))
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return torch.cat(normalised)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    """Maps (B, C, H, W) in another order of the images, laid out in memory as they were."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x.index_select(0, order)
    return x.permute(0, 2, 3, 1).index_select(0, order).permute(0, 3, 1, 2)


def _split_batch_norm(channels: int, /) -> nn.Module:
    return SplitBatchNorm(channels)


NORMS: dict[str, Norm] = {
    "batch": _batch_norm,
    "split": _split_batch_norm,
    "group": _group_norm,
    "layer": _layer_norm,
    "none": _no_norm,
}


def smallconv(in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch", width: int = 32) -> Encoder:
    """Four 3x3 convolutions of widths w, 2w, 4w, 8w, halving the map after the first: made for CPUs."""
    norm_layer, w = _norm(norm), _scaled(width, scale)
    widths = [in_channels, w, 2 * w, 4 * w, 8 * w]
    stages = [
        _conv(before, after, 3, 1 if i == 0 else 2, 1, norm_layer) for i, (before, after) in enumerate(pairwise(widths))
    ]
    return _initialised(Encoder(nn.Sequential(*stages), 8 * w, in_channels))


def resnet9(
    in_channels: int = 3,
    *,
    scale: float = 1.0,
    norm: str = "batch",
    width: int = 32,
    stem_stride: int = 2,
    zero_init: bool = False,
) -> Encoder:
    """One basic block a stage and a 3x3 stem: 1.2 M parameters and 256 features at width 32."""
    return _resnet(BasicBlock, (1, 1, 1, 1), in_channels, scale, norm, width, "cifar", stem_stride, 1, zero_init)


def resnet18(
    in_channels: int = 3,
    *,
    scale: float = 1.0,
    norm: str = "batch",
    width: int = 64,
    stem: str = "cifar",
    stem_padding: int = 1,
    zero_init: bool = False,
) -> Encoder:
    """ResNet-18 (He et al. 2016, arXiv:1512.03385): 512 features at width 64.

    `stem` is "cifar" (3x3, stride 1, no pooling) or "imagenet" (7x7, stride 2, max-pooling). `stem_padding`
    is that of the cifar stem: a map of 32x32 ends as 4x4 with padding 1 and as 5x5 with padding 2.
    `zero_init` starts each residual branch at zero (Goyal et al. 2017, arXiv:1706.02677).
    """
    return _resnet(BasicBlock, (2, 2, 2, 2), in_channels, scale, norm, width, stem, 1, stem_padding, zero_init)


def resnet34(
    in_channels: int = 3,
    *,
    scale: float = 1.0,
    norm: str = "batch",
    width: int = 64,
    stem: str = "cifar",
    stem_padding: int = 1,
    zero_init: bool = False,
) -> Encoder:
    """ResNet-34: 512 features at width 64; options as for `resnet18`."""
    return _resnet(BasicBlock, (3, 4, 6, 3), in_channels, scale, norm, width, stem, 1, stem_padding, zero_init)


def resnet50(
    in_channels: int = 3,
    *,
    scale: float = 1.0,
    norm: str = "batch",
    width: int = 64,
    stem: str = "cifar",
    stem_padding: int = 1,
    zero_init: bool = False,
) -> Encoder:
    """ResNet-50: 2048 features at width 64; options as for `resnet18`."""
    return _resnet(Bottleneck, (3, 4, 6, 3), in_channels, scale, norm, width, stem, 1, stem_padding, zero_init)


ENCODERS: dict[str, EncoderFactory] = {
    "smallconv": smallconv,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}


def wrap(module: nn.Module, out_features: int, in_channels: int = 3, *, head: str | None = None) -> Encoder:
    """Use any network (torchvision, timm, your own) as an encoder; its weights are kept.

    The network gives (B, out_features) or (B, out_features, h, w). `head` names a classifier to remove first,
    changing `module` in place: "fc" in torchvision's ResNets, "classifier" or "heads" in other models.
    """
    if head is not None:
        if head not in dict(module.named_children()):
            raise nearest(f"layer of {type(module).__name__}", head, dict(module.named_children()))
        setattr(module, head, nn.Identity())
    return Encoder(nn.Sequential(module), out_features, in_channels)


def mlp(
    in_features: int,
    hidden: int,
    out_features: int,
    layers: int = 2,
    norm: bool = True,
    last_norm: bool = False,
    last_affine: bool = True,
) -> nn.Sequential:
    """A projection or prediction head: (B, in_features) -> (B, out_features).

    Linear, BatchNorm (if `norm`), ReLU, ... and a last Linear, followed by BatchNorm if `last_norm`,
    with its scale and shift if `last_affine`.
    A Linear has a bias only where no BatchNorm follows.
    """
    if layers < 1:
        raise UsageError(f"an mlp cannot have {layers} layers: give 1 or more")
    head: list[nn.Module] = []
    for _ in range(layers - 1):
        head += [nn.Linear(in_features, hidden, bias=not norm)]
        head += [nn.BatchNorm1d(hidden)] if norm else []
        head += [nn.ReLU(inplace=True)]
        in_features = hidden
    head += [nn.Linear(in_features, out_features, bias=not last_norm)]
    head += [nn.BatchNorm1d(out_features, affine=last_affine)] if last_norm else []
    return nn.Sequential(*head)


def _resnet(
    block: type[BasicBlock | Bottleneck],
    depths: tuple[int, ...],
    in_channels: int,
    scale: float,
    norm: str,
    width: int,
    stem: str,
    stem_stride: int,
    stem_padding: int,
    zero_init: bool,
) -> Encoder:
    norm_layer, channels = _norm(norm), _scaled(width, scale)
    if stem == "cifar":
        stages = [_conv(in_channels, channels, 3, stem_stride, stem_padding, norm_layer)]
    elif stem == "imagenet":
        stages = [_conv(in_channels, channels, 7, 2, 3, norm_layer).append(nn.MaxPool2d(3, 2, 1))]
    else:
        raise nearest("stem", stem, ("cifar", "imagenet"))
    planes = channels
    for i, depth in enumerate(depths):
        stages.append(_residual(block, depth, channels, planes, 1 if i == 0 else 2, norm_layer))
        channels, planes = planes * block.expansion, 2 * planes
    encoder = _initialised(Encoder(nn.Sequential(*stages), channels, in_channels))
    if zero_init:
        _start_branches_at_zero(encoder)
    return encoder


def _residual(
    block: type[BasicBlock | Bottleneck], depth: int, inplanes: int, planes: int, stride: int, norm: Norm
) -> nn.Sequential:
    """`depth` blocks; the first changes the resolution, and projects its shortcut when the shape changes."""
    outplanes = planes * block.expansion
    shortcut: nn.Sequential | None = None
    if stride != 1 or inplanes != outplanes:
        shortcut = nn.Sequential(nn.Conv2d(inplanes, outplanes, 1, stride, bias=False), norm(outplanes))
    blocks = [block(inplanes, planes, stride, shortcut, norm_layer=norm)]
    blocks += [block(outplanes, planes, norm_layer=norm) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _conv(before: int, after: int, kernel: int, stride: int, padding: int, norm: Norm) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, padding, bias=norm is _no_norm)
    return nn.Sequential(convolution, norm(after), nn.ReLU(inplace=True))


def _initialised(encoder: Encoder) -> Encoder:
    """He et al. 2015 (arXiv:1502.01852), as in torchvision."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder


def _start_branches_at_zero(encoder: Encoder) -> None:
    for module in encoder.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
            if not hasattr(last, "weight"):
                raise UsageError("zero_init needs a norm: choose batch, group or layer instead of none")
            nn.init.zeros_(last.weight)


def _norm(name: str) -> Norm:
    if name not in NORMS:
        raise nearest("norm", name, NORMS)
    return NORMS[name]


def _scaled(width: int, scale: float) -> int:
    if width < 1 or not scale > 0:
        raise UsageError(f"an encoder cannot have width={width} and scale={scale}: give values above 0")
    return max(1, round(width * scale))
