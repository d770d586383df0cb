"""Class-balanced, seeded choices of samples: the few that keep their label, the few that are held out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from avalanche_ssl.errors import UsageError


def class_ranks(labels: Tensor, seed: int) -> Tensor:
    """Position (N,) of each sample, with a label in 0, 1, ..., in a random order of its class."""
    return ranks_in_order(labels, torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)))


def ranks_in_order(labels: Tensor, order: Tensor) -> Tensor:
    """Position (N,) of each sample, with a label in 0, 1, ..., within its class when the samples come in `order`."""
    order = order[labels[order].argsort(stable=True)]  # class after class
    counts = labels.bincount()
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return ranks


def keep_labels(labels: Sequence[Tensor], amount: float | int, seed: int = 0) -> list[Tensor]:
    """The labels of each experience, -1 (unlabeled) except for a class-balanced choice over all of them.

    Choices with the same seed are nested: what 1 % keeps, 10 % keeps, too.

    Args:
        labels: (N,) of each experience, negative where unknown.
        amount: a float is the share of every class, above 0 and at most 1, rounded to the nearest number of
            samples and at least one; an int is the number per class (all of a smaller class).
        seed: seed of the choice.

    Raises:
        UsageError: the amount is out of its range.
    """
    check_amount(amount)
    pooled = torch.cat(list(labels))
    known = (pooled >= 0).nonzero().flatten()
    classes = pooled[known]
    counts = classes.bincount()
    quota = torch.full_like(counts, amount) if isinstance(amount, int) else (counts * amount).round().clamp(min=1)
    kept = torch.full_like(pooled, -1)
    chosen = known[class_ranks(classes, seed) < quota[classes]]
    kept[chosen] = pooled[chosen]
    return list(torch.split(kept, [len(y) for y in labels]))


def check_amount(amount: float | int) -> None:
    """Refuse an amount of labels that `keep_labels` does not accept.

    Raises:
        UsageError: names the amount.
    """
    if isinstance(amount, bool) or not (amount >= 1 if isinstance(amount, int) else 0 < amount <= 1):
        raise UsageError(f"labels {amount}: give a share above 0 and at most 1.0, or a whole number per class from 1")


def hold_out(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """Mask (N,) of `fraction` of every class, rounded down; at least one where a class has two or more."""
    counts = labels.bincount()
    quota = (counts.double() * fraction).long().clamp(min=1) * (counts > 1)
    return class_ranks(labels, seed) < quota[labels]
