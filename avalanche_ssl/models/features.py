"""Which layer of an encoder is the feature: its own output, the class token, or its last map, pooled in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt, sqrt
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.encoder import Encoder, channels_last, picked, pooled, token_prefix

FEATURE_LAYERS = ("global_pool", "cls", "pool2x2")
"""Mean of the last map or of the patches of a transformer; its class token; the map averaged to 2x2, (B, 4 D)."""


class LastLayer(NamedTuple):
    """What an encoder computes last before it pools."""

    map: Tensor | None
    """(B, D, h, w); None: not found."""
    token: Tensor | None
    """The class token (B, D); None: there is none."""


def read_features(encoder: nn.Module, x: Tensor, layer: str | None = None) -> Tensor:
    """Features (B, D) of images (B, C, H, W), of the layer in `FEATURE_LAYERS`; None: the encoder's own output.

    Raises:
        UsageError: the layer is unknown, or the encoder has none such.
    """
    if layer is None:
        features: Tensor = encoder(x)
        return features
    if layer not in FEATURE_LAYERS:
        raise unknown_name("feature layer", layer, FEATURE_LAYERS)
    last = last_layer(encoder, x)
    if layer == "cls":
        if last.token is None:
            raise UsageError("feature_layer is 'cls', and the encoder has no class token: give global_pool, or null")
        return last.token
    if last.map is None:
        raise UsageError(
            f"feature_layer is '{layer}', and the last map of the encoder is not known: give null for its own output, "
            "or wrap a network that gives the map (B, D, h, w)"
        )
    return pooled(last.map) if layer == "global_pool" else pool2x2(last.map)


def pool2x2(
    maps: Tensor, named: str = "feature_layer is 'pool2x2'", remedy: str = "give global_pool, or null"
) -> Tensor:
    """Maps (B, D, h, w) averaged to 2x2, as rows (B, 4 D).

    Raises:
        UsageError: they are smaller; `named` says what reads them, `remedy` what to do.
    """
    if min(maps.shape[2:]) < 2:
        height, width = maps.shape[2:]
        raise UsageError(f"{named}, and the last map is {height}x{width}: {remedy}")
    return F.adaptive_avg_pool2d(maps, 2).flatten(1)


def last_layer(encoder: nn.Module, x: Tensor) -> LastLayer:
    """Map and class token of images (B, C, H, W), before they are pooled.

    Found in encoders of this package and in wrapped networks that give a map or a dictionary with `last_hidden_state`,
    have a `forward_features` as in timm, or pool by `nn.AdaptiveAvgPool2d`; and in torchvision's transformers.
    """
    network: Any = encoder.stages if isinstance(encoder, Encoder) else encoder
    if isinstance(network, nn.Sequential) and len(network) == 1:
        network = network[0]
    images = channels_last(x)
    if hasattr(network, "forward_features"):
        return _as_layer(network, network.forward_features(images), x)
    if isinstance(network, VisionTransformer):
        with _Watched(network.encoder) as watched:
            network(images)
        return _as_layer(network, watched.output, x)
    pools = [module for module in network.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    with _Watched(*pools) as watched:
        output = network(images)
    if isinstance(output, Mapping):
        return _as_layer(network, picked(output, "last_hidden_state"), x)
    return _as_layer(network, output if output.ndim == 4 else watched.input, x)


class _Watched:
    """Keeps input and output of the last call of some modules; as a context, so that they are not changed for long."""

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        self.input: Tensor | None = None
        self.output: Tensor | None = None

    def __enter__(self) -> _Watched:
        self.handles = [module.register_forward_hook(self._keep) for module in self.modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.input, self.output = inputs[0], output


def _as_layer(network: nn.Module, output: Tensor | None, x: Tensor) -> LastLayer:
    """Map and class token in an output: a map in either layout, or tokens (B, N, D)."""
    if output is None or output.ndim not in (3, 4):
        return LastLayer(None, None)
    if output.ndim == 4:
        return LastLayer(output.permute(0, 3, 1, 2) if _channels_come_last(network) else output, None)
    prefix = token_prefix(network, output)
    patches = output[:, prefix:]
    height, width = _grid(patches.shape[1], x)
    maps = None
    if height * width == patches.shape[1]:
        maps = patches.transpose(1, 2).reshape(len(patches), -1, height, width)
    return LastLayer(maps, output[:, 0] if prefix else None)


def _channels_come_last(network: nn.Module) -> bool:
    """Whether timm says of a network that its maps are (B, h, w, D)."""
    form = getattr(network, "output_fmt", "NCHW")
    return str(getattr(form, "value", form)) == "NHWC"


def _grid(patches: int, x: Tensor) -> tuple[int, int]:
    """Rows and columns of patches of images (B, C, H, W)."""
    side = isqrt(patches)
    if side * side == patches and x.shape[2] == x.shape[3]:
        return side, side
    rows = max(1, round(sqrt(patches * x.shape[2] / x.shape[3])))
    return rows, patches // rows
