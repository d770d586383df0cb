"""Features of a frozen model, without changing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

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
    return read_out(model, batches, device, [""])[""]


def read_out(
    model: FeatureModel, batches: Iterable[Sequence[Tensor]], device: torch.device | str, names: Sequence[str]
) -> dict[str, LabeledFeatures]:
    """As `extract_features`, for each of several readouts from the same pass; "" is that of `extract_features`.

    Raises:
        ValueError, UsageError: as there; the model has no method `read_out`, or no such readout.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in names}
    labels = []
    reader: Any = model
    if list(names) != [""] and not hasattr(reader, "read_out"):
        raise UsageError(f"readouts ({', '.join(filter(None, names))}) are those of a Method: leave them out")
    with eval_mode(model):
        for x, y, *_ in batches:
            share = getattr(batches, "share", None)
            with distributed.sharing(share):
                images = x.to(device)
                found = {"": model.extract_features(images)} if list(names) == [""] else reader.read_out(images, names)
            for name, features in found.items():
                rows[name].append(distributed.gathered(features.float(), share).cpu())
            labels.append(distributed.gathered(y, share).cpu())
    if not labels:
        raise ValueError("no features: there is no batch to extract them from")
    read = {name: torch.cat(each) for name, each in rows.items()}
    check_magnitude(*read.values())
    pooled_labels = torch.cat(labels)
    return {name: (features, pooled_labels) for name, features in read.items()}


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
