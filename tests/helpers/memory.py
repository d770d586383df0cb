"""Rows for memories, and what holds for all of them."""

import copy

import torch

from avalanche_ssl.functional import l2_normalize


def rows(n, dim=4, seed=0):
    """Random unit rows (n, dim)."""
    return l2_normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))


def assert_restorable(memory):
    """All buffers are in the state_dict, and come back from it."""
    assert {n for n, _ in memory.named_buffers()} <= set(memory.state_dict())
    restored = copy.deepcopy(memory)
    with torch.no_grad():
        for value in restored.state_dict().values():
            value.zero_()
    restored.load_state_dict(memory.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(memory.state_dict().values(), restored.state_dict().values()))
