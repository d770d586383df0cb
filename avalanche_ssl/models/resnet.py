"""ResNets with a stem for small images."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.blocks import conv_block, he_initialize, scaled_width
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.norms import Norm, get_norm


def resnet9(
    in_channels: int = 3,
    *,
    scale: float = 1.0,
    norm: str = "batch",
    width: int = 32,
    stem_stride: int = 2,
    zero_init: bool = False,
) -> Encoder:
    """ResNet with one basic block per stage and a 3x3 stem: 1.2 M parameters and 256 features at width 32."""
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

    Args:
        in_channels: channels of the images.
        scale: factor of every width.
        norm: batch, split, group, layer or none.
        width: channels of the first stage.
        stem: "cifar" (3x3, stride 1, no pooling) or "imagenet" (7x7, stride 2, max-pooling).
        stem_padding: padding of the cifar stem: a map of 32x32 ends as 4x4 with padding 1 and as 5x5 with padding 2.
        zero_init: start each residual branch at zero (Goyal et al. 2017, arXiv:1706.02677).

    Raises:
        UsageError: an option is unknown or out of its range.
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
    """ResNet-34: 512 features at width 64; arguments as for `resnet18`."""
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
    """ResNet-50: 2048 features at width 64; arguments as for `resnet18`."""
    return _resnet(Bottleneck, (3, 4, 6, 3), in_channels, scale, norm, width, stem, 1, stem_padding, zero_init)


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
    norm_layer, channels = get_norm(norm), scaled_width(width, scale)
    if stem == "cifar":
        stages = [conv_block(in_channels, channels, 3, stem_stride, stem_padding, norm_layer)]
    elif stem == "imagenet":
        stages = [conv_block(in_channels, channels, 7, 2, 3, norm_layer).append(nn.MaxPool2d(3, 2, 1))]
    else:
        raise unknown_name("stem", stem, ("cifar", "imagenet"))
    planes = channels
    for i, depth in enumerate(depths):
        stages.append(_stage(block, depth, channels, planes, 1 if i == 0 else 2, norm_layer))
        channels, planes = planes * block.expansion, 2 * planes
    encoder = he_initialize(Encoder(nn.Sequential(*stages), channels, in_channels))
    if zero_init:
        _zero_residual_branches(encoder)
    return encoder


def _stage(
    block: type[BasicBlock | Bottleneck], depth: int, inplanes: int, planes: int, stride: int, norm: Norm
) -> nn.Sequential:
    """`depth` blocks; the first changes the resolution, and projects its shortcut if the shape changes."""
    outplanes = planes * block.expansion
    shortcut: nn.Sequential | None = None
    if stride != 1 or inplanes != outplanes:
        shortcut = nn.Sequential(nn.Conv2d(inplanes, outplanes, 1, stride, bias=False), norm(outplanes))
    blocks = [block(inplanes, planes, stride, shortcut, norm_layer=norm)]
    blocks += [block(outplanes, planes, norm_layer=norm) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _zero_residual_branches(encoder: Encoder) -> None:
    for module in encoder.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
            if not hasattr(last, "weight"):
                raise UsageError("zero_init needs a norm: choose batch, group or layer instead of none")
            nn.init.zeros_(last.weight)
