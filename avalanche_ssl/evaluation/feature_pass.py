"""Features of a benchmark's training images that one pass of an encoder gave, for all that read the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from avalanche_ssl.functional import state_sha256
from avalanche_ssl.models import LabeledFeatures


@dataclass(frozen=True)
class FeaturePass:
    """The features of one pass, with what they are of.

    Args:
        datasets: whose images these are.
        features: (N, D) of each, with labels (N,).
        weights: `weights_sha256` of the model that gave them.
    """

    datasets: Sequence[Any]
    features: list[LabeledFeatures]
    weights: str

    @classmethod
    def by(cls, model: nn.Module, datasets: Sequence[Any], features: list[LabeledFeatures]) -> FeaturePass:
        """The pass of a model as it is now."""
        return cls(datasets, features, weights_sha256(model))

    def of(self, model: nn.Module, datasets: Sequence[Any]) -> list[LabeledFeatures] | None:
        """The features of these datasets by this model; None if they are others, or its weights have changed."""
        same = len(datasets) == len(self.datasets) and all(a is b for a, b in zip(datasets, self.datasets, strict=True))
        return self.features if same and self.weights == weights_sha256(model) else None


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers of a model, also of those that `state_dict` leaves out.

    Neither steps nor tensors' versions would do: plugins may write to weights, too.
    """
    return state_sha256([dict(model.named_parameters()), dict(model.named_buffers())])
