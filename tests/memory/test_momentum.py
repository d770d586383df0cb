"""The momentum encoder: its step, its buffers, its schedule."""

import math

import pytest
import torch
from helpers.memory import assert_restorable
from torch import nn

from avalanche_ssl.memory.momentum import MomentumEncoder, cosine_momentum


def test_momentum_encoder_moves_by_exactly_one_minus_m():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    averaged = MomentumEncoder(network, 0.9)
    before = [p.clone() for p in averaged.parameters()]
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn_like(p))
    averaged.update(network)
    for old, now, online in zip(before, averaged.parameters(), network.parameters(), strict=True):
        assert torch.allclose(now, 0.9 * old + 0.1 * online, atol=1e-7)
        assert not now.requires_grad


def test_momentum_encoder_with_m_zero_is_the_network():
    network = nn.Linear(3, 3)
    averaged = MomentumEncoder(network, 0.0)
    with torch.no_grad():
        network.weight.add_(torch.randn(3, 3))
    averaged.update(network)
    assert torch.equal(averaged.copy.weight, network.weight)


def test_momentum_encoder_keeps_its_own_batch_norm_statistics():
    network = nn.BatchNorm1d(3)
    averaged = MomentumEncoder(network, 0.9)
    x = torch.randn(64, 3) + 5
    out = averaged(x)
    assert not out.requires_grad
    assert averaged.copy.running_mean.mean() > 0.1 and network.running_mean.abs().max() == 0
    before = averaged.copy.running_mean.clone()
    averaged.update(network)
    assert torch.equal(averaged.copy.running_mean, before)


def test_momentum_schedule_golden():
    assert cosine_momentum(torch.tensor(5), 10, 0.996, 1.0).item() == pytest.approx(0.998, abs=1e-12)
    assert cosine_momentum(torch.tensor(0), 10, 0.996, 1.0).item() == pytest.approx(0.996, abs=1e-12)
    assert cosine_momentum(torch.tensor(10), 10, 0.996, 1.0).item() == pytest.approx(1, abs=1e-12)


def test_momentum_rises_starts_again_and_never_freezes():
    online = nn.Linear(1, 1, bias=False)
    averaged, moved = MomentumEncoder(online, 0.9, steps=4, final=0.99), []
    for _ in range(9):
        nn.init.zeros_(averaged.copy.weight)
        nn.init.ones_(online.weight)
        averaged.update(online)
        moved.append(1 - averaged.copy.weight.item())
    expected = [0.99 - 0.09 * (1 + math.cos(math.pi * k / 4)) / 2 for k in (0, 1, 2, 3)]
    assert moved == pytest.approx((expected * 3)[:9], abs=1e-6)
    assert max(moved) < 0.99 and averaged.n_updates == 9


@pytest.mark.parametrize("settings", [{"final": 1.0}, {"final": 0.5}, {"steps": -1}])
def test_a_schedule_that_would_freeze_the_copy_is_refused(settings):
    with pytest.raises(ValueError, match="cannot rise"):
        MomentumEncoder(nn.Linear(1, 1), 0.9, **{"steps": 10} | settings)


def test_a_momentum_above_1_is_refused():
    with pytest.raises(ValueError, match="momentum 2"):
        MomentumEncoder(nn.Linear(2, 2), 2)


def test_the_momentum_encoder_is_in_the_state_dict():
    assert_restorable(MomentumEncoder(nn.Linear(4, 4), 0.9))
