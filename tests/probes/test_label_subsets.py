"""Class-balanced, seeded choices of few labels and of held-out samples."""

import pytest
import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.label_subsets import hold_out, keep_labels


def test_few_labels_are_balanced_nested_and_seeded():
    labels = [torch.arange(1000) % 10, torch.arange(500) % 10, torch.full((7,), -1)]
    one, ten, other = (keep_labels(labels, share, seed) for share, seed in ((0.01, 0), (0.1, 0), (0.1, 1)))
    assert [len(y) for y in ten] == [1000, 500, 7] and (ten[2] == -1).all()
    pooled = torch.cat(ten)
    assert pooled[pooled >= 0].bincount().tolist() == [15] * 10
    assert all(((a == -1) | (a == b)).all() for a, b in zip(one, ten)), "1 % is part of 10 %"
    assert not all(torch.equal(a, b) for a, b in zip(ten, other))
    assert all(((a == -1) | (a == b)).all() for a, b in zip(ten, labels))
    five = torch.cat(keep_labels(labels, 5))
    assert five[five >= 0].bincount().tolist() == [5] * 10
    assert torch.cat(keep_labels(labels, 10**6)).eq(torch.cat(labels)).all()
    assert torch.cat(keep_labels([torch.tensor([0, 1, 1])], 0.01)).tolist().count(-1) == 1, "one of each class at least"


@pytest.mark.parametrize("amount", [0, -1, 0.0, 1.5, True, float("nan")])
def test_impossible_amounts_of_labels_are_refused(amount):
    with pytest.raises(UsageError, match="give a share"):
        keep_labels([torch.arange(3)], amount)


def test_a_share_of_every_class_is_held_out():
    labels = torch.tensor([0] * 40 + [1] * 9 + [2] * 2 + [4])
    out = hold_out(labels, 0.1, seed=0)
    assert labels[out].bincount(minlength=5).tolist() == [4, 1, 1, 0, 0], "of a single sample none"
    assert torch.equal(out, hold_out(labels, 0.1, seed=0)) and not torch.equal(out, hold_out(labels, 0.1, seed=1))
