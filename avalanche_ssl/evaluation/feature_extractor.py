"""Features of a benchmark's images by the encoder of any strategy: `FeatureExtractor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from avalanche_ssl.data import (
    RawDataLoader,
    check_same_transforms,
    class_labels,
    dataset_shapes,
    distinct_images_if_cheaper,
)
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.methods import channels_of
from avalanche_ssl.models import FeatureModel, LabeledFeatures, read_out
from avalanche_ssl.transforms import RandomView

PROBE_CROPS = RandomView(scale=(0.08, 1.0), jitter_prob=0.0, gray_prob=0.0)
"""Views for probes that are trained on augmented images: random resized crops, flipped at random."""

FeatureFunction = Callable[[Any, Tensor], Tensor]
"""Features (B, D) of a model and images (B, C, H, W)."""

EvalPrecision = Literal["auto", "fp32", "bf16"]
"""Precision of evaluation: that in which the strategy trains, or the one that is named."""


def evaluates_in_bf16(strategy: Any, precision: EvalPrecision) -> bool:
    """Whether the encoder of a strategy is evaluated under autocast to bf16: "auto" is as it is trained.

    Raises:
        UsageError: the precision is not known.
    """
    if precision not in get_args(EvalPrecision):
        raise unknown_name("precision of evaluation", precision, get_args(EvalPrecision))
    return (getattr(strategy, "precision", "fp32") if precision == "auto" else precision) == "bf16"


class FeatureExtractor:
    """Features and labels of datasets by the current encoder of a strategy.

    Args:
        parts: lists of datasets that are extracted again and again: images that datasets of a list share are encoded
            once.
        batch_size: images per batch; None: 128 on a CPU, whose caches then hold the maps of an encoder, else 512.
        extract_features: for models that have no method `extract_features`.
        precision: see `evaluates_in_bf16`; features are float32 in any case.

    Raises:
        UsageError: the precision is not known.
    """

    def __init__(
        self,
        parts: Iterable[Sequence[Any]],
        batch_size: int | None = None,
        extract_features: FeatureFunction | None = None,
        precision: EvalPrecision = "auto",
    ) -> None:
        evaluates_in_bf16(None, precision)
        self.batch_size = batch_size
        self.extract_features = extract_features
        self.precision = precision
        self._shared = {id(part): distinct_images_if_cheaper(part, batch_size or 512) for part in parts}
        self._uncompared = set(self._shared)  # whose datasets may differ in transforms and sizes of images

    def model(self, strategy: Any) -> FeatureModel:
        """The strategy's model, as one that has `extract_features`, in the precision of evaluation.

        Raises:
            UsageError: it has no such method, and no function was given.
        """
        bf16 = evaluates_in_bf16(strategy, self.precision)
        if self.extract_features is not None:
            return _WithFeatures(strategy.model, self.extract_features, bf16)
        if not hasattr(strategy.model, "extract_features"):
            raise UsageError(
                f"{type(strategy.model).__name__} has no method extract_features(x): give "
                "ProbePlugin(..., extract_features=lambda model, x: features)"
            )
        model: FeatureModel = strategy.model
        return _WithFeatures(strategy.model, _extract_features, bf16) if bf16 else model

    def __call__(
        self, strategy: Any, datasets: Sequence[Any], crops: torch.Generator | None = None
    ) -> list[LabeledFeatures]:
        """Features of each dataset; with a generator, of randomly cropped and flipped images.

        Raises:
            UsageError: as of `read_out`.
        """
        return self.read_out(strategy, datasets, [""], crops)[""]

    def read_out(
        self, strategy: Any, datasets: Sequence[Any], names: Sequence[str], crops: torch.Generator | None = None
    ) -> dict[str, list[LabeledFeatures]]:
        """Features of each dataset by several readouts, from one pass; "" is that of `extract_features`.

        Raises:
            UsageError: raw images are needed, and datasets of a part differ in the transforms these do not pass; or
                the model has no such readout.
        """
        # networks of strategies other than ours expect the transforms of the benchmark
        use_dataset_transforms = getattr(strategy, "use_dataset_transforms", True)
        if not use_dataset_transforms and id(datasets) in self._uncompared:
            check_same_transforms(datasets, "eval")
            if len({shape[1:] for shape in dataset_shapes(datasets)}) > 1:
                self._shared[id(datasets)] = None  # a batch has one size
            self._uncompared.discard(id(datasets))
        shared = None if use_dataset_transforms else self._shared.get(id(datasets))

        size = self.batch_size or (128 if strategy.device.type == "cpu" else 512)

        def batches(dataset: Any) -> Iterable[Sequence[Tensor]]:
            loader = RawDataLoader(
                [_for_evaluation(dataset)],
                [size],
                shuffle=False,
                drop_last=False,
                use_dataset_transforms=use_dataset_transforms,
                in_channels=channels_of(strategy.model),
                raw=hasattr(strategy, "use_dataset_transforms") or crops is not None,
                shared=crops is None,  # crops are drawn for whole batches
            )
            return loader if crops is None else _cropped(loader, crops, device)

        model, device = self.model(strategy), strategy.device
        if shared is None:
            each = [read_out(model, batches(dataset), device, names) for dataset in datasets]
            return {name: [found[name] for found in each] for name in names}
        found = read_out(model, batches(shared.dataset), device, names)
        labels = [torch.from_numpy(class_labels(dataset)) for dataset in datasets]
        return {
            name: [(found[name][0][rows], y) for rows, y in zip(shared.rows, labels, strict=True)] for name in names
        }


@dataclass(frozen=True)
class _WithFeatures:
    """A model with a function of it as `extract_features`, under autocast to bf16 or as it is."""

    model: nn.Module
    function: FeatureFunction
    bf16: bool

    def extract_features(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.function(self.model, x).float()

    def read_out(self, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """As `Method.read_out`."""
        reader: Any = self.model
        if self.function is not _extract_features or not hasattr(reader, "read_out"):
            raise UsageError(f"readouts ({', '.join(filter(None, names))}) are those of a Method: leave them out")
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            found: dict[str, Tensor] = reader.read_out(x, names)
        return {name: features.float() for name, features in found.items()}

    def eval(self) -> object:
        return self.model.eval()

    def modules(self) -> Iterator[nn.Module]:
        return self.model.modules()


def _extract_features(model: Any, x: Tensor) -> Tensor:
    features: Tensor = model.extract_features(x)
    return features


def _cropped(loader: RawDataLoader, generator: torch.Generator, device: torch.device) -> Iterator[Sequence[Tensor]]:
    for x, *rest in loader:
        yield PROBE_CROPS.rgb(x.to(device), generator, x.shape[-1]), *rest


def _for_evaluation(dataset: Any) -> Any:
    """The dataset with its transforms for evaluation, if it has any."""
    return dataset.eval() if hasattr(dataset, "eval") else dataset
