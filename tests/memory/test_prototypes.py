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
    """No gradient, so that neither momentum nor weight decay nor Adam's moments see the frozen steps."""
    method = swav(freeze=3)
    make = partial(torch.optim.Adam, lr=0.01, weight_decay=0.1) if optimizer == "adam" else None
    opt = make(method.parameters()) if make else optimizer(method)
    before = method.prototypes.weight.detach().clone()
    for _ in range(3):
        step(method, textured(8), opt)
        assert torch.equal(method.prototypes.weight, before)
        assert method.prototypes.weight.grad is None and method.prototypes.weight not in opt.state
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


def test_gradient_of_a_prototype_has_its_radial_part():
    """As in the official code: that of z @ W.T for a free W of unit rows, here z itself."""
    prototypes, z = Prototypes(5, 4), unit_rows(3, 1, 4).float()
    prototypes(z).sum().backward()
    assert torch.allclose(prototypes.weight.grad, z.expand(5, 4), atol=1e-6)


def test_a_penalty_on_all_weights_leaves_frozen_prototypes_alone():
    prototypes = Prototypes(5, 4, freeze=2)
    before = prototypes.weight.detach().clone()
    for step_number in range(3):
        with torch.no_grad():
            prototypes.weight.mul_(1.5).add_(0.1)
        prototypes.normalize()
        assert torch.equal(prototypes.weight, before) == (step_number < 2)


def test_steps_stay_on_the_host():
    """Else each step would wait for the device."""
    prototypes = Prototypes(5, 4, freeze=2)
    values = prototypes.steps
    moved = prototypes._apply(lambda tensor: tensor.to("meta") if tensor.is_floating_point() else tensor.clone())
    assert moved is prototypes and prototypes.weight.is_meta and prototypes.kept.is_meta
    assert prototypes.steps.device.type == "cpu" and torch.equal(prototypes.steps, values)


def test_frozen_steps_are_those_of_the_loaded_state():
    begun, fresh = Prototypes(5, 4, freeze=2), Prototypes(5, 4, freeze=2)
    assert fresh.frozen
    for _ in range(2):
        assert begun.frozen
        begun.normalize()
    fresh.load_state_dict(begun.state_dict())
    assert not begun.frozen and not fresh.frozen


def test_frozen_prototypes_still_train_the_encoder():
    method = swav(freeze=10)
    method.loss(method(textured(8))).backward()
    assert all(p.grad.count_nonzero() for p in method.projection_head.parameters() if p.ndim > 1)
