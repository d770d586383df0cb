"""Prototypes: unit length, frozen steps."""

from functools import partial

import pytest
import torch
from helpers.lcg import unit_rows
from helpers.methods import make, sgd, step

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.memory.prototypes import Prototypes
from avalanche_ssl.methods import SwAV

swav = partial(make, SwAV)


@pytest.mark.parametrize("optimizer", [sgd, partial(sgd, weight_decay=0.1), "adam"])
def test_frozen_prototypes_stay_bit_for_bit_then_move(optimizer):
    """Neither momentum nor weight decay moves them, also not momentum from before."""
    method = swav(freeze=3)
    make = partial(torch.optim.Adam, lr=0.01, weight_decay=0.1) if optimizer == "adam" else None
    opt = make(method.parameters()) if make else optimizer(method)
    before = method.prototypes.weight.detach().clone()
    for _ in range(3):
        step(method, textured(8), opt)
        assert torch.equal(method.prototypes.weight, before)
        assert method.prototypes.weight.grad.count_nonzero() == 0
    step(method, textured(8), opt)
    assert not torch.equal(method.prototypes.weight, before)
    assert method.prototypes.weight.grad.count_nonzero() > 0
    assert method.prototypes.steps == 4


def test_prototypes_are_unit_at_every_forward_and_have_no_bias():
    method = swav()
    optimizer = sgd(method, lr=1.0)
    for _ in range(3):
        norms = method.prototypes.weight.norm(dim=1)
        assert torch.allclose(norms, torch.ones(12), atol=1e-6)
        step(method, textured(8), optimizer)
    assert [name for name, _ in method.prototypes.named_parameters()] == ["weight"]


def test_prototypes_compare_by_cosine_whatever_their_length():
    prototypes, z = Prototypes(5, 4), unit_rows(3, 6, 4).float()
    scores = prototypes(z)
    with torch.no_grad():
        prototypes.weight.mul_(7)
    assert torch.allclose(prototypes(z), scores, atol=1e-6)


def test_frozen_prototypes_still_train_the_encoder():
    method = swav(freeze=10)
    method.loss(method(textured(8))).backward()
    assert all(p.grad.count_nonzero() for p in method.projection_head.parameters() if p.ndim > 1)
