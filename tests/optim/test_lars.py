"""LARS: golden steps, and what it does and does not scale."""

import copy

import pytest
import torch
from helpers.lcg import lcg

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.optim.lars import LARS, trust_ratio
from avalanche_ssl.recipes.recipe import Recipe


def stepped(weight, gradient, steps=1, **settings):
    """The weight after some steps with the same gradient."""
    parameter = weight.clone().requires_grad_()
    optimizer = LARS([parameter], **{"lr": 0.4, "trust": 0.02, "weight_decay": 1e-4} | settings)
    for _ in range(steps):
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


W, G = lcg(121, 4, 3), lcg(122, 4, 3)


@pytest.mark.parametrize("clip, norm", [(False, 0.01510227457404), (True, 0.03775568643509)])
def test_one_step_golden(clip, norm):
    assert (stepped(W, G, clip=clip) - W).norm().item() == pytest.approx(norm, rel=1e-7)


def test_trust_ratio_golden():
    group = {"trust": 0.02, "weight_decay": 1e-4, "eps": 1e-8, "clip": False, "lr": 0.4}
    assert trust_ratio(W, G, group).item() == pytest.approx(0.02222824627989, rel=1e-7)
    assert trust_ratio(W, G, group | {"clip": True}).item() == pytest.approx(0.02222824627989 / 0.4, rel=1e-7)
    assert trust_ratio(W, G, group | {"clip": True, "lr": 0.001}) == 1, "clipping only slows down"


def test_the_scale_of_the_gradient_does_not_count_unless_clipped():
    free = {"weight_decay": 0.0, "eps": 0.0}
    assert torch.allclose(stepped(W, 100 * G, **free), stepped(W, G, **free))
    small = {"weight_decay": 0.0, "clip": True}
    assert torch.allclose(stepped(W, 1e-4 * G, **small), W - 0.4 * 1e-4 * G), "there it is SGD"


def test_momentum_sums_scaled_gradients():
    weight, velocity = W.clone(), torch.zeros_like(W)
    for _ in range(3):
        ratio = 0.02 * weight.norm() / (G.norm() + 1e-4 * weight.norm() + 1e-8)
        velocity = 0.9 * velocity + ratio * (G + 1e-4 * weight)
        weight = weight - 0.4 * velocity
    assert torch.allclose(stepped(W, G, steps=3), weight, rtol=1e-12)


def test_biases_and_norms_are_excluded():
    bias, gradient = lcg(1, 5), lcg(2, 5)
    assert torch.allclose(stepped(bias, gradient, weight_decay=0.5), bias - 0.4 * gradient)


@pytest.mark.parametrize("weight, gradient", [(0.0, 1.0), (1.0, 0.0)])
def test_zeros_do_not_stop_it(weight, gradient):
    weight, gradient = torch.full((2, 2), weight), torch.full((2, 2), gradient)
    assert torch.allclose(stepped(weight, gradient, weight_decay=0.0), weight - 0.4 * gradient)


def test_parameters_without_gradient_stay_and_the_closure_counts():
    parameter = W.clone().requires_grad_()
    optimizer = LARS([parameter], lr=0.1)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert torch.equal(parameter, W)


def test_its_state_can_be_restored():
    first = torch.nn.Parameter(W.clone())
    a = LARS([first], lr=0.1)
    first.grad = G.clone()
    a.step()
    second = torch.nn.Parameter(first.detach().clone())
    b = LARS([second], lr=0.1)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    for parameter, optimizer in ((first, a), (second, b)):
        parameter.grad = G.clone()
        optimizer.step()
    assert torch.equal(first, second)


@pytest.mark.parametrize("settings", [{"lr": -1.0}, {"momentum": 1.0}, {"weight_decay": -1e-4}, {"trust": 0.0}])
def test_values_out_of_range_are_refused(settings):
    with pytest.raises(UsageError, match="LARS with"):
        LARS([W.clone()], **{"lr": 0.1} | settings)


def test_a_recipe_builds_it_without_decay_of_biases():
    strategy = Recipe(SimCLR, optimizer="lars", lr=0.3, weight_decay=1e-4).build()
    assert isinstance(strategy.optimizer, LARS)
    for group in strategy.optimizer.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])
