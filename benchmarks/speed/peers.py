"""Training steps of the peers that users choose from: lightly's parts, or a plain Avalanche strategy.

Both as people use them: PIL transforms image by image in worker processes, fp32, maps laid out as (B, C, H, W).
Encoder, batch, image size, optimizer and the settings of the views are the same as ours.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive
from PIL import Image
from speed.case import Case, one_experience
from speed.timing import now
from speed.training_step import StepTimer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models import ENCODERS, Encoder
from avalanche_ssl.optim import OPTIMIZERS
from avalanche_ssl.recipes import Recipe, load_recipe, recipe_names

COMMON = {
    "augment.scale": [0.2, 1.0],
    "augment.brightness": 0.4,
    "augment.contrast": 0.4,
    "augment.saturation": 0.4,
    "augment.hue": 0.1,
    "augment.jitter_prob": 0.8,
    "augment.gray_prob": 0.2,
    "augment.blur_prob": 0.0,
}
"""SimCLR's views at 32x32, without blur."""

SETTINGS: dict[str, dict[str, Any]] = {
    "moco": COMMON | {"head_norm": False, "queue_size": 4096, "momentum": 0.99, "temperature": 0.1},
    "simclr": COMMON | {"temperature": 0.5},
    "byol": COMMON | {"head_norm": False, "hidden_dim": 512, "solarize_prob": 0.2, "momentum": 0.99},
    "swav": COMMON | {"prototypes": 128, "freeze": 0},
}
"""Settings of our recipes with which they compute the same as lightly's parts."""

PREFETCH = 2
"""Batches that a worker process prepares in advance, torch's default."""


def build_peer(peer: str, case: Case, steps: int, num_workers: int) -> Callable[[], float]:
    """A function that measures the seconds per step of a peer that `check_peer` has accepted."""
    kinds: dict[str, Callable[[Case, int, int], Callable[[], float]]] = {
        "lightly": Lightly,
        "avalanche": PlainAvalanche,
    }
    return kinds[peer](case, steps, num_workers)


def check_peer(peer: str, cases: Sequence[Case]) -> None:
    """Refuse a peer that cannot be measured, before anything is.

    Raises:
        UsageError: there is no such peer, it is not installed, or it has no such strategy.
    """
    if peer not in ("lightly", "avalanche"):
        raise unknown_name("peer", peer, ("lightly", "avalanche"))
    for case in cases:
        known = SETTINGS if peer == "lightly" else _two_view_strategies()
        if case.strategy not in known:
            raise unknown_name(f"strategy for --peer {peer}", case.strategy, known)
    if peer == "lightly":
        try:
            importlib.import_module("lightly")
        except ImportError:
            raise UsageError('--peer lightly needs lightly, which is not installed: pip install -e ".[peer]"') from None


def available_cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Lightly:
    """MoCo, SimCLR, BYOL or SwAV from lightly's networks, losses and transforms, in a plain loop."""

    def __init__(self, case: Case, steps: int, num_workers: int) -> None:
        from speed.lightly_methods import MODELS

        network, transform = MODELS[case.strategy]
        encoder = PlainEncoder.factory(case)()
        self.case, self.steps = case, steps
        self.uncounted, self.batches = _uncounted(num_workers), _batches(steps, num_workers)
        self.model = network(encoder, encoder.out_features).to(case.device)
        self.optimizer = _optimizer(self.model, case.recipe())
        self.loader = DataLoader(
            PILImages(case.images(case.batch * self.batches), transform(case.size)),
            case.batch,
            shuffle=True,
            drop_last=True,
            num_workers=num_workers,
            pin_memory=case.device == "cuda",
        )

    def __call__(self) -> float:
        """Seconds per step."""
        clock, start, end = partial(now, self.case.device, self.case.clock), 0.0, 0.0
        total = clock()
        for step, (views, _) in enumerate(self.loader, start=1):
            loss = self.model([view.to(self.case.device, non_blocking=True) for view in views])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if step == self.uncounted:
                start = clock()
            if step == self.uncounted + self.steps:
                end = clock()
        if self.case.clock == "processor":  # includes the worker processes, whose time is known once they have ended
            return (clock() - total) / self.batches
        return (end - start) / self.steps


class PlainAvalanche:
    """Avalanche's `Naive` with a method of two views as its model, and a dataset whose transform makes the views."""

    def __init__(self, case: Case, steps: int, num_workers: int) -> None:
        recipe = case.recipe(SETTINGS.get(case.strategy, {}))
        method = recipe.method(PlainEncoder.factory(case))
        self.case, self.steps, self.num_workers = case, steps, num_workers
        self.batches = _batches(steps, num_workers)
        self.timer = StepTimer(case, _uncounted(num_workers), steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Avalanche warns that nothing is logged
            evaluator = EvaluationPlugin()
        self.strategy = Naive(
            model=_Stacked(method),
            optimizer=_optimizer(method, recipe),
            criterion=lambda outputs, _: method.loss(outputs),
            train_mb_size=case.batch,
            device=case.device,
            evaluator=evaluator,
            plugins=[_UpdateMemory(), self.timer],
        )
        self.experience = one_experience(PILImages(case.images(case.batch * self.batches), TwoViews(case.size)))

    def __call__(self) -> float:
        """Seconds per step."""
        total = now(self.case.device, self.case.clock)
        self.strategy.train(self.experience, eval_streams=[], num_workers=self.num_workers)
        if self.case.clock == "processor":
            return (now(self.case.device, self.case.clock) - total) / self.batches
        return self.timer.seconds / self.steps


class PILImages(torch.utils.data.Dataset[Any]):
    """Images in memory, given as PIL images to a transform, like torchvision's CIFAR."""

    def __init__(self, data: Any, transform: Callable[[Any], Any]) -> None:
        self.data, self.transform = data, transform
        self.targets = [0] * len(data)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.data[index])), 0


class TwoViews:
    """Two views of a PIL image by torchvision's transforms, stacked: (2, 3, H, W)."""

    def __init__(self, size: int) -> None:
        self.view = pil_view(size)

    def __call__(self, image: Any) -> Tensor:
        """Both views."""
        return torch.stack([self.view(image), self.view(image)])


def pil_view(size: int) -> Any:
    """One view of a PIL image by torchvision's transforms, with the settings of `COMMON`."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(0.2),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )


class PlainEncoder(Encoder):
    """One of our encoders without the channels-last memory layout."""

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out_features) of images (B, C, H, W)."""
        features: Tensor = self.stages(x).mean((2, 3))
        return features

    @classmethod
    def factory(cls, case: Case) -> Callable[..., Encoder]:
        """A function that builds the encoder of a case, like those in `ENCODERS`."""

        def build(*args: Any, **kwargs: Any) -> Encoder:
            encoder = ENCODERS[case.encoder](*args, **kwargs)
            return cls(encoder.stages, encoder.out_features, encoder.in_channels)

        return build


class _Stacked(nn.Module):
    """Lets Avalanche call a method's networks on two views, stacked as (B, 2, C, H, W)."""

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Any:
        return self.method.embed({"first": x[:, 0], "second": x[:, 1]})


class _UpdateMemory(SupervisedPlugin):  # type: ignore[misc]
    """Lets the method update its memory after each step."""

    def after_update(self, strategy: Any, **kwargs: Any) -> None:
        strategy.model.method.update({name: z.detach() for name, z in strategy.mb_output.items()})


def _two_view_strategies() -> list[str]:
    """Strategies whose views are a first and a second one of the full image."""
    x = torch.zeros(2, 3, 32, 32)
    methods = {name: load_recipe(name).build_method() for name in recipe_names()}
    return [name for name, method in methods.items() if {*method.views(x)} == {"first", "second"}]


def _uncounted(num_workers: int) -> int:
    """Number of steps until the batches that were ready before the first one are used up."""
    return 1 + PREFETCH * num_workers


def _batches(steps: int, num_workers: int) -> int:
    """Batches per measurement: workers still prepare later ones during the last counted step, as in training."""
    return _uncounted(num_workers) + steps + PREFETCH * num_workers


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    return OPTIMIZERS[recipe.optimizer](trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
