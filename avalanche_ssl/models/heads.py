"""Projection and prediction heads."""

from __future__ import annotations

from torch import nn

from avalanche_ssl.errors import UsageError


def mlp(
    in_features: int,
    hidden_dim: int,
    out_features: int,
    layers: int = 2,
    norm: bool = True,
    last_norm: bool = False,
    last_affine: bool = True,
    last_shift: bool = True,
) -> nn.Sequential:
    """A projection or prediction head: (B, in_features) -> (B, out_features).

    `layers` linear layers, with BatchNorm (if `norm`) and ReLU between them. The last one is followed by BatchNorm if
    `last_norm`, with a scale if `last_affine`, and a shift if `last_shift`, too. A linear layer has a bias only where
    no BatchNorm follows.

    Raises:
        UsageError: there are no layers.
    """
    if layers < 1:
        raise UsageError(f"an mlp cannot have {layers} layers: give 1 or more")
    head: list[nn.Module] = []
    for _ in range(layers - 1):
        head += [nn.Linear(in_features, hidden_dim, bias=not norm)]
        head += [nn.BatchNorm1d(hidden_dim)] if norm else []
        head += [nn.ReLU(inplace=True)]
        in_features = hidden_dim
    head += [nn.Linear(in_features, out_features, bias=not last_norm)]
    if last_norm:
        last = nn.BatchNorm1d(out_features, affine=last_affine)
        if not last_shift:
            last.register_parameter("bias", None)
        head.append(last)
    return nn.Sequential(*head)
