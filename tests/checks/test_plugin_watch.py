"""What is seen of a plugin in each step."""

import torch
from helpers.plugins import Centered, Tether, memory
from helpers.strategies import simclr
from torch import nn

from avalanche_ssl.checks.plugin_trial import PluginTrial
from avalanche_ssl.checks.plugin_watch import frozen, hooked, method_copies
from avalanche_ssl.plugins import Teacher


def test_terms_and_their_gradients_are_seen():
    first, *_, last = PluginTrial(Tether(), simclr()).on.steps
    assert first.term is None and not first.differentiable and not first.reached and first.trained == set()
    assert last.term > 0 and last.differentiable and last.reached and not last.term.requires_grad
    assert PluginTrial(Centered(), simclr()).on.steps[0].trained == {"head.weight", "head.bias"}


def test_what_a_memory_replays_is_seen():
    step = PluginTrial(memory(), simclr()).on.steps[-1]
    assert step.n_new == 8 and len(step.images) == 16
    assert torch.equal(step.images[step.n_new :], step.remembered)


def test_shapes_are_seen():
    shapes = PluginTrial(Centered(), simclr()).on.steps[-1].shapes
    assert shapes["head.weight"] == "torch.float32 (8, 8)" and shapes["under_way"] == "torch.bool ()"


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.networks = nn.ModuleDict({"teacher": Teacher(simclr()), "head": nn.Linear(2, 2)})
        self.norm = nn.BatchNorm1d(2, affine=False)
        self.register_buffer("count", torch.zeros(()))


def test_frozen_are_the_largest_parts_with_weights_none_of_which_is_trained():
    names = set(frozen(Holder()))
    assert "networks.teacher.taken" in names
    assert {name.rpartition("teacher")[0] for name in names} == {"networks."}
    assert any(name.endswith("running_mean") for name in names)


def test_copies_of_a_method_are_found():
    assert list(method_copies(Holder())) == ["networks.teacher.method"]


def test_hooks_are_found_by_kind():
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    module[0].register_forward_hook(lambda *_: None)
    module[1].register_forward_pre_hook(lambda *_: None)
    module[2].register_full_backward_hook(lambda *_: None)
    assert hooked(module, "m") == {"m.0", "m.1", "m.2"}
