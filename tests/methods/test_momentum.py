"""What BYOL and MoCo v3 share: a momentum encoder with its schedule, two sets of views."""

import copy

import pytest
import torch
from avalanche.training import plugins as av
from helpers.methods import make, sgd, step
from helpers.strategies import state
from torch import nn

from avalanche_ssl import SelfSupervised
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.methods import BYOL, MoCoV3
from avalanche_ssl.transforms.augmentation import RandomView

METHODS = pytest.mark.parametrize("cls", [BYOL, MoCoV3])


@METHODS
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_the_momentum_encoder_moves_towards_the_encoder_after_the_step(cls, momentum):
    method = make(cls, momentum=momentum)
    optimizer = sgd(method)
    for _ in range(3):
        averaged = [p.clone() for p in method.momentum_encoder.copy.parameters()]
        step(method, textured(8), optimizer)
        online = list(method.online_network().parameters())
        for old, new, target in zip(averaged, method.momentum_encoder.copy.parameters(), online):
            assert torch.allclose(new, momentum * old + (1 - momentum) * target, atol=1e-7)
    if momentum == 0:
        assert all(torch.equal(a, b) for a, b in zip(method.momentum_encoder.copy.parameters(), online))


@METHODS
def test_the_momentum_encoder_has_no_predictor_no_gradient_and_its_own_statistics(cls):
    method = make(cls)
    assert len(list(method.momentum_encoder.copy.parameters())) == len(list(method.online_network().parameters()))
    method.loss(method(textured(8))).backward()
    assert all(p.grad is None and not p.requires_grad for p in method.momentum_encoder.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())
    norm = next(m for m in method.momentum_encoder.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.training and norm.num_batches_tracked == 2 and norm.running_mean.abs().sum() > 0


def test_momentum_schedule_survives_a_reload():
    first = make(BYOL, momentum_steps=3)
    for _ in range(2):
        step(first, textured(8), sgd(first))
    second = make(BYOL, momentum_steps=3)
    second.load_state_dict(first.state_dict())
    assert second.momentum_encoder.n_updates == 2
    for method in (first, second):
        method.update({})
    pairs = zip(first.momentum_encoder.parameters(), second.momentum_encoder.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)


@METHODS
def test_only_the_second_view_is_solarized(cls):
    plain = RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)
    method, images = make(cls, solarize_prob=1.0, augment=plain), textured(8)
    views = method.views(images)
    x = images / 255
    assert torch.allclose(views["first"], (x - 0.5) / 0.25, atol=1e-5)
    assert torch.allclose(views["second"], (torch.where(x >= 0.5, 1 - x, x) - 0.5) / 0.25, atol=1e-5)


@pytest.mark.slow
@METHODS
def test_the_momentum_encoder_carries_over_and_matters(digits, cls):
    """Experience 2 starts from the momentum encoder that experience 1 left; a new one gives another result."""
    starts = []

    class Look(av.SupervisedPlugin):
        def before_training_exp(self, strategy, **kwargs):
            starts.append([p.clone() for p in strategy.model.momentum_encoder.parameters()])

    model = make(cls)
    strategy = SelfSupervised(model=model, optimizer=sgd(model), train_mb_size=32, plugins=[Look()])
    first, second = list(digits.train_stream)[:2]
    untrained = copy.deepcopy(model.momentum_encoder)
    strategy.train(first, eval_streams=[])
    left = [p.clone() for p in model.momentum_encoder.parameters()]
    forgetful = copy.deepcopy(strategy)
    forgetful.model.momentum_encoder.load_state_dict(untrained.state_dict())
    for one in (strategy, forgetful):
        one.train(second, eval_streams=[])
    assert all(torch.equal(a, b) for a, b in zip(starts[1], left))
    assert not torch.equal(state(strategy)["projection_head.0.weight"], state(forgetful)["projection_head.0.weight"])
