"""`SGDClassifier`: a linear layer or an MLP, trained by gradient descent on frozen features."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.errors import require_positive, unknown_name
from avalanche_ssl.models import LabeledFeatures, mlp
from avalanche_ssl.probes.class_statistics import labeled_rows
from avalanche_ssl.probes.classifier import AugmentedFeatures, Fit, scaling
from avalanche_ssl.probes.label_subsets import hold_out

SCALINGS = ("standard", "unit", "raw")
SCHEDULES = ("cosine", "steps", "plateau")


class ScaledNetwork(nn.Module):
    """Scores (B, C) of a network on scaled features; a class that is not `present` (C,) scores -inf."""

    mean: Tensor
    std: Tensor
    present: Tensor

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor, present: Tensor, unit: bool) -> None:
        super().__init__()
        self.net, self.unit = net, unit
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("present", present)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, D) -> scores (B, C)."""
        x = F.normalize(features, dim=1) if self.unit else (features - self.mean) / self.std
        scores: Tensor = self.net(x)
        return scores.masked_fill(~self.present, -torch.inf)


@dataclass(frozen=True)
class SGDClassifier:
    """Softmax regression by mini-batch gradient descent, on fixed features or on newly augmented ones each epoch.

    Args:
        hidden_dim: width of the hidden layer of an MLP; 0 is a linear layer.
        features: "standard" (zero mean, unit variance), "unit" (length 1) or "raw".
        optimizer: "sgd" (momentum 0.9) or "adam".
        lr: initial learning rate.
        schedule: "cosine" to zero; "steps", a tenth after 60 % and again after 80 % of the epochs; or "plateau", a
            third where the accuracy on a held-out tenth has not risen for 5 epochs, until it is below 1e-4; the best
            weights are kept.
        epochs: largest number of epochs.
        batch_size: samples per step.
        weight_decay: applied to all weights.
    """

    hidden_dim: int = 0
    features: Literal["standard", "unit", "raw"] = "standard"
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    schedule: Literal["cosine", "steps", "plateau"] = "cosine"
    epochs: int = 30
    batch_size: int = 256
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_positive(lr=self.lr, epochs=self.epochs, batch_size=self.batch_size)
        for kind, value, known in (
            ("features", self.features, SCALINGS),
            ("schedule", self.schedule, SCHEDULES),
            ("optimizer", self.optimizer, ("sgd", "adam")),
        ):
            if value not in known:
                raise unknown_name(kind, value, known)

    def prepare(
        self,
        train: Sequence[LabeledFeatures],
        n_classes: int,
        seed: int = 0,
        augmented: AugmentedFeatures | None = None,
    ) -> Fit:
        """Select the labeled samples of each experience, and of `augmented` the features of the same samples."""
        known = [labeled_rows(x, y, n_classes) for x, y in train]

        def fit(members: Sequence[int]) -> nn.Module | None:
            x, y = (torch.cat(part) for part in zip(*(known[j] for j in members), strict=True))
            if not len(y):
                return None

            def epoch_features(epoch: int) -> Tensor:
                if augmented is None:
                    return x
                features = augmented(epoch)
                return torch.cat([features[j][train[j][1] >= 0] for j in members])

            return self.fit(x, y, n_classes, seed, epoch_features)

        return fit

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        n_classes: int,
        seed: int = 0,
        epoch_features: Callable[[int], Tensor] | None = None,
    ) -> ScaledNetwork:
        """The trained network of features (N, D) with labels (N,), all of them known.

        `epoch_features(e)` (N, D) replaces x in epoch e.
        """
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            network = self._network(x, y, n_classes)
            self._train(network, x, y, seed, epoch_features or (lambda _: x))
        return network.eval().requires_grad_(False)

    def _network(self, x: Tensor, y: Tensor, n_classes: int) -> ScaledNetwork:
        width = x.shape[1]
        net = mlp(width, self.hidden_dim, n_classes) if self.hidden_dim else nn.Linear(width, n_classes)
        mean, std = scaling(x) if self.features == "standard" else (x.new_zeros(width), x.new_ones(width))
        present = y.bincount(minlength=n_classes) > 0
        return ScaledNetwork(net, mean, std, present, self.features == "unit")

    def _train(
        self, network: ScaledNetwork, x: Tensor, y: Tensor, seed: int, epoch_features: Callable[[int], Tensor]
    ) -> None:
        held = hold_out(y, 0.1, seed) if self.schedule == "plateau" else torch.zeros(len(y), dtype=torch.bool)
        rows = (~held).nonzero().flatten()
        if len(rows) == 1:  # of the only class there is: batch norm could not handle it, and nothing depends on weights
            return
        optimizer = self._optimizer(network)
        rate = _LearningRate(optimizer, self.schedule, self.epochs)
        for epoch in range(self.epochs):
            data = epoch_features(epoch)
            for batch in _batches(rows, self.batch_size):
                optimizer.zero_grad()
                loss = F.cross_entropy(network(data[batch]), y[batch])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if rate.end_epoch(network, x[held], y[held]):
                break
        rate.restore_best(network)

    def _optimizer(self, network: ScaledNetwork) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(network.parameters(), self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(network.parameters(), self.lr, momentum=0.9, weight_decay=self.weight_decay)


class _LearningRate:
    """The learning rate over the epochs and, for "plateau", the best weights so far."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: str, epochs: int) -> None:
        self.optimizer, self.plateau = optimizer, schedule == "plateau"
        self.best, self.waited = -1.0, 0
        self.weights: dict[str, Tensor] | None = None
        self.scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
        if schedule == "cosine":
            self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        elif schedule == "steps":
            milestones = [int(0.6 * epochs), int(0.8 * epochs)]
            self.scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)

    def end_epoch(self, network: ScaledNetwork, x: Tensor, y: Tensor) -> bool:
        """Set the rate of the next epoch, from held-out samples where it needs them; True ends the training."""
        if self.scheduler:
            self.scheduler.step()
        if not self.plateau or not len(y):
            return False
        score = _score(network, x, y)
        if score > self.best:
            self.best, self.weights, self.waited = score, copy.deepcopy(network.state_dict()), 0
            return False
        self.waited += 1
        if self.waited > 5:
            self.waited = 0
            for group in self.optimizer.param_groups:
                group["lr"] /= 3
        return bool(self.optimizer.param_groups[0]["lr"] < 1e-4)

    def restore_best(self, network: ScaledNetwork) -> None:
        """Load the best weights, if they were kept."""
        if self.weights is not None:
            network.load_state_dict(self.weights)


@torch.no_grad()
def _score(network: ScaledNetwork, x: Tensor, y: Tensor) -> float:
    network.eval()
    correct = float((network(x).argmax(1) == y).double().mean())
    network.train()
    return correct


def _batches(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Batches in random order; a last one of a single sample, which batch norm cannot handle, is left out."""
    for batch in torch.split(rows[torch.randperm(len(rows))], size):
        if len(batch) > 1:
            yield batch
