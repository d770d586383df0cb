"""The positions of the images of each experience, for every kind of `IncrementalSplit`.

Every draw comes from numpy's PCG64: `default_rng(seed)` for the order of the classes and for equal parts,
`default_rng([seed, k])` with k below for the rest. A stream is thus the same on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avalanche_ssl.data import Indices
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.splits import IncrementalSplit

Labels = Sequence[int] | Indices

LEAK, TAIL, ROUND, TEST = 1, 2, 3, 4
"""Second word of the seed: which images leak, which remain of a long tail, the classes' order in later rounds, and
which images are for testing where no others are."""


def partition(split: IncrementalSplit, targets: Labels, n_classes: int, kind: str) -> list[Indices]:
    """The positions of the images of each experience.

    Args:
        split: the way of splitting.
        targets: classes (N,) of the images.
        n_classes: C.
        kind: of the images, for messages.

    Raises:
        UsageError: an experience would have no image.
    """
    if split.imbalance == 1:
        return _parts(split, targets, n_classes, kind)
    kept = long_tail(targets, n_classes, split.imbalance, split.seed)
    return [kept[part] for part in _parts(split, np.asarray(targets)[kept], n_classes, kind)]


def _parts(split: IncrementalSplit, targets: Labels, n_classes: int, kind: str) -> list[Indices]:
    """The partition of all images."""
    if split.incremental == "data":
        return equal_parts(targets, split.experiences, split.seed, kind)
    rounds = [np.arange(len(targets))]
    if split.incremental == "repeated":
        rounds = equal_parts(targets, split.repeats, split.seed, kind)
    labels = np.asarray(targets)
    of_rounds = zip(rounds, class_groups_by_round(split, n_classes), strict=True)
    parts = [rows[part] for rows, groups in of_rounds for part in parts_of_classes(labels[rows], groups)]
    if split.incremental == "blurry":
        parts = leaked_parts(parts, labels, split.leak, split.seed)
    for number, part in enumerate(parts, 1):
        if len(part) == 0:
            raise UsageError(f"experience {number} would have no {kind} image: give fewer experiences")
    return parts


def class_groups_by_round(split: IncrementalSplit, n_classes: int) -> list[list[Indices]]:
    """The classes of each experience, for each round.

    Raises:
        UsageError: there are more experiences in a round than classes, or `class_order` is no order of the classes.
    """
    rounds = split.repeats if split.incremental == "repeated" else 1
    orders = [split.class_order]
    for number in range(1, rounds):
        orders.append(np.random.default_rng([split.seed, ROUND, number]).permutation(n_classes).tolist())
    sizes = [len(part) for part in np.array_split(np.arange(split.experiences), rounds)]
    return [class_groups(n_classes, size, split.seed, order) for size, order in zip(sizes, orders, strict=True)]


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


def parts_of_classes(targets: Labels, groups: Sequence[Indices]) -> list[Indices]:
    """The positions of the images of each group of classes, in their original order."""
    return [np.flatnonzero(np.isin(targets, group)) for group in groups]


def equal_parts(targets: Labels, experiences: int, seed: int, kind: str) -> list[Indices]:
    """Random parts whose sizes, and whose numbers of images of any class, differ by at most one."""
    if not 1 <= experiences <= len(targets):
        raise UsageError(
            f"cannot split {len(targets)} {kind} images into {experiences} experiences: give 1 to {len(targets)}"
        )
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(np.asarray(targets)[order], kind="stable")]
    return [np.sort(order[first::experiences]) for first in range(experiences)]


def long_tail(targets: Labels, n_classes: int, imbalance: float, seed: int) -> Indices:
    """The positions of the images that an imbalance keeps, in their order; see `IncrementalSplit`."""
    rng = np.random.default_rng([seed, TAIL])
    ranks, labels = rng.permutation(n_classes), np.asarray(targets)
    kept = []
    for label, rank in enumerate(ranks.tolist()):
        rows = np.flatnonzero(labels == label)
        share = imbalance ** (-rank / max(1, n_classes - 1))
        kept.append(rows[rng.permutation(len(rows))[: max(1, int(len(rows) * share + 0.5))]])
    return np.sort(np.concatenate(kept))


def held_out(targets: Labels, fraction: float, seed: int, class_names: Sequence[str]) -> tuple[Indices, Indices]:
    """The positions of the images for training and for testing: of each class this fraction, but at least one image.

    Raises:
        UsageError: a class has a single image.
    """
    rng = np.random.default_rng([seed, TEST])
    labels = np.asarray(targets)
    is_test = np.zeros(len(labels), bool)
    for label, name in enumerate(class_names):
        rows = np.flatnonzero(labels == label)
        if len(rows) == 1:
            raise UsageError(
                f"class '{name}' has 1 image, and training and testing need one each: add some, or remove it"
            )
        count = min(max(1, int(len(rows) * fraction + 0.5)), len(rows) - 1)
        is_test[rng.permutation(rows)[:count]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def most_experiences(split: IncrementalSplit, n_classes: int, n_images: int) -> int:
    """The largest number of experiences that a split can have, of so many classes and images."""
    if split.incremental == "data":
        return n_images
    return n_classes * (split.repeats if split.incremental == "repeated" else 1)


def leaked_parts(parts: Sequence[Indices], labels: Indices, leak: float, seed: int) -> list[Indices]:
    """The parts after a share of each class has moved evenly to the others; a remainder goes to random ones."""
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
