"""What would a user pick instead, and how fast is that? lightly's parts, or a plain Avalanche strategy.

Both as people use them: PIL transforms image by image in worker processes, fp32, maps laid out as (B, C, H, W).
Encoder, batch, image size, optimiser and what a view looks like are the same as ours.
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
from speed.case import Case, experience
from speed.timing import now
from speed.training_step import Laps
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models.encoder import Encoder
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.optim.optimizers import OPTIMIZERS
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.recipe import Recipe

VIEW = {"scale": [0.2, 1.0], "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "jitter": 0.8}

VIEW |= {"gray": 0.2, "blur": 0.0}

COMMON = {f"augment.{name}": value for name, value in VIEW.items()}

SETTINGS: dict[str, dict[str, Any]] = {
    "moco": COMMON | {"head_norm": False, "queue_size": 4096, "momentum": 0.99, "temperature": 0.1},
    "simclr": COMMON | {"temperature": 0.5},
    "byol": COMMON | {"head_norm": False, "hidden_dim": 512, "solarize": 0.2, "momentum": 0.99},
    "swav": COMMON | {"prototypes": 128, "freeze": 0},
}
"""Of our side, so that it computes what lightly's parts do; SimCLR's views at 32x32, without blur."""

AHEAD = 2
"""Batches that a worker process makes ahead, torch's default."""


def build(peer: str, case: Case, steps: int, workers: int) -> Callable[[], float]:
    """What measures the seconds of a step of the peer, which `check` has found to exist."""
    kind = {"lightly": Lightly, "avalanche": PlainAvalanche}[peer]
    made: Callable[[], float] = kind(case, steps, workers)
    return made


def check(peer: str, cases: Sequence[Case]) -> None:
    """Before anything is measured.

    Raises:
        UsageError: there is no such peer, it is not installed, or it has no such strategy.
    """
    if peer not in ("lightly", "avalanche"):
        raise unknown_name("peer", peer, ("lightly", "avalanche"))
    for case in cases:
        known = SETTINGS if peer == "lightly" else _pairs()
        if case.strategy not in known:
            raise unknown_name(f"strategy for --peer {peer}", case.strategy, known)
    if peer == "lightly":
        try:
            importlib.import_module("lightly")
        except ImportError:
            raise UsageError('--peer lightly needs lightly, which is not installed: pip install -e ".[peer]"') from None


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Lightly:
    """MoCo, SimCLR, BYOL or SwAV from lightly's networks, losses and transforms, in a plain loop."""

    def __init__(self, case: Case, steps: int, workers: int) -> None:
        from speed.lightly_methods import MODELS

        network, transform = MODELS[case.strategy]
        encoder = PlainEncoder.factory(case)()
        self.case, self.steps, self.uncounted, self.all = case, steps, _uncounted(workers), _batches(steps, workers)
        self.model = network(encoder, encoder.out_features).to(case.device)
        self.optimizer = _optimizer(self.model, case.recipe())
        images = Pictures(case.images(case.batch * self.all), transform(case.size))
        pinned = case.device == "cuda"
        self.loader = DataLoader(
            images, case.batch, shuffle=True, drop_last=True, num_workers=workers, pin_memory=pinned
        )

    def __call__(self) -> float:
        """Seconds of a step."""
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
        if self.case.clock == "processor":  # of the worker processes, too, which are known when they have ended
            return (clock() - total) / self.all
        return (end - start) / self.steps


class PlainAvalanche:
    """Avalanche's `Naive` with a method of two views for a model, and a dataset whose transform makes the views."""

    def __init__(self, case: Case, steps: int, workers: int) -> None:
        recipe = case.recipe(SETTINGS.get(case.strategy, {}))
        method = recipe.method(PlainEncoder.factory(case))
        self.steps, self.workers, self.all = steps, workers, _batches(steps, workers)
        self.case, self.laps = case, Laps(case, _uncounted(workers), steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing is logged
            evaluator = EvaluationPlugin()
        self.strategy = Naive(
            model=_Stacked(method),
            optimizer=_optimizer(method, recipe),
            criterion=lambda outputs, _: method.loss(outputs),
            train_mb_size=case.batch,
            device=case.device,
            evaluator=evaluator,
            plugins=[_Remember(), self.laps],
        )
        self.experience = experience(Pictures(case.images(case.batch * self.all), TwoViews(case.size)))

    def __call__(self) -> float:
        """Seconds of a step."""
        total = now(self.case.device, self.case.clock)
        self.strategy.train(self.experience, eval_streams=[], num_workers=self.workers)
        if self.case.clock == "processor":
            return (now(self.case.device, self.case.clock) - total) / self.all
        return self.laps.seconds / self.steps


class Pictures(torch.utils.data.Dataset[Any]):
    """Images in memory that come as PIL images through a transform, like torchvision's CIFAR."""

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
        """Both."""
        return torch.stack([self.view(image), self.view(image)])


def pil_view(size: int) -> Any:
    """One view of a PIL image by torchvision's transforms, as `VIEW` says."""
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
    """One of our encoders without its memory layout."""

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out_features) of images (B, C, H, W)."""
        features: Tensor = self.stages(x).mean((2, 3))
        return features

    @classmethod
    def factory(cls, case: Case) -> Callable[..., Encoder]:
        """Builds the encoder of a case, like those in `ENCODERS`."""

        def build(*given: Any, **options: Any) -> Encoder:
            encoder = ENCODERS[case.encoder](*given, **options)
            return cls(encoder.stages, encoder.out_features, encoder.in_channels)

        return build


class _Stacked(nn.Module):
    """Lets Avalanche call a method's networks on views stacked as (B, 2, C, H, W)."""

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Any:
        return self.method.embed({"first": x[:, 0], "second": x[:, 1]})


class _Remember(SupervisedPlugin):  # type: ignore[misc]
    """Lets the method write to its memory after each step."""

    def after_update(self, strategy: Any, **kwargs: Any) -> None:
        strategy.model.method.update({name: z.detach() for name, z in strategy.mb_output.items()})


def _pairs() -> list[str]:
    """Strategies whose views are a first and a second picture."""
    x = torch.zeros(2, 3, 32, 32)
    methods = {name: load_recipe(name).build_method() for name in recipe_names()}
    return [name for name, method in methods.items() if {*method.views(x)} == {"first", "second"}]


def _uncounted(workers: int) -> int:
    """Steps until the batches that were ready before the first one are used up."""
    return 1 + AHEAD * workers


def _batches(steps: int, workers: int) -> int:
    """Of a turn: while the last counted step runs, the worker processes still make the batches after it."""
    return _uncounted(workers) + steps + AHEAD * workers


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    learnt = [p for p in model.parameters() if p.requires_grad]
    return OPTIMIZERS[recipe.optimizer](learnt, lr=recipe.lr, weight_decay=recipe.weight_decay)
