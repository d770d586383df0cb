"""Small streams, strategies and loggers for tests of probes."""

from functools import partial
from typing import Any

import numpy as np
from avalanche.logging import BaseLogger
from torch import Tensor

from avalanche_ssl import Recipe
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.methods import MoCo, SimCLR
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def few_images() -> Any:
    """A benchmark of two experiences of 20 images in two classes each; the sizes of the test data differ."""
    rng = np.random.default_rng(0)
    targets, tested = np.repeat(np.arange(4), 10), np.repeat(np.arange(4), [2, 3, 4, 5])

    def images(labels: Any) -> ArrayDataset:
        noise = rng.integers(0, 60, (len(labels), 16, 16, 3))
        return ArrayDataset((noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels)

    parts = [np.flatnonzero(targets // 2 == j) for j in range(2)], [np.flatnonzero(tested // 2 == j) for j in range(2)]
    return benchmark_from_parts(images(targets), parts[0], images(tested), parts[1], list("abcd"))


def moco(*plugins: Any, batch_size: int = 10, epochs: int = 1, method: Any = MoCo, **settings: Any) -> Any:
    """A strategy with a small MoCo."""
    recipe = Recipe(partial(method, output_dim=8, queue_size=16), batch_size=batch_size, epochs=epochs)
    return recipe.build(plugins=list(plugins), **settings)


class Corner(SimCLR):
    """A method whose features are the mean color of a part of the image."""

    part: tuple[slice, slice]

    def extract_features(self, x: Tensor) -> Tensor:
        return x[(..., *self.part)].float().mean((2, 3)) / 255


def corner(*plugins: Any, part: slice = slice(5, 6), **settings: Any) -> Any:
    """A strategy whose encoder sees a part of the image only, the same rows and columns."""
    strategy = Recipe(Corner, encoder="smallconv").override(settings).build(plugins=list(plugins))
    strategy.model.part = (part, part)
    return strategy


class Listener(BaseLogger):
    """A logger in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[int, str], float] = {}

    def log_single_metric(self, name: str, value: float, x_plot: int) -> None:
        self.values[x_plot, name] = value
