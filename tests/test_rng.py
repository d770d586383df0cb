"""Global random states: captured, restored, isolated and seeded; uniform numbers."""

import random

import numpy as np
import pytest
import torch

from avalanche_ssl.rng import capture, isolated, restore, seed_all, seeded, uniform


def draw():
    return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))


@pytest.fixture(autouse=True)
def untouched():
    """The random states of the other tests."""
    with isolated():
        yield


def test_a_restored_state_draws_the_same_numbers_again():
    np.random.randn()  # the second number of a pair waits in the state
    random.gauss(0, 1)
    states = capture()
    first = draw(), random.gauss(0, 1)
    draw()
    restore(states)
    assert (draw(), random.gauss(0, 1)) == first


def test_states_are_tensors_and_plain_values(tmp_path):
    torch.save(capture(), tmp_path / "states.pt")
    states = torch.load(tmp_path / "states.pt", weights_only=True)
    first = draw()
    restore(states)
    assert draw() == first


def test_what_is_drawn_in_isolation_leaves_no_trace():
    states = capture()
    expected = draw()
    restore(states)
    with pytest.raises(KeyError), isolated():
        seed_all(5)
        draw()
        raise KeyError
    assert draw() == expected


def test_a_seed_fixes_all_generators_for_a_block():
    states = capture()
    expected = draw()
    restore(states)
    seed = 2**40 + 3  # NumPy takes 32 bits
    with seeded(seed):
        first = draw()
    assert draw() == expected
    with seeded(seed):
        assert draw() == first
    seed_all(seed)
    assert draw() == first
    seed_all(seed, cuda=False)
    assert draw() == first


def test_uniform_numbers_of_a_generator():
    generator = torch.Generator().manual_seed(0)
    numbers = uniform((1000,), -2.0, 3.0, generator)
    assert numbers.dtype == torch.float32 and numbers.min() >= -2 and numbers.max() < 3
    assert numbers.mean() == pytest.approx(0.5, abs=0.2)
    assert torch.equal(uniform((1000,), -2.0, 3.0, generator.manual_seed(0)), numbers)
    seed_all(1)
    first = uniform((3,), 0, 1)
    seed_all(1)
    assert torch.equal(uniform((3,), 0, 1), first), "without a generator the global one is used"
