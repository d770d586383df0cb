"""A probe trained along with the encoder: CaSSLe's online classifier, clean or with its batch-norm leak.

CaSSLe (Fini et al. 2022, arXiv:2112.04215) reports on CIFAR a linear layer that is trained with the encoder: each
step forwards, without a gradient, a labeled batch of *all* classes through the encoder in training mode. So the
running statistics of batch norm, which its tests use, are averaged over classes that the stream has not brought yet:
the leak. Here the leaky statistics are kept apart, so that the training of the encoder does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from avalanche_ssl.data import RawDataLoader, concat_datasets
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import channels_of
from avalanche_ssl.models import FeatureModel, LabeledFeatures, eval_mode
from avalanche_ssl.optim import LARS
from avalanche_ssl.probes.scopes import correct
from avalanche_ssl.transforms import RandomView


class LeakyStatistics:
    """The running statistics that batch norm would have if it had seen some additional batches.

    Stored as the gap between these and the model's own. A batch of statistics s turns running statistics r into
    (1 - m) r + m s, so the gap between two shrinks by 1 - m with each batch that both have seen.
    """

    def __init__(self) -> None:
        self.gaps: dict[str, tuple[Tensor, Tensor]] = {}
        """Gap of mean and of variance (C,), by name of the layer."""
        self.counts: dict[str, int] = {}
        """Batches that a layer itself had seen when its gap was measured, by name of the layer."""

    @contextmanager
    def applied(self, model: FeatureModel, update: bool) -> Iterator[None]:
        """Give the model the leaky statistics inside the context, and its own again afterwards.

        Args:
            model: the model whose batch norm these are; inside `eval_mode`, which restores the layers' mode.
            update: let batches that pass inside the context update the leaky statistics.

        Raises:
            UsageError: a batch-norm layer has no momentum, but cumulative averages.
        """
        norms = _norms(model)
        own = {name: [t.clone() for t in _statistics(norm)] for name, norm in norms.items()}
        for name, norm in norms.items():
            if name in self.gaps:
                shrunk = (1 - (norm.momentum or 0)) ** (int(own[name][2]) - self.counts[name])
                for statistic, gap in zip(_statistics(norm), self.gaps[name], strict=False):
                    statistic += shrunk * gap.to(statistic)
            norm.training = update
        try:
            yield
        finally:
            for name, norm in norms.items():
                mean, variance, _ = (now - before for now, before in zip(_statistics(norm), own[name], strict=True))
                self.gaps[name], self.counts[name] = (mean, variance), int(own[name][2])
                for statistic, before in zip(_statistics(norm), own[name], strict=True):
                    statistic.copy_(before)


class OnlineProbe:
    """A linear layer on detached features, trained by one step with each step of the encoder.

    As in CaSSLe: batches as large as the encoder's, of the labeled images of the whole stream, seen through the
    method's own random views; SGD with LARS (learning rate 0.1, trust 0.02, clipped), on the encoder's schedule. Its
    momentum of 0.9 is ours: the paper names none. Where labels are few it is trained on a single draw of them; the
    probes that are fitted afterwards average over three.

    Args:
        datasets: the training data of each experience.
        labels: (N,) of each; negative where the probe does not get the label.
        n_classes: C, labels are below.
        leak: train and test with `LeakyStatistics`; otherwise with the encoder's own, in evaluation mode.
        seed: seed of weights, batches and views.
    """

    def __init__(
        self, datasets: Sequence[Any], labels: Sequence[Tensor], n_classes: int, leak: bool, seed: int = 0
    ) -> None:
        known = [(y >= 0).nonzero().flatten().tolist() for y in labels]
        self.data = [d.subset(rows) for d, rows in zip(datasets, known, strict=True) if rows]
        self.n_classes, self.seed = n_classes, seed
        self.leaky_statistics = LeakyStatistics() if leak else None
        self.order = torch.Generator().manual_seed(seed)
        self._loaders: dict[int, RawDataLoader] = {}  # made once: walking all datasets takes longer than a step
        self.classifier: nn.Linear | None = None
        self.optimizer: LARS | None = None

    def step(self, strategy: Any, model: FeatureModel, use_dataset_transforms: bool) -> None:
        """Train on one batch; the model and all global random states stay as they are.

        To be called between the encoder's backward pass and its optimizer step, when its weights are still those of
        its forward pass.
        """
        channels = channels_of(strategy.model)
        images = getattr(strategy, "n_images", len(strategy.mb_x))
        x, y, *_ = next(iter(self._batches(images, use_dataset_transforms, channels)))
        views = torch.Generator(strategy.device).manual_seed(int(torch.randint(2**62, (), generator=self.order)))
        augment: RandomView = getattr(strategy.model, "augment", RandomView())
        with eval_mode(model), self._statistics(model, update=True):
            z = model.extract_features(augment.rgb(x.to(strategy.device), views, x.shape[-1])).float().cpu()
        classifier, optimizer = self._ready(z)
        group = strategy.optimizer.param_groups[0]
        optimizer.param_groups[0]["lr"] = 0.1 * group["lr"] / (group.get("initial_lr", group["lr"]) or 1.0)
        optimizer.zero_grad()
        F.cross_entropy(classifier(z), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def _batches(self, size: int, use_dataset_transforms: bool, in_channels: int | None) -> RawDataLoader:
        """Random batches of the labeled images."""
        if size not in self._loaders:
            data = [concat_datasets(self.data)]
            self._loaders[size] = RawDataLoader(
                data,
                [size],
                shuffle=True,
                generator=self.order,
                use_dataset_transforms=use_dataset_transforms,
                in_channels=in_channels,
            )
        return self._loaders[size]

    def accuracies(self, test: Sequence[LabeledFeatures]) -> NDArray[np.float64]:
        """Accuracies (T,) on each experience's test features (N, D)."""
        return np.array([float(right.double().mean()) for right in self.correct(test)])

    def correct(self, test: Sequence[LabeledFeatures]) -> list[Tensor]:
        """Which of each experience's labeled test images, by features (N, D), are classified correctly."""
        classifier, _ = self._ready(test[0][0])
        with torch.no_grad():
            return [correct(classifier, x, y) for x, y in test]

    @contextmanager
    def test_mode(self, model: FeatureModel) -> Iterator[bool]:
        """Evaluation mode with the statistics that this probe is tested on; yields whether they are not the model's."""
        with eval_mode(model), self._statistics(model, update=False):
            yield self.leaky_statistics is not None

    def _statistics(self, model: FeatureModel, update: bool) -> AbstractContextManager[None]:
        return self.leaky_statistics.applied(model, update) if self.leaky_statistics else nullcontext()

    def _ready(self, z: Tensor) -> tuple[nn.Linear, LARS]:
        """The layer and its optimizer for features (N, D), made when first needed; they stay on the CPU."""
        if self.classifier is None or self.optimizer is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                self.classifier = nn.Linear(z.shape[1], self.n_classes)
            self.optimizer = LARS(self.classifier.parameters(), lr=0.1, trust=0.02, clip=True)
        return self.classifier, self.optimizer

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        leak = self.leaky_statistics
        return {
            "order": self.order.get_state(),
            "classifier": self.classifier and self.classifier.state_dict(),
            "optimizer": self.optimizer and self.optimizer.state_dict(),
            "gaps": {name: list(gap) for name, gap in leak.gaps.items()} if leak else {},
            "counts": dict(leak.counts) if leak else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.order.set_state(state["order"])
        self.classifier = self.optimizer = None
        if state["classifier"]:
            classifier, optimizer = self._ready(state["classifier"]["weight"])
            classifier.load_state_dict(state["classifier"])
            optimizer.load_state_dict(state["optimizer"])
        if self.leaky_statistics:
            self.leaky_statistics.gaps = {name: (mean, variance) for name, (mean, variance) in state["gaps"].items()}
            self.leaky_statistics.counts = dict(state["counts"])


def _norms(model: FeatureModel) -> dict[str, _BatchNorm]:
    """The batch-norm layers with running statistics, by name."""
    norms = {
        str(i): m for i, m in enumerate(model.modules()) if isinstance(m, _BatchNorm) and m.running_mean is not None
    }
    if any(norm.momentum is None for norm in norms.values()):
        raise UsageError("cassle-online-leak needs batch norm with a momentum: this model's averages are cumulative")
    return norms


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None and variance is not None and count is not None
    return mean, variance, count
