"""`ProbingTask`: further labels that a stream asks its probe for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Codes = Sequence[NDArray[np.int64]]
"""Whole numbers (N,) for the images of each experience."""


@dataclass(frozen=True)
class ProbingTask:
    """Labels of a stream's own.

    Args:
        name: what is asked for.
        train: labels of the training images; negative where the probe may not know one.
        tested: labels of the images that it is asked about; negative where it is not asked.
        again: ask about the training images instead of the test images, which `folds` must keep apart.
        folds: numbers for the training images and for those asked about: an answer about a fold comes from a
            classifier that was fitted on all others.
        groups: by name of a grouping, the names of its groups, and each tested image's; negative: in none.
    """

    name: str
    train: Codes
    tested: Codes
    again: bool = False
    folds: tuple[Codes, Codes] | None = None
    groups: Mapping[str, tuple[Sequence[str], Codes]] = field(default_factory=dict)

    def each(self, n: int, tested: bool = True) -> ProbingTask:
        """The question about every n-th image of each experience only; of the training images alone if not `tested`."""

        def thin(codes: Codes) -> Codes:
            return [part[::n] for part in codes]

        return self._kept(thin, thin if tested else _unchanged)

    def once(self, images: NDArray[np.int64]) -> ProbingTask:
        """The question about these test images only, counted through all experiences, as if of a single one."""
        return self._kept(_unchanged, lambda codes: [np.concatenate(codes)[images]])

    def _kept(self, train: Callable[[Codes], Codes], tested: Callable[[Codes], Codes]) -> ProbingTask:
        """What is kept of the codes of training images and of those asked about."""
        folds = None if self.folds is None else (train(self.folds[0]), tested(self.folds[1]))
        groups = {name: (values, tested(codes)) for name, (values, codes) in self.groups.items()}
        return replace(self, train=train(self.train), tested=tested(self.tested), folds=folds, groups=groups)


def _unchanged(codes: Codes) -> Codes:
    return codes
