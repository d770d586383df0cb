"""MinRed: the incremental form equals brute force."""

import pytest
import torch
from helpers.image_memory import numbers, stream

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.memory import ImageBuffer
from avalanche_ssl.memory import min_redundancy as module


def distances(buffer):
    """1 - cos of all held with all, by the definition, in double precision; infinite where there is no pair."""
    unit = l2_normalize(buffer.features.double())
    away = 1 - unit @ unit.T
    away.fill_diagonal_(torch.inf)
    away[buffer.born < 0] = torch.inf
    away[:, buffer.born < 0] = torch.inf
    return away


def assert_equals_brute_force(buffer):
    away, policy = distances(buffer), buffer.policy
    assert torch.allclose(policy.near.double(), away.min(1).values, atol=1e-6)
    known = policy.who >= 0
    assert torch.equal(known, policy.near.isfinite())
    chosen = away[known].gather(1, policy.who[known][:, None]).squeeze(1)
    assert torch.allclose(chosen, policy.near[known].double(), atol=1e-6)  # `who` is at that distance


@pytest.mark.parametrize("chunk", [2, 256])
def test_many_steps_equal_brute_force(monkeypatch, chunk):
    """Images enter and are refreshed; every image that leaves is one of the closest pair."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    buffer = ImageBuffer(6, 30, policy="minred")
    draw = torch.Generator().manual_seed(3)
    for step in range(60):
        for image, feature, _ in zip(*stream(3, 6, seed=step)):
            before, away = numbers(buffer), distances(buffer)
            full = len(before) == 30
            slot = int(buffer.insert(image[None], feature[None]))
            if full:
                assert away[slot].min() <= away.min() + 1e-6
            assert_equals_brute_force(buffer)
        slots = buffer.sample(8)
        buffer.follow(slots, torch.randn(len(slots), 6, generator=draw))
        assert_equals_brute_force(buffer)
    assert buffer.seen == 180


def test_equal_features_and_features_of_zero():
    """Ties: groups of equal features, first in a row and then refreshed to be equal."""
    buffer = ImageBuffer(4, 12, policy="minred")
    images, features, _ = stream(40)
    features[5:15] = features[0]
    features[20:23] = 0
    for at in range(40):
        buffer.insert(images[at : at + 1], features[at : at + 1])
        assert_equals_brute_force(buffer)
        if at % 5 == 4:
            slots = buffer.sample(6)
            buffer.follow(slots, features[:1] * 2 - buffer.features[slots])
            assert_equals_brute_force(buffer)


def test_duplicates_leave_and_the_rest_stays():
    """Four directions and copies of the first: one of each is left."""
    buffer = ImageBuffer(4, 4, policy="minred")
    buffer.insert(stream(9)[0], torch.eye(4)[[0, 0, 0, 1, 0, 2, 0, 0, 3]])
    assert buffer.features[buffer.features.argmax(1).argsort()].equal(torch.eye(4))
    assert {3, 5, 8} <= set(numbers(buffer))


def test_a_new_image_always_enters_even_if_it_is_a_duplicate():
    buffer = ImageBuffer(4, 4, policy="minred")
    buffer.insert(stream(4)[0], torch.eye(4))
    assert buffer.insert(stream(1, seed=1)[0], torch.eye(4)[:1]).item() >= 0


def test_images_that_are_removed_are_nobody_s_nearest():
    buffer = ImageBuffer(4, 20, policy="minred")
    buffer.insert(*stream(20))
    for slot in (3, 11, 0):
        buffer.remove(torch.tensor([slot]))
        assert_equals_brute_force(buffer)
    buffer.remove(buffer.held()[1:])
    assert_equals_brute_force(buffer)
