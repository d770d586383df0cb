"""Features of a frozen model, without changing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from avalanche_ssl import distributed
from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import isolated

LARGEST = 1e15
"""Features beyond it overflow in float32 where they are squared and summed."""

LabeledFeatures = tuple[Tensor, Tensor]
"""Features (N, D) and labels (N,), negative where unknown."""


class FeatureModel(Protocol):
    """A module with features to probe: any `Method`, or any `nn.Module` with a method `extract_features`."""

    def extract_features(self, x: Tensor) -> Tensor:
        """Features (B, D) of images (B, C, H, W)."""

    def eval(self) -> object:
        """As `nn.Module.eval`."""

    def modules(self) -> Iterator[nn.Module]:
        """As `nn.Module.modules`."""


@contextmanager
def eval_mode(model: FeatureModel) -> Iterator[None]:
    """Evaluate without gradients; training flags and all global random states are restored afterwards.

    Random states matter even for a deterministic model: iterating over a torch DataLoader draws a seed.
    """
    flags = [(module, module.training) for module in model.modules()]
    with isolated():
        try:
            model.eval()
            with torch.no_grad():
                yield
        finally:
            for module, training in flags:
                module.training = training


def extract_features(
    model: FeatureModel, batches: Iterable[Sequence[Tensor]], device: torch.device | str
) -> LabeledFeatures:
    """Features (N, D) float32 and labels (N,) on the CPU, of batches (x, y, ...); the model is not changed.

    Of batches with a `share`, each of several processes computes its own rows, and all get all.

    Raises:
        ValueError: there is no batch.
        UsageError: features are not finite, or too large to compute with.
    """
    rows, labels = [], []
    with eval_mode(model):
        for x, y, *_ in batches:
            share = getattr(batches, "share", None)
            with distributed.sharing(share):
                own = model.extract_features(x.to(device)).float()
            rows.append(distributed.gathered(own, share).cpu())
            labels.append(distributed.gathered(y, share).cpu())
    if not rows:
        raise ValueError("no features: there is no batch to extract them from")
    features = torch.cat(rows)
    check_magnitude(features)
    return features, torch.cat(labels)


def check_magnitude(*features: Tensor) -> None:
    """Refuse features and other outputs that are not finite, or too large to compute with.

    Raises:
        UsageError: names the largest value and the remedy.
    """
    for each in features:
        largest = float(each.abs().max()) if each.is_floating_point() and each.numel() else 0.0  # NaN if any is
        if not largest < LARGEST:
            raise UsageError(
                f"the network gives features as large as {largest:.2g}: training has diverged, lower lr, raise "
                "temperature, or clip the gradient with --set max_grad_norm=1"
            )
