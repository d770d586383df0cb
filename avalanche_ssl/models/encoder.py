"""`Encoder`: pooled features of images; `wrap` makes one of any network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.factory_calls import check_call


class Encoder(nn.Module):
    """Stages of convolutions, then global average pooling: (B, C, H, W) -> (B, out_features).

    `stages` may also be a network that pools by itself: features of shape (B, D) are left unchanged.

    Args:
        stages: the network.
        out_features: D.
        in_channels: C; None: those of the first convolution, if there is one.
        image_size: (H, W), for a network that takes images of this size only; None: of any size.
        output: name of the features in a dictionary that the network gives, see `wrap`.
    """

    _training_pass: Callable[[Tensor], Tensor] | None = None
    """Compiled code, see `compile`."""
    output: str | None = None

    def __init__(
        self,
        stages: nn.Sequential,
        out_features: int,
        in_channels: int | None = None,
        image_size: tuple[int, int] | None = None,
        output: str | None = None,
    ) -> None:
        super().__init__()
        self.stages = stages
        self.in_channels = in_channels or _first_channels(stages)
        self.out_features = out_features
        self.image_size = image_size
        self.output = output

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the forward pass in training mode, once per shape of the batch; arguments as for `torch.compile`.

        Evaluation is not compiled: its batches have many sizes, each of which would need its own code. Copies of the
        encoder, and encoders read from a file, are not compiled either.
        """
        self._training_pass = torch.compile(self._features, *args, **{"dynamic": False} | kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """State without the compiled code, for copies and pickles."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name != "_training_pass"}

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out_features) of images (B, C, H, W).

        Raises:
            UsageError: the stages give features of another shape.
        """
        compiled = self._training_pass if self.training else None
        return compiled(x) if compiled else self._features(x)

    def _features(self, x: Tensor) -> Tensor:
        # Convolutions run faster in this layout. Weights keep theirs: Avalanche's AGEM and GEM view gradients as
        # contiguous vectors.
        features: Tensor = self._given(self.stages(channels_last(x)))
        if not isinstance(features, Tensor):
            raise UsageError(
                f"the encoder gives a {type(features).__name__}, not a tensor of features: wrap a module whose forward "
                "picks it out"
            )
        if features.dim() == 4:
            features = pooled(features)
        if features.dim() != 2 or features.shape[1] != self.out_features:
            raise UsageError(
                f"the encoder gives features of shape {tuple(features.shape)}, not (B, {self.out_features}): "
                "give its real out_features, and remove its classifier with wrap(..., head='fc')"
            )
        return features

    def _given(self, output: Any) -> Any:
        """What the stages give; of a dictionary the features in it."""
        if not isinstance(output, Mapping):
            return output
        features = picked(output, self.output)
        return _of_tokens(self.stages[0], features) if features.dim() == 3 else features


def pooled(maps: Tensor) -> Tensor:
    """Mean (B, D) of maps (B, D, h, w)."""
    # Permuted explicitly, or the gradient would come back in the other layout.
    return maps.permute(0, 2, 3, 1).mean((1, 2))


def picked(outputs: Mapping[str, Any], name: str | None) -> Tensor:
    """The features in a dictionary that a network gives, as models of Hugging Face do.

    Args:
        outputs: tensors by name.
        name: which one; None: `pooler_output` if it is there, else `last_hidden_state`.

    Raises:
        UsageError: there is none of this name.
    """
    names = [name] if name else ["pooler_output", "last_hidden_state"]
    found = [outputs[key] for key in names if isinstance(outputs.get(key), Tensor)]
    if not found:
        tensors = [str(key) for key, value in outputs.items() if isinstance(value, Tensor)]
        raise UsageError(
            f"the encoder gives {', '.join(tensors) or 'no tensor'}, not {' or '.join(names)}: give wrap(..., "
            "output=NAME), or wrap a module whose forward picks the features out"
        )
    features: Tensor = found[0]
    return features


def token_prefix(network: nn.Module, tokens: Tensor) -> int:
    """How many of the tokens (B, N, D) of a transformer come before those of patches; the first is the class token."""
    if isinstance(network, VisionTransformer):
        return 1
    known: int | None = getattr(network, "num_prefix_tokens", None)  # timm
    registers: int | None = getattr(getattr(network, "config", None), "num_register_tokens", None)  # Hugging Face
    if known is None and registers is not None:
        known = 1 + registers
    return tokens.shape[1] - isqrt(tokens.shape[1]) ** 2 if known is None else known


def _of_tokens(network: nn.Module, tokens: Tensor) -> Tensor:
    """The class token (B, D) of tokens (B, N, D), or their mean if there is none."""
    return tokens[:, 0] if token_prefix(network, tokens) else tokens.mean(1)


def channels_last(x: Tensor) -> Tensor:
    """The images in channels-last layout; with one channel, where any layout fits, torch goes by the strides."""
    if x.shape[1] == 1:
        batch, _, height, width = x.shape
        return x.reshape(batch, height, width, 1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


class EncoderFactory(Protocol):
    """Builds an encoder; `scale` multiplies every width, so that the views of CMC can share one budget."""

    def __call__(self, in_channels: int = 3, *, scale: float = 1.0, norm: str = "batch") -> Encoder:
        """An encoder of images with `in_channels` channels; `norm` is batch, split, group, layer or none."""


def with_channels(encoder: EncoderFactory, channels: int | None) -> EncoderFactory:
    """The factory with another default number of channels, for methods that leave it open; None leaves 3."""
    if channels is None or channels == 3:
        return encoder

    def build(in_channels: int = channels, **options: Any) -> Encoder:
        return encoder(in_channels, **options)

    return build


def at_encoder_size(encoder: nn.Module, x: Tensor) -> Tensor:
    """Images (B, C, H, W) resized (bilinear, antialiased) to the one size that an encoder takes; else unchanged."""
    size: tuple[int, int] | None = getattr(encoder, "image_size", None)
    if size is None or tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def build_encoder(encoder: EncoderFactory, *args: Any, **options: Any) -> Encoder:
    """The encoder that a factory builds.

    Raises:
        UsageError: it is no factory but a network, does not take the arguments, or builds what is no encoder.
    """
    if isinstance(encoder, nn.Module):
        raise UsageError(
            f"the encoder is an instance of {type(encoder).__name__}, not what builds one: give the function, e.g. "
            "SimCLR(smallconv), or of a network SimCLR(lambda: wrap(network, out_features))"
        )
    check_call(encoder, *args, **options)
    network = encoder(*args, **options)
    if not hasattr(network, "out_features"):
        name = type(network).__name__
        raise UsageError(f"the encoder is a {name} without out_features: give lambda: wrap(network, out_features)")
    return network


def wrap(
    module: nn.Module,
    out_features: int,
    in_channels: int | None = None,
    *,
    head: str | None = None,
    output: str | None = None,
) -> Encoder:
    """Use any network (torchvision, timm, your own) as an encoder, with its weights.

    The network gives (B, out_features) or (B, out_features, h, w). `head` names a classifier to remove first,
    changing `module` in place: "fc" in torchvision's ResNets, "classifier" or "heads" in other models.

    Of a network that gives a dictionary, as models of Hugging Face do, `output` names the features: without it
    `pooler_output` if it is there, else `last_hidden_state`. Of tokens (B, N, out_features) the first one is taken if
    there is a class token (N is one more than a square, or the network says so), else their mean.

    A vision transformer of torchvision, timm or Hugging Face may take images of one size only: views must have it
    (`augment.size`), and `extract_features` resizes images to it.
    """
    if head is not None:
        if head not in dict(module.named_children()):
            raise unknown_name(f"layer of {type(module).__name__}", head, dict(module.named_children()))
        setattr(module, head, nn.Identity())
    return Encoder(nn.Sequential(module), out_features, in_channels, _fixed_size(module), output)


def first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d] | None:
    """Name and layer of the first convolution; None without one."""
    return next(((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)), None)


def _first_channels(network: nn.Module) -> int | None:
    """Channels that the first convolution takes; None without one."""
    found = first_convolution(network)
    return (found[1].in_channels if found else None) or None  # a lazy convolution has 0 until its first batch


def _fixed_size(module: nn.Module) -> tuple[int, int] | None:
    """Height and width of the only images that a transformer takes; None for other networks."""
    if isinstance(module, VisionTransformer):
        return module.image_size, module.image_size
    parts: list[Any] = list(module.children())
    for part in parts:  # timm
        if getattr(part, "strict_img_size", False) and part.img_size is not None:
            height, width = part.img_size
            return height, width
    side: Any = getattr(getattr(module, "config", None), "image_size", None)  # Hugging Face
    if isinstance(side, int) and "interpolate_pos_encoding" in inspect.signature(module.forward).parameters:
        return side, side
    return None
