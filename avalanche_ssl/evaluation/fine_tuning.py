"""How well does a pre-trained encoder start a classifier? Fine-tuning with all of it frozen, some stages, or none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.methods.base import Method
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.transforms.augmentation import RandomView

CROPS = RandomView(scale=(0.4, 1.0), jitter_prob=0.0, gray_prob=0.0)


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
    raise UsageError(f"downstream '{protocol}': give frozen, full, or first-K such as first-2")


class Downstream(nn.Module):
    """A method's features (B, D) into a linear or MLP head: logits (B, C) of raw images.

    Frozen parts stay in evaluation mode, so that their batch-norm statistics do not move either.

    Args:
        method: a pre-trained method; the original is left alone.
        n_classes: C.
        protocol: "frozen", "first-K" or "full", see `stages_to_freeze`.
        head: "linear" or "mlp", with a hidden layer as wide as the features.

    Raises:
        UsageError: an encoder has no K stages.
    """

    def __init__(
        self, method: Method, n_classes: int, protocol: str, head: Literal["linear", "mlp"], width: int
    ) -> None:
        super().__init__()
        self.method = copy.deepcopy(method)
        frozen = stages_to_freeze(protocol)
        self.fixed = [self.method.encoder] if frozen is None else _first_stages(self.method.encoder, frozen)
        for module in self.fixed:
            module.requires_grad_(False)
        self.head = mlp(width, width, n_classes) if head == "mlp" else nn.Linear(width, n_classes)

    def train(self, mode: bool = True) -> Downstream:
        """As `nn.Module.train`, but for the frozen parts."""
        super().train(mode)
        for module in self.fixed:
            module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of raw images (B, C, H, W)."""
        logits: Tensor = self.head(self.method.extract_features(x))
        return logits


@dataclass(frozen=True)
class Epoch:
    """A point of the learning curve."""

    epoch: int
    loss: float
    accuracy: float


def fine_tune(
    method: Method,
    train: Sequence[Any],
    test: Sequence[Any],
    n_classes: int,
    protocol: str,
    *,
    head: Literal["linear", "mlp"] = "linear",
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    device: str = "cpu",
    note: Callable[[Epoch], None] | None = None,
) -> tuple[Downstream, list[Epoch]]:
    """Train a classifier on labelled datasets from a pre-trained method, by Adam with a cosine to zero.

    Training images are randomly cropped and mirrored. Global random states are left alone.

    Args:
        method: pre-trained; a copy of it is trained.
        train, test: Avalanche datasets.
        n_classes: labels are below.
        protocol: "frozen" trains the head alone, "first-K" all but the first K stages, "full" everything.
        head: "linear" or "mlp".
        epochs, batch_size, lr: of the training.
        seed: of head, crops and order.
        device: where to train.
        note: called after each epoch.

    Returns:
        The classifier and its learning curve: mean loss, and accuracy on the test data.

    Raises:
        UsageError: the protocol is not known, an encoder has fewer stages, or a number is not above 0.
    """
    require_positive(epochs=epochs, batch_size=batch_size, lr=lr)
    stages_to_freeze(protocol)
    order, crops = torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed)
    loader = RawDataLoader([_joined(train)], [batch_size], shuffle=True, generator=order)
    curve: list[Epoch] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sample = next(iter(RawDataLoader([train[0]], [2], shuffle=False, drop_last=False)))[0]
        with torch.no_grad():
            width = copy.deepcopy(method).cpu().eval().extract_features(sample).shape[1]
        model = Downstream(method, n_classes, protocol, head, width).to(device)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
        for epoch in range(1, epochs + 1):
            model.train()
            losses = []
            for x, y, *_ in loader:
                view = CROPS.rgb(x.to(device), crops, x.shape[-1])
                loss = F.cross_entropy(model(view), y.to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                losses.append(loss.detach())
            curve.append(Epoch(epoch, float(torch.stack(losses).mean()), accuracy(model, test, device)))
            if note:
                note(curve[-1])
    return model, curve


@torch.no_grad()
def accuracy(model: Downstream, test: Sequence[Any], device: str = "cpu") -> float:
    """Share of the test images that a classifier names correctly."""
    model.eval()
    correct = count = 0
    for x, y, *_ in RawDataLoader([_joined(test)], [512], shuffle=False, drop_last=False):
        correct += int((model(x.to(device)).argmax(1).cpu() == y).sum())
        count += len(y)
    return correct / count


def _joined(datasets: Sequence[Any]) -> Any:
    from avalanche.benchmarks.utils import concat_datasets

    return datasets[0] if len(datasets) == 1 else concat_datasets(list(datasets))


def _first_stages(encoder: nn.Module, k: int) -> list[nn.Module]:
    """The first k stages of every `Encoder` inside."""
    found: list[nn.Module] = []
    for module in encoder.modules() if k else ():
        if isinstance(module, Encoder):
            if k > len(module.stages):
                raise UsageError(
                    f"first-{k}: the encoder has {len(module.stages)} stages, give first-1 to that, or frozen"
                )
            found += module.stages[:k]
    return found
