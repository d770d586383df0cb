"""`load_weights`: start an encoder from given weights, of this package, of others, or of official checkpoints."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder, EncoderFactory
from avalanche_ssl.models.weight_files import Weights, read_weights
from avalanche_ssl.models.weight_names import Match, match_names, some

MIN_SHARE = 0.9
"""Share of an encoder's tensors below which weights are refused; counters of batch norm do not count. A ResNet whose
first convolution has another size than in the file is above."""


def load_weights(network: nn.Module, source: str | Path | Weights, *, min_share: float = MIN_SHARE) -> Match:
    """Load an encoder's weights in place, whatever the layout of the file.

    Known layouts are our `encoder.pt` and safetensors, the state dicts of torchvision and timm, and the checkpoints of
    the official MoCo, SwAV, SimSiam, BYOL, DINO, Barlow Twins and others, see `weight_names.PREFIXES` and
    `NAME_MAPS`. Load before a method copies the encoder (MoCo and BYOL do): give them `initialized(resnet18, FILE)`.

    Args:
        network: an encoder, or the encoders of a method.
        source: a file, a folder of a run or an export, or `torchvision:NAME` or `timm:NAME`, which are downloaded.
        min_share: share of the network's tensors that the source must have.

    Returns:
        What matched and what did not; as text it is one line.

    Raises:
        UsageError: the weights do not fit (how many of how many tensors, and the first three by name), are not finite,
            or cannot be read.

    Warns:
        UserWarning: some of the network's tensors are not in the source, and were left as they were.
    """
    weights = source if isinstance(source, Weights) else read_weights(source)
    state = network.state_dict()
    match = match_names(state, weights.content)
    if not match.tensors or match.taken < min_share * match.total:
        reasons = some(f"{name} ({why})" for name, why in match.left_out.items())
        has = f"; the file has {some(match.unused)}" if match.unused else ""
        raise UsageError(
            f"the weights {weights.source} do not fit the encoder: {match.taken} of {match.total} tensors, and "
            f"{min_share:.0%} are needed; {reasons}{has}; give the encoder that they are of, or other weights"
        )
    broken = [name for name, t in match.tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    if broken:
        raise UsageError(f"the weights {weights.source} are not finite: {some(broken)}; give other weights")
    network.load_state_dict(state | match.tensors)
    if match.left_out:
        warnings.warn(f"weights {weights.source}: {match}", stacklevel=2)
    return match


def initialized(encoder: EncoderFactory, source: str | Path | Weights) -> EncoderFactory:
    """The factory of encoders that start from given weights: `MoCo(initialized(resnet50, "moco_v2.pth.tar"))`.

    Args:
        encoder: builds the network.
        source: as for `load_weights`; read once.

    Raises:
        UsageError: as `load_weights`.
    """
    weights = source if isinstance(source, Weights) else read_weights(source)

    def build(*given: Any, **options: Any) -> Encoder:
        network = encoder(*given, **options)
        load_weights(network, weights)
        return network

    return build
