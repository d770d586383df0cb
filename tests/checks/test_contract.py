"""`check_method`: sound methods pass, nothing outside changes, errors have their cause."""

import importlib
import inspect
import pkgutil
import random
from functools import partial

import numpy as np
import pytest
import torch
from helpers.broken import SMALL_CMC, SMALL_MOCO, build
from helpers.methods import narrow
from torch import nn

from avalanche_ssl import methods
from avalanche_ssl.checks.contract import CHECKS, ContractError, check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import (
    BYOL,
    CMC,
    CPC,
    PIRL,
    BarlowTwins,
    DeepCluster,
    MoCo,
    MoCoV3,
    SimCLR,
    SimSiam,
    Supervised,
    SwAV,
    VICReg,
)
from avalanche_ssl.methods.base import Method

THREE = ("l", "ab", "edges")


SOUND = {
    "simclr": lambda: SimCLR(narrow, output_dim=16),
    "moco v1": lambda: MoCo(narrow, hidden_dim=0, temperature=0.07, momentum=0.999, **SMALL_MOCO),
    "moco v2": lambda: MoCo(narrow, **SMALL_MOCO),
    "moco symmetric": lambda: MoCo(narrow, symmetric=True, **SMALL_MOCO),
    "cmc": lambda: CMC(narrow, **SMALL_CMC),
    "cmc nce": lambda: CMC(narrow, objective="nce", **SMALL_CMC),
    "cmc in the batch": lambda: CMC(narrow, negatives="batch", **SMALL_CMC),
    "cmc with a hidden layer": lambda: CMC(narrow, hidden_dim=16, **SMALL_CMC),
    "cmc with norm in the heads": lambda: CMC(narrow, hidden_dim=16, head_norm=True, **SMALL_CMC),
    "cmc core": lambda: CMC(narrow, views=THREE, graph="core", **SMALL_CMC),
    "cmc full nce": lambda: CMC(narrow, views=THREE, objective="nce", **SMALL_CMC),
    "cpc": lambda: CPC(narrow, output_dim=16, hidden_dim=16, blocks=2),
    "pirl": lambda: PIRL(narrow, output_dim=16, capacity=24, count=12),
    "cmc core in the batch": lambda: CMC(narrow, views=THREE, graph="core", negatives="batch", **SMALL_CMC),
    "deepcluster": lambda: DeepCluster(narrow, output_dim=16, clusters=4, capacity=24),
    "swav": lambda: SwAV(narrow, output_dim=16, prototypes=12, freeze=2),
    "byol": lambda: BYOL(narrow, output_dim=16, hidden_dim=32),
    "simsiam": lambda: SimSiam(narrow, output_dim=16, hidden_dim=8),
    "barlow_twins": lambda: BarlowTwins(narrow, output_dim=16),
    "vicreg": lambda: VICReg(narrow, output_dim=16),
    "moco v3": lambda: MoCoV3(narrow, output_dim=16, hidden_dim=32),
    "moco split": lambda: MoCo(narrow, split_norm=True, **SMALL_MOCO),
    "supervised": lambda: Supervised(narrow, classes=4),
}


@pytest.mark.contract
@pytest.mark.parametrize("name", SOUND)
def test_methods_keep_the_contract(name):
    torch.manual_seed(0)
    check_method(SOUND[name]())


def is_method(value):
    """Whether it is a complete method, and no base class."""
    return inspect.isclass(value) and issubclass(value, Method) and value.loss is not Method.loss


def test_every_method_is_tested():
    tested = {type(make()).__name__ for make in SOUND.values()}
    assert tested == {name for name in methods.__all__ if is_method(getattr(methods, name))}


NOT_COSINES = {"byol", "simsiam", "barlow_twins", "vicreg", "cpc", "supervised"}
"""Their losses normalize by themselves, or are of dot products, logits or correlations."""


PROJECTIONS = {"first", "second"}
"""Outputs of MoCo v3 that no loss of its own compares."""


@pytest.mark.parametrize("name", [name for name in SOUND if name not in NOT_COSINES])
def test_embeddings_that_are_compared_by_cosine_are_unit(name):
    torch.manual_seed(0)
    for output, rows in SOUND[name]()(textured(8)).items():
        if rows.is_floating_point() and not (name == "moco v3" and output in PROJECTIONS):
            assert torch.allclose(rows.norm(dim=-1), torch.ones(rows.shape[:-1]), atol=1e-6)


def test_every_method_is_exported():
    """A module that defines classes defines a method; one without any, such as `trial`, holds functions of methods."""
    for file in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{file.name}")
        own = [n for n, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        if not own:
            continue
        public = [n for n in own if not n.startswith("_") and issubclass(getattr(module, n), Method)]
        assert public and set(public) <= set(methods.__all__), file.name


class SplitNorm(nn.BatchNorm1d):
    """Statistics by groups of at least 4 images, as on several devices."""

    def forward(self, x):
        groups = max(1, len(x) // 4) if self.training else 1
        return torch.cat([super(SplitNorm, self).forward(part) for part in x.chunk(groups)])


class ShuffledOnce(MoCo):
    """Keys are shuffled before the momentum encoder, and un-shuffled once."""

    def embed(self, views):
        order = torch.randperm(len(views["first"]), generator=self.generator)
        key = l2_normalize(self.momentum_encoder(views["second"][order]))[order.argsort()]
        return {"query": l2_normalize(self.online_network()(views["first"])), "key": key}


class ShuffledSplit(ShuffledOnce):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.momentum_encoder.copy.append(SplitNorm(16, affine=False))


class Dropping(SimCLR):
    """A custom layer that draws from torch's global generator."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoder.stages.append(nn.Dropout2d(0.1))


class Recomputed(SimCLR):
    """Rule 3: not persistent, but recomputed by `prepare`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("mean", torch.zeros(3), persistent=False)

    def prepare(self, batches):
        self.mean.copy_(torch.stack([x.float().mean((0, 2, 3)) for x in batches]).mean(0) / 255)

    def loss(self, outputs):
        return super().loss(outputs) + self.mean.sum()


@pytest.mark.parametrize("cls", [ShuffledOnce, ShuffledSplit, Dropping, Recomputed])
def test_other_sound_methods_pass(cls):
    check_method(build(cls))


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_other_norms_pass(norm):
    torch.manual_seed(0)
    check_method(SimCLR(partial(narrow, norm=norm), output_dim=16))


def test_a_trained_method_passes():
    method = build(MoCo)
    for _ in range(3):
        outputs = method(textured(8))
        method.loss(outputs).backward()
        method.update({name: rows.detach() for name, rows in outputs.items()})
    check_method(method)


def test_nothing_outside_changes():
    method = build(MoCo)
    method.eval().generator = torch.Generator().manual_seed(3)
    own = method.generator
    state = {name: entry.clone() for name, entry in method.state_dict().items()}
    drawn = own.get_state(), torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    images = textured(8)
    given = images.clone()
    check_method(method, images)
    assert method.generator is own and not method.training and torch.equal(images, given)
    assert all(torch.equal(entry, state[name]) for name, entry in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())
    assert torch.equal(own.get_state(), drawn[0]) and torch.equal(torch.get_rng_state(), drawn[1])
    assert random.getstate() == drawn[2] and np.array_equal(np.random.get_state()[1], drawn[3])


def test_an_error_inside_a_method_is_reported_with_its_cause():
    class Fails(SimCLR):
        def loss(self, outputs):
            raise KeyError("queue")

    with pytest.raises(ContractError, match="KeyError: 'queue'") as caught:
        check_method(build(Fails))
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("images", [textured(5), textured(8).float(), textured(8)[0], textured(8)[[0] * 8]])
def test_unsuitable_images_are_refused(images):
    with pytest.raises(UsageError, match="6 or more different raw images"):
        check_method(build(SimCLR), images)


def test_the_rules_are_those_of_the_modules_in_this_room():
    rooms = {check.__module__.rpartition(".")[2] for check in CHECKS}
    assert rooms == {"features", "views", "learning", "state", "spaces"} and len(set(CHECKS)) == len(CHECKS)
