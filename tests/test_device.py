"""A training step of every recipe stays on the GPU and never waits for it, checked on tensors without values.

No GPU is needed: whatever reads a value fails, and so does what joins tensors of two devices. The backward pass needs a
driver, and is torch's.
"""

import logging

import pytest
import torch
from helpers.encoders import tiny
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from avalanche_ssl.memory import bank
from avalanche_ssl.memory.prototypes import Prototypes
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe

FROZEN = 1000
"""Steps of a freeze that is under way; others are over, since the host's count has no value here either."""


def fake_gpus():
    """Whether this torch computes on a GPU that does not exist; 2.6 asks for its driver even then."""
    try:
        with FakeTensorMode():
            torch.zeros(2, device="cuda")[0].bool()
    except RuntimeError:
        return False
    return True


pytestmark = pytest.mark.skipif(not fake_gpus(), reason="this torch needs a driver for tensors without values")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """What is drawn or counted on the host has no value here either; no tensor is shared."""
    monkeypatch.setattr(
        "avalanche_ssl.transforms.augmentation._permutation", lambda length, generator: [*range(length)]
    )
    monkeypatch.setattr(Prototypes, "frozen", property(lambda prototypes: prototypes.freeze == FROZEN))
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    monkeypatch.setattr(logging.getLogger("torch._subclasses.fake_tensor"), "disabled", True)
    bank._weights.cache_clear()
    yield
    bank._weights.cache_clear()


def on_gpu(method):
    """The method with parameters and buffers on a GPU that need not exist."""
    moved = {}

    def move(tensor):
        if tensor not in moved:
            like = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
            moved[tensor] = nn.Parameter(like, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else like
        return moved[tensor]

    for module in method.modules():
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: move(tensor) for name, tensor in tensors.items() if tensor is not None})
    return method


def train(method, steps=2):
    for _ in range(steps):
        outputs = method(torch.zeros(16, 3, 32, 32, dtype=torch.uint8, device="cuda"))
        labels = {"labels": torch.zeros(16, dtype=torch.long, device="cuda")} if method.num_classes_read else {}
        loss = method.loss(outputs | labels)
        assert loss.device.type == "cuda"
        method.update({name: output.detach() for name, output in outputs.items()})


@pytest.mark.parametrize("name", ["swav", "swav_multicrop"])
def test_a_step_with_frozen_prototypes_does_neither(name):
    method = load_recipe(name).override({"freeze": FROZEN}).build_method()
    with FakeTensorMode():
        train(on_gpu(method).train())


@pytest.mark.contract
@pytest.mark.parametrize("stream", [False, True], ids=["experiences", "online"])
@pytest.mark.parametrize("name", recipe_names())
def test_a_step_stays_on_the_gpu_and_never_waits_for_it(name, stream):
    recipe = load_recipe(name)
    method = recipe.override(recipe.online_defaults if stream else {}).build_method()
    with FakeTensorMode():
        train(on_gpu(method).train())


def test_reading_a_value_and_leaving_a_tensor_behind_would_show():
    def waits(outputs):
        return next(iter(outputs.values())).sum() * float(method.queue.n_enqueued)

    method = load_recipe("moco").build_method()
    method.loss = waits
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        train(on_gpu(method))
    method = load_recipe("moco").build_method()
    with FakeTensorMode():
        on_gpu(method).queue.rows = torch.zeros(8, 128)
        with pytest.raises(RuntimeError, match="device"):
            train(method)
