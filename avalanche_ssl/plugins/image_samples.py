"""Fixed samples of the images of some experiences, to be measured on again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from avalanche_ssl.data import concat_datasets
from avalanche_ssl.models import LabeledFeatures

LISTED = 10_000_000
"""Images of which a list in random order is made, to take its first ones."""


class ImageSample(NamedTuple):
    """Some of the pooled images of several experiences."""

    experiences: list[int]
    """By their position in the benchmark."""
    rows: list[int]
    """Which of their images, counted through all of them."""

    @classmethod
    def draw(cls, datasets: Sequence[Any], experiences: Sequence[int], images: int, seed: int) -> ImageSample:
        """So many images of these experiences in random order; in their own order if these are all.

        Args:
            datasets: of all experiences of the benchmark.
            experiences: those that are drawn from.
            images: at most so many.
            seed: of the order.
        """
        total = sum(len(datasets[j]) for j in experiences)
        rng = np.random.default_rng(seed)
        few = images < total and total > LISTED
        drawn = rng.choice(total, images, replace=False) if few else rng.permutation(total)[:images]
        rows = drawn.tolist()
        return cls(list(experiences), sorted(rows) if len(rows) == total else rows)

    def first(self, images: int) -> ImageSample:
        """The first of them."""
        return self._replace(rows=self.rows[:images])

    def dataset(self, datasets: Sequence[Any]) -> Any:
        """These images, of the datasets of all experiences."""
        chosen = [datasets[j] for j in self.experiences]
        return (chosen[0] if len(chosen) == 1 else concat_datasets(chosen)).subset(self.rows)

    def features(self, known: Sequence[LabeledFeatures]) -> Tensor:
        """The features (N, D) of these images, of those of all images of all experiences."""
        return torch.cat([known[j][0] for j in self.experiences])[self.rows]


def filled_up(datasets: Sequence[Any], order: Sequence[int], t: int, least: int) -> list[int]:
    """The t-th experience in an order, and those just before it until there are `least` images."""
    start, count = t, len(datasets[order[t]])
    while count < least and start > 0:
        start -= 1
        count += len(datasets[order[start]])
    return list(order[start : t + 1])
