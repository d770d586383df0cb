"""`Case`: what is timed, a strategy on synthetic images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.recipe import Recipe
from avalanche_ssl.streams.benchmark import assemble
from avalanche_ssl.training.strategy import SelfSupervised


class Case(NamedTuple):
    """What is measured, and where."""

    strategy: str
    encoder: str
    batch: int
    size: int
    precision: str
    device: str
    clock: str = "wall"
    compiled: bool = False

    def recipe(self, settings: Mapping[str, Any] = {}) -> Recipe:
        """The strategy's recipe with this encoder and batch, and with views as large as the images."""
        recipe = load_recipe(self.strategy)
        sizes = {f"{name}.size": self.size for name in ("augment", "transform") if name in recipe.settings}
        return recipe.override({"encoder": self.encoder, "batch_size": self.batch} | sizes | dict(settings))

    def images(self, count: int) -> Any:
        """Random raw images (count, H, W, 3)."""
        return np.random.default_rng(0).integers(0, 256, (count, self.size, self.size, 3), np.uint8)

    def build(self, settings: Mapping[str, Any] = {}, **options: Any) -> SelfSupervised:
        """The strategy as `run.py` builds it."""
        machine = {"device": self.device, "precision": self.precision, "compiled": self.compile}
        return self.recipe(settings).build(**machine, **options)


def experience(images: Any) -> Any:
    """All images as one experience of a stream."""
    return assemble(images, [np.arange(len(images))], None, [], None).train_stream[0]
