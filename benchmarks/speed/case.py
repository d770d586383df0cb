"""`Case`: a strategy on synthetic images, as it is timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.recipes import Recipe, load_recipe
from avalanche_ssl.streams import benchmark_from_parts
from avalanche_ssl.training import SelfSupervised


class Case(NamedTuple):
    """A strategy with encoder, batch size and image size, and the machine and clock it is timed by."""

    strategy: str
    encoder: str
    batch: int
    size: int
    precision: str
    device: str
    clock: str = "wall"
    compile: bool = False

    def recipe(self, settings: Mapping[str, Any] = {}) -> Recipe:
        """The strategy's recipe with this encoder and batch size, and with views as large as the images."""
        recipe = load_recipe(self.strategy)
        sizes = {f"{name}.size": self.size for name in ("augment", "transform") if name in recipe.settings}
        return recipe.override({"encoder": self.encoder, "batch_size": self.batch} | sizes | dict(settings))

    def images(self, count: int) -> Any:
        """Random raw images (count, H, W, 3) uint8."""
        return np.random.default_rng(0).integers(0, 256, (count, self.size, self.size, 3), np.uint8)

    def experience(self, count: int) -> Any:
        """Random images in memory as one experience of a stream."""
        return one_experience(ArrayDataset(self.images(count), [0] * count))

    def build(self, settings: Mapping[str, Any] = {}, **options: Any) -> SelfSupervised:
        """The strategy as the command `run` builds it."""
        machine: dict[str, Any] = {"device": self.device, "precision": self.precision, "compile": self.compile}
        return self.recipe(settings).build(**machine, **options)


def one_experience(dataset: Any) -> Any:
    """All images of a dataset as one experience of a stream."""
    return benchmark_from_parts(dataset, [np.arange(len(dataset))], None, [], None).train_stream[0]
