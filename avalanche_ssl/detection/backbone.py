"""The encoder of a method as the backbone of a detector: its maps at several resolutions, in a feature pyramid."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import log2
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method, channels_of
from avalanche_ssl.models import Encoder, eval_mode

FINEST = 4
"""Stride of the first map that is used: finer ones cost more than small objects need."""
COARSEST = 64
"""Largest stride that is taken for that of a map; what is coarser was pooled."""
TRIAL = (128, 192)
"""Height and width of an image on which maps are found: unequal, so that layouts other than (B, C, h, w) show."""


class Level(NamedTuple):
    """A map of an encoder."""

    layer: str
    """Name of the layer of `Encoder.stages` that gives it."""
    stride: int
    """Pixels of the image per step of the map."""
    channels: int


class PyramidBackbone(nn.Module):
    """A feature pyramid (Lin et al. 2017, arXiv:1612.03144) on the maps of a method's encoder, for torchvision.

    Of each resolution from `FINEST` on, the map of the last stage is used; a method with several encoders, such as CMC,
    gives the maps of all, concatenated. Coarser maps come from convolutions of stride 2 after the last one, as P6 and
    P7 of RetinaNet (Lin et al. 2017, arXiv:1708.02002).

    Args:
        method: pre-trained or not, which is copied.
        out_channels: of every map of the pyramid.
        side: of the images; the pyramid ends where four strides cover 0.64 of it, as 512 of 800 pixels in the papers.

    Raises:
        UsageError: the encoder gives no maps at two or more resolutions.
    """

    def __init__(self, method: Method, out_channels: int, side: int) -> None:
        super().__init__()
        self.method = copy.deepcopy(method)
        self.levels = _levels_of(self.method)
        self.strides = [level.stride for level in self.levels[0]]
        n_extra = 0
        while 4 * self.strides[-1] < 0.64 * side:
            self.strides.append(2 * self.strides[-1])
            n_extra += 1
        channels = [sum(level.channels for level in levels) for levels in zip(*self.levels, strict=True)]
        self.pyramid = FeaturePyramidNetwork(channels, out_channels, _CoarserLevels(out_channels, n_extra))
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """Maps (B, out_channels, h, w) by name, finest first, of images (B, C, H, W) in [0, 1] at any size."""
        # Interpolation of images leaves [0, 1] by rounding.
        maps = [
            _maps(encoder, images, levels)
            for (encoder, images), levels in zip(self.method.encoder_inputs(x.clamp(0, 1)), self.levels, strict=True)
        ]
        joined = (torch.cat(level, 1) for level in zip(*maps, strict=True))
        pyramid: OrderedDict[str, Tensor] = self.pyramid(OrderedDict((str(i), m) for i, m in enumerate(joined)))
        return pyramid


class _CoarserLevels(ExtraFPNBlock):  # type: ignore[misc]  # untyped in torchvision
    """Maps of half the resolution of the one before, each by a 3x3 convolution of stride 2, with ReLU between."""

    def __init__(self, channels: int, n: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3, 2, 1) for _ in range(n)]
        for convolution in convolutions:
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # there is one
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        for i, convolution in enumerate(self.convolutions):
            results.append(convolution(F.relu(results[-1]) if i else results[-1]))
            names.append(str(len(names)))
        return results, names


def _levels_of(method: Method) -> list[list[Level]]:
    """The maps of each encoder of a method, finest first; nothing changes.

    Raises:
        UsageError: an encoder has none at two or more resolutions, or another number of them than the others.
    """
    image = torch.zeros(1, channels_of(method) or 3, *TRIAL, device=next(method.parameters()).device)
    with eval_mode(method):
        found = [_levels(encoder, images) for encoder, images in method.encoder_inputs(image)]
    if len({tuple(level.stride for level in levels) for levels in found}) > 1:
        raise UsageError("the encoders of the method have maps of different resolutions: give it encoders of one kind")
    return found


def _levels(encoder: nn.Module, images: Tensor) -> list[Level]:
    """The map at each resolution from `FINEST` on: of the layers that give one, that of the largest, a whole stage.

    Of layers with equally many parts it is the last, so that single layers in the next stage, which still work at the
    resolution of the one before, do not count.
    """
    remedy = "give a convolutional one, such as smallconv, resnet18 or torchvision:resnet18"
    if not isinstance(encoder, Encoder):
        raise UsageError(f"the encoder is a {type(encoder).__name__}, whose maps are not known: give wrap(...) of it")
    if encoder.image_size is not None:
        height, width = encoder.image_size
        raise UsageError(f"the encoder takes images of {height}x{width} only, and a detector larger ones: {remedy}")
    given: dict[str, list[Tensor]] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            given.setdefault(name, []).append(output)

    try:
        with _watched(encoder, [name for name, _ in encoder.stages.named_modules()], note):
            encoder(images)
    except UsageError:
        raise
    except Exception as error:  # what networks of others raise is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the encoder does not take images of {TRIAL[0]}x{TRIAL[1]} ({reason}): {remedy}") from error
    found: dict[int, Level] = {}
    sizes = {name: sum(1 for _ in layer.modules()) for name, layer in encoder.stages.named_modules()}
    for name, (output, *more) in given.items():  # in the order in which they ended
        stride = _stride(images, output)
        if more or stride is None:  # a layer that is called twice has no one output
            continue
        if stride not in found or sizes[name] >= sizes[found[stride].layer]:
            found[stride] = Level(name, stride, output.shape[1])
    levels = [found[stride] for stride in sorted(found)]
    gaps = [i for i, (fine, coarse) in enumerate(pairwise(levels)) if coarse.stride > 4 * fine.stride]
    levels = levels[gaps[-1] + 1 :] if gaps else levels  # before it is no trunk, but e.g. an embedding of patches
    if len(levels) < 2:
        number = f"{len(levels)} resolution{'s' * (len(levels) != 1)}"
        raise UsageError(
            f"the encoder gives maps (B, C, h, w) at {number} of stride {FINEST} or more, and a feature pyramid needs "
            f"two: {remedy}"
        )
    return levels


def _stride(images: Tensor, output: Tensor) -> int | None:
    """Pixels per step of a map, a power of two from `FINEST` to `COARSEST`; None: it is no such map."""
    vertical, horizontal = (round(log2(a / b)) for a, b in zip(images.shape[2:], output.shape[2:], strict=True))
    return 2**vertical if vertical == horizontal and FINEST <= 2**vertical <= COARSEST else None


def _maps(encoder: nn.Module, images: Tensor, levels: Sequence[Level]) -> list[Tensor]:
    """The maps of images at the levels."""
    found: dict[str, Tensor] = {}
    with _watched(encoder, [level.layer for level in levels], found.__setitem__):
        encoder(images)
    return [found[level.layer] for level in levels]


@contextmanager
def _watched(encoder: nn.Module, layers: Sequence[str], note: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `note` with name and output of each of these layers of the stages, when it has run."""
    stages = encoder.get_submodule("stages")
    handles = [
        stages.get_submodule(name).register_forward_hook(lambda module, inputs, output, name=name: note(name, output))
        for name in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
