"""Simple policies: which images a reservoir, a ring and balanced classes keep; policies by name."""

import pytest
import torch
from helpers.image_memory import numbers, stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import POLICIES, ClassBalanced, ImageBuffer, MinRed, make_policy


def test_a_reservoir_keeps_every_number_equally_often():
    """2,000 streams of 8 images into 2 slots."""
    images, features, _ = stream(8)
    counts, places = torch.zeros(8), torch.zeros(8, 2)
    buffer = ImageBuffer(4, 2, policy="reservoir")
    for _ in range(2000):
        buffer.insert(images, features)
        counts[buffer.born] += 1
        places[buffer.born, torch.arange(2)] += 1
        buffer.remove(buffer.held())
        buffer.seen.zero_()
    assert counts.sum() == 4000
    # Sampling without replacement: mean 500, chi-square with 7 degrees of freedom; 99.9 % are below 24.3.
    assert ((counts - 500).square() / (500 * (1 - 2 / 8))).sum() * 7 / 8 < 24.3
    # Images 2 to 7 enter each slot equally often; 99.9 % of chi-square with 12 degrees are below 32.9.
    assert ((places[2:] - 250).square() / 250).sum() < 32.9


@pytest.mark.parametrize("batch", [1, 3, 7, 20])
def test_a_ring_keeps_the_newest(batch):
    buffer = ImageBuffer(4, 7, policy="fifo")
    images, features, _ = stream(45)
    for start in range(0, 45, batch):
        buffer.insert(images[start : start + batch], features[start : start + batch])
        seen = min(start + batch, 45)
        assert numbers(buffer) == list(range(max(0, seen - 7), seen))
        assert all(number % 7 == slot for slot, number in enumerate(buffer.born.tolist()) if number >= 0)


def test_classes_are_balanced_whatever_the_order():
    """30 images of class 0, then 30 of class 1, then 2 of class 2: as even as the images allow."""
    images, features, _ = stream(62)
    labels = torch.tensor([0] * 30 + [1] * 30 + [2] * 2)
    buffer = ImageBuffer(4, 12, policy="class")
    buffer.insert(images[:45], features[:45], labels[:45])
    assert buffer.labels.bincount().tolist() == [6, 6]
    buffer.insert(images[45:], features[45:], labels[45:])
    assert buffer.labels.bincount().tolist() == [5, 5, 2]


def test_in_a_balanced_memory_the_new_image_replaces_one_of_its_class():
    buffer = ImageBuffer(4, 4, policy="class")
    images, features, _ = stream(24)
    buffer.insert(images[:4], features[:4], torch.tensor([0, 0, 1, 1]))
    for at in range(4, 24):
        buffer.insert(images[at : at + 1], features[at : at + 1], torch.tensor([1]))
        assert buffer.born[:2].tolist() == [0, 1]
    assert (buffer.born[2:] > 3).all()  # both others left at some time


def test_any_image_of_the_largest_class_leaves():
    images, features, _ = stream(7)
    labels, left = torch.tensor([0, 1, 1, 1, 0, 1, 2]), set()
    for seed in range(60):
        buffer = ImageBuffer(4, 6, policy="class", seed=seed)
        buffer.insert(images, features, labels)
        left |= set(range(7)) - set(numbers(buffer))
    assert left == {1, 2, 3, 5}


def test_only_the_class_policy_reads_labels():
    assert [name for name, policy in POLICIES.items() if policy.reads_labels] == ["class"]


def test_three_policies_read_features():
    assert {name for name, policy in POLICIES.items() if policy.reads_features} == {"cluster", "minred", "climb"}


def test_labels_that_are_missing_are_refused_before_anything_enters():
    buffer = ImageBuffer(4, 4, policy="class")
    with pytest.raises(UsageError, match="the stream has none: choose one of reservoir, fifo, cluster, minred, climb"):
        buffer.insert(*stream(3)[:2])
    assert buffer.seen == 0


def test_policies_have_names():
    assert isinstance(make_policy("class"), ClassBalanced)
    policy = MinRed()
    assert make_policy(policy) is policy
    with pytest.raises(UsageError, match=r"no policy 'fifa': did you mean 'fifo'\? \(reservoir, fifo, class, "):
        ImageBuffer(4, 3, policy="fifa")
