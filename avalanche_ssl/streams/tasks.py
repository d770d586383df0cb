"""Probing tasks: labels of a stream's images, other than its classes, that probes predict from features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Codes = Sequence[NDArray[np.int64]]
"""Integers (N,), one per image, for each experience."""


@dataclass(frozen=True)
class ProbingTask:
    """Labels that a probe is fitted on and evaluated with; a benchmark lists its tasks as `probing_tasks`.

    Args:
        name: of what is predicted.
        train_labels: of the training images; negative: not fitted on.
        test_labels: of the images that are predicted; negative: not evaluated.
        on_training_images: predict the training images instead of the test images; `folds` must keep them apart.
        folds: numbers of the training images and of the predicted images: those of a fold are predicted by a
            classifier that was fitted on all other folds.
        groups: by name of a grouping, the names of its groups and the group of each predicted image; negative: none.
    """

    name: str
    train_labels: Codes
    test_labels: Codes
    on_training_images: bool = False
    folds: tuple[Codes, Codes] | None = None
    groups: Mapping[str, tuple[Sequence[str], Codes]] = field(default_factory=dict)

    def every_nth(self, n: int, test: bool = True) -> ProbingTask:
        """The task on every n-th image of each experience; of the training images only if not `test`."""

        def thin(codes: Codes) -> Codes:
            return [part[::n] for part in codes]

        return self._select(thin, thin if test else _unchanged)

    def for_test_images(self, positions: NDArray[np.int64]) -> ProbingTask:
        """The task on these test images, counted through all experiences, as one experience."""
        return self._select(_unchanged, lambda codes: [np.concatenate(codes)[positions]])

    def _select(self, train: Callable[[Codes], Codes], test: Callable[[Codes], Codes]) -> ProbingTask:
        """The task on the training and on the predicted images that two functions select."""
        folds = None if self.folds is None else (train(self.folds[0]), test(self.folds[1]))
        groups = {name: (values, test(codes)) for name, (values, codes) in self.groups.items()}
        return replace(
            self,
            train_labels=train(self.train_labels),
            test_labels=test(self.test_labels),
            folds=folds,
            groups=groups,
        )


def _unchanged(codes: Codes) -> Codes:
    return codes
