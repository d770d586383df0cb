"""How do a benchmark's images become features that probes read? One pass over each, whatever the strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.traversal import joined
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.inference import FeatureModel, LabeledFeatures, extract_features
from avalanche_ssl.transforms.augmentation import RandomView

CROPS = RandomView(scale=(0.08, 1.0), jitter_prob=0.0, gray_prob=0.0)
"""How probes that are trained on augmented images see them: random resized crops, mirrored at random."""

Function = Callable[[Any, Tensor], Tensor]
"""Features (B, D) of a model and images (B, C, H, W)."""


class FeatureExtractor:
    """Features and labels of datasets, by the present encoder of a strategy.

    Args:
        parts: lists of datasets that are asked for again and again: images that datasets of a list share pass once.
        batch_size: images a batch.
        represent: for models that have no method `extract_features`.
    """

    def __init__(
        self, parts: Iterable[Sequence[Any]], batch_size: int, extract_features: Function | None = None
    ) -> None:
        self.batch_size = batch_size
        self.extract_features = extract_features
        self._joined = {id(part): joined(part, batch_size) for part in parts}

    def model(self, strategy: Any) -> FeatureModel:
        """What gives the features.

        Raises:
            UsageError: the strategy's model does not, and no function was given.
        """
        if self.extract_features is not None:
            return _WithFeatures(strategy.model, self.extract_features)
        if not hasattr(strategy.model, "extract_features"):
            raise UsageError(
                f"{type(strategy.model).__name__} has no method represent(x): give "
                "ProbePlugin(..., represent=lambda model, x: features)"
            )
        model: FeatureModel = strategy.model
        return model

    def __call__(
        self, strategy: Any, datasets: Sequence[Any], crops: torch.Generator | None = None
    ) -> list[LabeledFeatures]:
        """Features of each dataset; with a generator, of randomly cropped and mirrored images."""
        use_dataset_transforms = getattr(
            strategy, "use_dataset_transforms", True
        )  # of other strategies, networks expect them
        whole = None if use_dataset_transforms else self._joined.get(id(datasets))

        def batches(dataset: Any) -> Iterable[Sequence[Tensor]]:
            loader = RawDataLoader(
                [dataset],
                [self.batch_size],
                shuffle=False,
                drop_last=False,
                use_dataset_transforms=use_dataset_transforms,
            )
            return loader if crops is None else cropped(loader, crops)

        def cropped(loader: RawDataLoader, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
            for x, *rest in loader:
                yield CROPS.rgb(x.to(strategy.device), generator, x.shape[-1]), *rest

        model, device = self.model(strategy), strategy.device
        if whole is None:
            return [extract_features(model, batches(_evaluated(d)), device) for d in datasets]
        x, _ = extract_features(model, batches(_evaluated(whole.dataset)), device)
        return [(x[rows], y) for rows, y in zip(whole.rows, whole.labels, strict=True)]


@dataclass(frozen=True)
class _WithFeatures:
    """A model with a function of it as `extract_features`."""

    model: nn.Module
    function: Function

    def extract_features(self, x: Tensor) -> Tensor:
        return self.function(self.model, x)

    def eval(self) -> object:
        return self.model.eval()

    def modules(self) -> Iterator[nn.Module]:
        return self.model.modules()


def _evaluated(dataset: Any) -> Any:
    """The dataset with its transforms for evaluation, if it has such."""
    return dataset.eval() if hasattr(dataset, "eval") else dataset
