"""Fine-tuning of a pre-trained encoder with a classifier on top: all of it frozen, some stages, or none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.data import RawDataLoader, concat_datasets
from avalanche_ssl.errors import UsageError, require_positive, require_range, unknown_name
from avalanche_ssl.logging import FineTuningEpochEvent
from avalanche_ssl.methods import Method, channels_of
from avalanche_ssl.models import Encoder, mlp
from avalanche_ssl.transforms import RandomView

FINE_TUNING_CROPS = RandomView(scale=(0.4, 1.0), jitter_prob=0.0, gray_prob=0.0)
"""Views of training images: random resized crops, flipped at random."""


HEADS = ("linear", "mlp")
"""Classifiers on the features."""


@dataclass(frozen=True)
class FineTuning:
    """Settings of fine-tuning.

    Args:
        protocol: "frozen" trains the head alone, "first-K" all but the first K stages, "full" everything.
        head: "linear" or "mlp", with a hidden layer as wide as the features.
        epochs: passes over the labeled data.
        batch_size: labeled images per step.
        lr: first learning rate of Adam; a cosine takes it to zero.
        seed: of head, crops and order.
        device: where to train.
        test_every: epochs from one test to the next; the last epoch is tested in any case, and alone if this is 0.

    Raises:
        UsageError: protocol or head are not known, or a number is out of its range.
    """

    protocol: str = "frozen"
    head: Literal["linear", "mlp"] = "linear"
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0
    device: str = "cpu"
    test_every: int = 1

    def __post_init__(self) -> None:
        require_positive(epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        require_range(0, test_every=self.test_every)
        stages_to_freeze(self.protocol)
        if self.head not in HEADS:
            raise unknown_name("head", self.head, HEADS)


def stages_to_freeze(protocol: str) -> int | None:
    """K of "first-K", 0 of "full"; None of "frozen": the whole encoder.

    Raises:
        UsageError: it is none of these.
    """
    kind, _, number = protocol.partition("-")
    if protocol in ("frozen", "full"):
        return None if protocol == "frozen" else 0
    if kind == "first" and number.isdecimal() and int(number) > 0:
        return int(number)
    raise UsageError(f"fine-tuning protocol '{protocol}': give frozen, full, or first-K such as first-2")


def frozen_parts(encoder: nn.Module, protocol: str) -> list[nn.Module]:
    """What a protocol freezes: an encoder, the first K stages of every `Encoder` in it, or nothing.

    Raises:
        UsageError: the protocol is not known, or an encoder has fewer than K stages.
    """
    n_stages = stages_to_freeze(protocol)
    return [encoder] if n_stages is None else _first_stages(encoder, n_stages)


class FineTunedClassifier(nn.Module):
    """The features (B, D) of a method with a linear or MLP head: logits (B, C) of raw images.

    Frozen parts stay in evaluation mode, so that their batch-norm statistics do not move either.

    Args:
        method: a pre-trained method, which is copied.
        n_classes: C.
        protocol, head: see `FineTuning`.
        width: D.

    Raises:
        UsageError: an encoder has fewer than K stages.
    """

    def __init__(
        self, method: Method, n_classes: int, protocol: str, head: Literal["linear", "mlp"], width: int
    ) -> None:
        super().__init__()
        self.method = copy.deepcopy(method)
        self.frozen = frozen_parts(self.method.encoder, protocol)
        for module in self.frozen:
            module.requires_grad_(False)
        self.head = mlp(width, width, n_classes) if head == "mlp" else nn.Linear(width, n_classes)

    def train(self, mode: bool = True) -> FineTunedClassifier:
        """Set the mode, as `nn.Module.train`, of all but the frozen parts."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of raw images (B, C, H, W)."""
        logits: Tensor = self.head(self.method.extract_features(x))
        return logits


def fine_tune(
    method: Method,
    train: Sequence[Any],
    test: Sequence[Any],
    n_classes: int,
    settings: FineTuning = FineTuning(),
    on_epoch: Callable[[FineTuningEpochEvent], None] | None = None,
) -> tuple[FineTunedClassifier, list[FineTuningEpochEvent]]:
    """Train a classifier on labeled datasets from a pre-trained method, by Adam with a cosine to zero.

    Training images are randomly cropped and flipped. Global random states stay as they are. The result is the accuracy
    after the last epoch; the test data decide nothing, whether or not they are also tested on between epochs.

    Args:
        method: pre-trained; a copy of it is trained.
        train, test: Avalanche datasets, every image with its label.
        n_classes: labels are below it.
        settings: of the training.
        on_epoch: called after each epoch.

    Returns:
        The classifier and its learning curve: mean loss, and accuracy on the test data, of the epochs that are tested.

    Raises:
        UsageError: an encoder has fewer stages than the protocol freezes.
    """
    device, seed = settings.device, settings.seed
    order, crops = torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed)
    channels = channels_of(method)
    loader = RawDataLoader([_joined(train)], [settings.batch_size], shuffle=True, generator=order, in_channels=channels)
    curve: list[FineTuningEpochEvent] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = _feature_dim(method, train[0])
        model = FineTunedClassifier(method, n_classes, settings.protocol, settings.head, width).to(device)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * len(loader))
        for epoch in range(1, settings.epochs + 1):
            model.train()
            losses = []
            for x, y, *_ in loader:
                view = FINE_TUNING_CROPS.rgb(x.to(device), crops, x.shape[-1])
                loss = F.cross_entropy(model(view), y.to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                losses.append(loss.detach())
            mean_loss = float(torch.stack(losses).mean())
            tested = epoch == settings.epochs or (settings.test_every and epoch % settings.test_every == 0)
            accuracy = _accuracy(model, test, device) if tested else None
            event = FineTuningEpochEvent(epoch=epoch, loss=mean_loss, accuracy=accuracy)
            curve.append(event)
            if on_epoch:
                on_epoch(event)
    return model, curve


def _feature_dim(method: Method, dataset: Any) -> int:
    """D, found with two images."""
    loader = RawDataLoader([dataset], [2], shuffle=False, drop_last=False, in_channels=channels_of(method))
    images = next(iter(loader))[0]
    with torch.no_grad():
        return copy.deepcopy(method).cpu().eval().extract_features(images).shape[1]


@torch.no_grad()
def _accuracy(model: FineTunedClassifier, test: Sequence[Any], device: str) -> float:
    """Share of the test images that a classifier names correctly."""
    model.eval()
    correct = count = 0
    channels = channels_of(model.method)
    for x, y, *_ in RawDataLoader([_joined(test)], [512], shuffle=False, drop_last=False, in_channels=channels):
        correct += int((model(x.to(device)).argmax(1).cpu() == y).sum())
        count += len(y)
    return correct / count


def _joined(datasets: Sequence[Any]) -> Any:
    return datasets[0] if len(datasets) == 1 else concat_datasets(datasets)


def _first_stages(encoder: nn.Module, k: int) -> list[nn.Module]:
    """The first k stages of every `Encoder` inside."""
    found: list[nn.Module] = []
    for module in encoder.modules() if k else ():
        if isinstance(module, Encoder):
            n = len(module.stages)
            if n == 1:
                raise UsageError(
                    f"first-{k}: the encoder is one network whose stages are not known: give frozen or full"
                )
            if k > n:
                raise UsageError(f"first-{k}: the encoder has {n} stages, give first-1 to that, or frozen")
            found += module.stages[:k]
    if k and not found:
        name = type(encoder).__name__
        raise UsageError(f"first-{k}: the stages of the encoder, a {name}, are not known: give frozen or full")
    return found
