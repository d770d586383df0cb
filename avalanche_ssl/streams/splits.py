"""In which experience does an image come? The kinds of streams that can be made of images with classes.

Every draw comes from numpy's PCG64: `default_rng(seed)` for the order of the classes and for equal parts,
`default_rng([seed, k])` with k below for the rest. A stream is thus the same on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avalanche_ssl.data.datasets import Indices
from avalanche_ssl.errors import UsageError, unknown_name

pass


def class_groups(
    n_classes: int, experiences: int, seed: int, class_order: Sequence[int] | None = None
) -> list[Indices]:
    """The classes of each experience. A remainder goes to the first experiences, one class each."""
    if not 1 <= experiences <= n_classes:
        raise UsageError(f"cannot split {n_classes} classes into {experiences} experiences: give 1 to {n_classes}")
    if class_order is None:
        order = np.random.default_rng(seed).permutation(n_classes)
    elif sorted(class_order) == list(range(n_classes)):
        order = np.asarray(class_order)
    else:
        raise UsageError(
            f"class_order {list(class_order)} is no order of the {n_classes} classes: "
            f"give every number from 0 to {n_classes - 1} once"
        )
    return np.array_split(order, experiences)


def of_classes(targets: Sequence[int] | Indices, groups: Sequence[Indices]) -> list[Indices]:
    """Where the images of each group of classes are, in their original order."""
    return [np.flatnonzero(np.isin(targets, group)) for group in groups]


def equal_parts(targets: Sequence[int] | Indices, experiences: int, seed: int, kind: str) -> list[Indices]:
    """Random parts whose sizes, and whose numbers of images of any class, differ by at most one."""
    if not 1 <= experiences <= len(targets):
        raise UsageError(
            f"cannot split {len(targets)} {kind} images into {experiences} experiences: give 1 to {len(targets)}"
        )
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(np.asarray(targets)[order], kind="stable")]
    return [np.sort(order[first::experiences]) for first in range(experiences)]


KINDS = ("class", "data", "blurry", "repeated")

LEAK, TAIL, ROUND = 1, 2, 3
"""Second word of the seed: which images leak, which are left of a long tail, the classes' order in later rounds."""


@dataclass(frozen=True)
class IncrementalSplit:
    """How images are spread over experiences; all of them come, each once, but for those that `imbalance` leaves out.

    Args:
        experiences: E.
        incremental: "class" (new classes in each), "data" (an equal random part of every class in each), "blurry"
            (as "class", but of each class a share `leak` is dealt out evenly to the other experiences, as in Bang et
            al. 2021, arXiv:2103.17230), or "repeated" (all classes come `repeats` times, each time in another order
            and with an equal part of their images: the experiences are cut into as many rounds).
        imbalance: how many times more training images the largest class keeps than the smallest. The class of rank r
            among C, drawn at random, keeps the share ``imbalance ** (-r / (C - 1))`` of its images, at least one (the
            long tail of Cui et al. 2019, arXiv:1901.05555).
        leak: share of each class, in [0, 1].
        repeats: rounds.
        seed: of all draws.
        class_order: of the first round; drawn by `seed` if None.
    """

    experiences: int
    incremental: str = "class"
    imbalance: float = 1.0
    leak: float = 0.1
    repeats: int = 2
    seed: int = 0
    class_order: Sequence[int] | None = None

    def check(self, n_classes: int) -> None:
        """Find mistakes before images are read.

        Raises:
            UsageError: a value is out of its range, or makes no stream of so many classes.
        """
        if self.incremental not in KINDS:
            raise unknown_name("kind of increment", self.incremental, KINDS)
        if not 0 <= self.leak <= 1:
            raise UsageError(f"leak is {self.leak}: give a share of each class, from 0 to 1")
        if not 1 <= self.imbalance < np.inf:
            raise UsageError(f"imbalance is {self.imbalance}: give 1 (none) or more")
        if self.incremental == "blurry" and self.experiences == 1:
            raise UsageError("a class of a single experience has nowhere to leak: give 2 experiences or more")
        if self.incremental == "repeated" and not 1 <= self.repeats <= self.experiences:
            raise UsageError(
                f"cannot repeat classes {self.repeats} times in {self.experiences} experiences: give fewer"
            )
        if self.incremental != "data":
            self._groups(n_classes)

    def train(self, targets: Sequence[int], n_classes: int) -> list[Indices]:
        """Where the training images of each experience are."""
        if self.imbalance == 1:
            return self._parts(targets, n_classes, self.leak, "training")
        kept = long_tail(targets, n_classes, self.imbalance, self.seed)
        return [kept[part] for part in self._parts(np.asarray(targets)[kept], n_classes, self.leak, "training")]

    def test(self, targets: Sequence[int], n_classes: int) -> list[Indices]:
        """Where the test images of each experience are: all of them, and of blurry classes each in its own."""
        return self._parts(targets, n_classes, 0.0, "test")

    def _parts(self, targets: Sequence[int] | Indices, n_classes: int, leak: float, kind: str) -> list[Indices]:
        if self.incremental == "data":
            return equal_parts(targets, self.experiences, self.seed, kind)
        rounds = [np.arange(len(targets))]
        if self.incremental == "repeated":
            rounds = equal_parts(targets, self.repeats, self.seed, kind)
        labels = np.asarray(targets)
        of_rounds = zip(rounds, self._groups(n_classes), strict=True)
        parts = [rows[part] for rows, groups in of_rounds for part in of_classes(labels[rows], groups)]
        if self.incremental == "blurry":
            parts = leaked(parts, labels, leak, self.seed)
        for number, part in enumerate(parts, 1):
            if len(part) == 0:
                raise UsageError(f"experience {number} would have no {kind} image: give fewer experiences")
        return parts

    def _groups(self, n_classes: int) -> list[list[Indices]]:
        """The classes of each experience, by round."""
        rounds = self.repeats if self.incremental == "repeated" else 1
        orders = [self.class_order]
        for number in range(1, rounds):
            orders.append(np.random.default_rng([self.seed, ROUND, number]).permutation(n_classes).tolist())
        sizes = [len(part) for part in np.array_split(np.arange(self.experiences), rounds)]
        return [class_groups(n_classes, size, self.seed, order) for size, order in zip(sizes, orders, strict=True)]


def long_tail(targets: Sequence[int] | Indices, n_classes: int, imbalance: float, seed: int) -> Indices:
    """Which images are left, in their order; see `IncrementalSplit`."""
    rng = np.random.default_rng([seed, TAIL])
    ranks, labels = rng.permutation(n_classes), np.asarray(targets)
    kept = []
    for label, rank in enumerate(ranks.tolist()):
        rows = np.flatnonzero(labels == label)
        share = imbalance ** (-rank / max(1, n_classes - 1))
        kept.append(rows[rng.permutation(len(rows))[: max(1, int(len(rows) * share + 0.5))]])
    return np.sort(np.concatenate(kept))


def leaked(parts: Sequence[Indices], labels: Indices, leak: float, seed: int) -> list[Indices]:
    """The parts when a share of each class has moved evenly to the others: a remainder goes to random ones."""
    rng = np.random.default_rng([seed, LEAK])
    home = np.empty(len(labels), np.int64)
    for number, part in enumerate(parts):
        home[part] = number
    place = home.copy()
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        others = rng.permutation(np.delete(np.arange(len(parts)), home[rows[0]]))
        count = int(len(rows) * leak + 0.5)
        place[rows[:count]] = np.resize(others, count)
    return [np.flatnonzero(place == number) for number in range(len(parts))]
