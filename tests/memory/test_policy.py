"""The base of policies: free slots first, draws without replacement, a policy of one's own."""

import torch
from helpers.image_memory import numbers, stream

from avalanche_ssl.memory import ImageBuffer, Policy
from avalanche_ssl.memory.policy import draw


class Stays(Policy):
    """The first images stay."""

    def victim(self, memory, feature, label):
        return None


def test_a_policy_of_ones_own_is_one_method():
    buffer = ImageBuffer(4, 5, policy=Stays())
    images, features, _ = stream(12)
    assert buffer.insert(images, features).tolist() == [0, 1, 2, 3, 4, *[-1] * 7]
    assert numbers(buffer) == [0, 1, 2, 3, 4] and buffer.seen == 12


def test_samples_are_without_replacement_and_even():
    buffer = ImageBuffer(4, 8, policy=Stays())
    buffer.insert(*stream(6))
    counts = torch.zeros(8)
    for _ in range(1000):
        slots = buffer.sample(3)
        assert len(slots.unique()) == 3
        counts[slots] += 1
    assert (counts[6:] == 0).all()
    # Each count has mean 500 and standard deviation 15.8; the statistic follows about 0.6 chi-square of 5 degrees.
    assert ((counts[:6] - 500).square() / 500).sum() < 15


def test_samples_are_in_random_order_and_of_what_is_held():
    buffer = ImageBuffer(4, 8, policy=Stays())
    assert buffer.sample(3).tolist() == []
    buffer.insert(*stream(6))
    orders = {tuple(buffer.sample(10).tolist()) for _ in range(20)}
    assert len(orders) > 10 and all(sorted(order) == [0, 1, 2, 3, 4, 5] for order in orders)


def test_draw_takes_each_candidate():
    buffer = ImageBuffer(4, 8)
    assert {draw(torch.tensor([2, 5, 7]), buffer) for _ in range(50)} == {2, 5, 7}
