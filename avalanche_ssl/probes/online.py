"""Which probe learns along with the encoder? CaSSLe's online classifier, clean or with its batch-norm leak.

CaSSLe (Fini et al. 2022, arXiv:2112.04215) reports on CIFAR a linear layer that is trained beside the encoder: each
step forwards, without a gradient, a labelled batch of *all* classes through the encoder in training mode. So the
running statistics of batch norm, which its tests use, are averaged over classes that the stream has not brought yet:
the leak. Here the leaky statistics are kept apart, so that the encoder itself learns as if nobody had looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.inference import FeatureModel, LabeledFeatures, eval_mode
from avalanche_ssl.optim.lars import LARS
from avalanche_ssl.probes.scopes import accuracy
from avalanche_ssl.transforms.augmentation import RandomView


class LeakyStatistics:
    """The running statistics that batch norm would have, had it seen some batches more than it has.

    Kept as the gap between these and the model's own. Statistics r become (1 - m) r + m s with a batch of statistics
    s, so the gap between two shrinks by 1 - m with each batch that both have seen.
    """

    def __init__(self) -> None:
        self.gaps: dict[str, tuple[Tensor, Tensor]] = {}
        """Of mean and variance (C,), by name of the layer."""
        self.counts: dict[str, int] = {}
        """Batches that a layer itself had seen when its gap was measured."""

    @contextmanager
    def __call__(self, model: FeatureModel, learning: bool) -> Iterator[None]:
        """Inside, the model has the leaky statistics; after, its own again.

        Args:
            model: whose layers of batch norm these are; inside `eval_mode`, which restores their mode.
            learning: batches that pass inside are seen by the leaky statistics.

        Raises:
            UsageError: a layer of batch norm has no momentum, but cumulative averages.
        """
        norms = _norms(model)
        own = {name: [t.clone() for t in _statistics(norm)] for name, norm in norms.items()}
        for name, norm in norms.items():
            if name in self.gaps:
                shrunk = (1 - (norm.momentum or 0)) ** (int(own[name][2]) - self.counts[name])
                for statistic, gap in zip(_statistics(norm), self.gaps[name], strict=False):
                    statistic += shrunk * gap.to(statistic)
            norm.training = learning
        try:
            yield
        finally:
            for name, norm in norms.items():
                mean, variance, _ = (now - before for now, before in zip(_statistics(norm), own[name], strict=True))
                self.gaps[name], self.counts[name] = (mean, variance), int(own[name][2])
                for statistic, before in zip(_statistics(norm), own[name], strict=True):
                    statistic.copy_(before)


class OnlineProbe:
    """A linear layer on detached features, one step beside each of the encoder's.

    As in CaSSLe: batches as large as the encoder's, of the labelled images of the whole stream, seen through the
    method's own random views; SGD with LARS (learning rate 0.1, trust 0.02, clipped), on the encoder's schedule. Its
    momentum of 0.9 is ours: the paper names none. Of few labels it learns from a single draw, where the probes that
    are fitted afterwards average over three.

    Args:
        datasets: the training data of each experience.
        labels: (N,) of each; negative where the probe may not know it.
        n_classes: C, labels are below.
        leak: train and test on the statistics of `LeakyStatistics`; else on the encoder's own, in evaluation mode.
        seed: of weights, batches and views.
    """

    def __init__(
        self, datasets: Sequence[Any], labels: Sequence[Tensor], n_classes: int, leak: bool, seed: int = 0
    ) -> None:
        known = [(y >= 0).nonzero().flatten().tolist() for y in labels]
        self.data = [d.subset(rows) for d, rows in zip(datasets, known, strict=True) if rows]
        self.n_classes, self.seed = n_classes, seed
        self.statistics = LeakyStatistics() if leak else None
        self.order = torch.Generator().manual_seed(seed)
        self._loaders: dict[int, RawDataLoader] = {}  # made once: to look through all datasets takes longer than a step
        self.head: nn.Linear | None = None
        self.optimizer: LARS | None = None

    def step(self, strategy: Any, model: FeatureModel, use_dataset_transforms: bool) -> None:
        """Learn from one batch; the model and all global random states stay as they are.

        Between the backward pass and the optimiser's step, when the weights are those that the encoder's batch met.
        """
        x, y, *_ = next(iter(self._batches(len(strategy.mb_x), use_dataset_transforms)))
        views = torch.Generator(strategy.device).manual_seed(int(torch.randint(2**62, (), generator=self.order)))
        augment: RandomView = getattr(strategy.model, "augment", RandomView())
        with eval_mode(model), self._seen(model, learning=True):
            z = model.extract_features(augment.rgb(x.to(strategy.device), views, x.shape[-1])).float().cpu()
        head, optimizer = self._ready(z)
        group = strategy.optimizer.param_groups[0]
        optimizer.param_groups[0]["lr"] = 0.1 * group["lr"] / (group.get("initial_lr", group["lr"]) or 1.0)
        optimizer.zero_grad()
        F.cross_entropy(head(z), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def _batches(self, size: int, use_dataset_transforms: bool) -> RawDataLoader:
        """Random batches of the labelled images."""
        from avalanche.benchmarks.utils import concat_datasets

        if size not in self._loaders:
            data = [concat_datasets(self.data)]
            self._loaders[size] = RawDataLoader(
                data, [size], shuffle=True, generator=self.order, use_dataset_transforms=use_dataset_transforms
            )
        return self._loaders[size]

    def accuracies(self, test: Sequence[LabeledFeatures]) -> NDArray[np.float64]:
        """Accuracies (T,) on each experience's test features (N, D)."""
        head, _ = self._ready(test[0][0])
        with torch.no_grad():
            return np.array([accuracy(head, x, y) for x, y in test])

    @contextmanager
    def seen(self, model: FeatureModel) -> Iterator[bool]:
        """Inside, the model represents as it does for this probe; whether that differs from how it does by itself."""
        with eval_mode(model), self._seen(model, learning=False):
            yield self.statistics is not None

    def _seen(self, model: FeatureModel, learning: bool) -> Any:
        return self.statistics(model, learning) if self.statistics else nullcontext()

    def _ready(self, z: Tensor) -> tuple[nn.Linear, LARS]:
        """The layer and its optimiser for features (N, D), made when first needed; they stay on the CPU."""
        if self.head is None or self.optimizer is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                self.head = nn.Linear(z.shape[1], self.n_classes)
            self.optimizer = LARS(self.head.parameters(), lr=0.1, trust=0.02, clip=True)
        return self.head, self.optimizer

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        leak = self.statistics
        return {
            "order": self.order.get_state(),
            "head": self.head and self.head.state_dict(),
            "optimizer": self.optimizer and self.optimizer.state_dict(),
            "gaps": {name: list(gap) for name, gap in leak.gaps.items()} if leak else {},
            "counts": dict(leak.counts) if leak else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.order.set_state(state["order"])
        self.head = self.optimizer = None
        if state["head"]:
            head, optimizer = self._ready(state["head"]["weight"])
            head.load_state_dict(state["head"])
            optimizer.load_state_dict(state["optimizer"])
        if self.statistics:
            self.statistics.gaps = {name: (mean, variance) for name, (mean, variance) in state["gaps"].items()}
            self.statistics.counts = dict(state["counts"])


def _norms(model: FeatureModel) -> dict[str, _BatchNorm]:
    """The layers of batch norm that keep running statistics."""
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
