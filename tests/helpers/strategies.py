"""Strategies on digits-on-photographs, and comparisons of what they have become."""

import torch
from avalanche.training import plugins as av
from torch.optim import SGD

from avalanche_ssl import SelfSupervised
from avalanche_ssl.methods import CMC, CPC, MoCo, SimCLR
from helpers.encoders import tiny


def moco(seed=0, **settings):
    torch.manual_seed(seed)
    return MoCo(tiny, output_dim=8, **{"queue_size": 64} | settings)


def cmc(**settings):
    torch.manual_seed(0)
    return CMC(tiny, output_dim=8, **{"capacity": 2048, "count": 64} | settings)


def cpc():
    torch.manual_seed(0)
    return CPC(tiny, output_dim=8)


def simclr():
    torch.manual_seed(0)
    return SimCLR(tiny, output_dim=8)


def make(model=None, **settings):
    model = model or moco()
    optimizer = settings.pop("optimizer", None) or SGD(model.parameters(), lr=0.05, momentum=0.9)
    return SelfSupervised(model=model, optimizer=optimizer, **{"train_mb_size": 32} | settings)


def train(strategy, benchmark, experiences=2):
    for experience in list(benchmark.train_stream)[:experiences]:
        strategy.train(experience, eval_streams=[])
    return strategy


def state(strategy):
    return {k: v.clone() for k, v in strategy.model.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    different = [k for k in first if not torch.equal(first[k], second[k])]
    assert not different, different


class Spy(av.SupervisedPlugin):
    """Calls functions of the strategy at the hooks they are named after."""

    def __init__(self, **hooks):
        super().__init__()
        for name, function in hooks.items():
            setattr(self, name, lambda strategy, function=function, **kwargs: function(strategy))


def small(loss=None, **settings):
    """MoCo for the small stream of the crash tests; `loss` maps the number of a call and its loss to another loss."""
    model = moco(queue_size=40)
    if loss:
        original, calls = model.loss, iter(range(1, 999))
        model.loss = lambda outputs: loss(next(calls), original(outputs))
    return make(model, **{"train_mb_size": 16, "train_epochs": 2} | settings)
