"""Full steps and bare steps."""

import pytest
import torch
from speed.training_step import PARTS, BareStep, FullStep


def test_full_step_writes_the_memory_and_leaves_no_timer_behind(moco):
    full = FullStep(moco, 3)
    queue = full.strategy.model.queue
    assert full() > 0
    assert queue.n_enqueued == 4 * 8  # one step is not counted
    parts = full.parts()
    assert [*parts] == [*PARTS, "rest"]
    assert all(parts[name] > 0 for name in PARTS)
    assert "embed" not in vars(full.strategy.model)
    assert "backward" not in vars(full.strategy)


@pytest.mark.parametrize("name", ["moco", "pirl", "swav_multicrop", "cpc"])
def test_bare_network_is_trained_on_ready_views_and_stays_as_it_is(name, moco):
    bare = BareStep(moco._replace(strategy=name, size=32), 2)
    before = [p.clone() for p in bare.strategy.model.parameters()]
    assert bare() > 0
    assert all(torch.equal(a, b) for a, b in zip(before, bare.strategy.model.parameters()))
    assert all(p.grad is not None for p in bare.strategy.model.encoder.parameters())
    assert bare.views_per_image == {"moco": 2, "pirl": 10, "swav_multicrop": 4, "cpc": 49}[name]


def test_flops_are_those_of_forward_and_backward(moco):
    """Those of the supervised reference: three products per layer, two for the first, whose input needs no gradient."""
    case = moco._replace(strategy="supervised", size=32)
    first = 2 * 32 * 32 * 32 * 3 * 9
    others = sum(2 * (32 >> i) ** 2 * (32 << i) * (16 << i) * 9 for i in (1, 2, 3)) + 2 * 256 * 100
    assert BareStep(case, 1).flops() == 8 * (2 * first + 3 * others)
