"""Methods whose memory breaks a rule."""

import itertools
import random

import numpy as np
import pytest
import torch
from helpers.broken import Broken, Remembering, assert_caught, assert_complete
from torch import nn

from avalanche_ssl.checks import state
from avalanche_ssl.losses.contrastive import info_nce, similarity_scores
from avalanche_ssl.methods import (
    MoCo,
    SimCLR,
)

BROKEN = Broken()
breaks = BROKEN.breaks


@breaks("copies_are_independent", "changed 'shared'")
class ClassTensor(Remembering):
    shared = torch.zeros(16)

    def remember(self, outputs):
        self.shared += 1


@breaks("copies_are_independent", "changed 'history[")
class ClassList(Remembering):
    history = []

    def remember(self, outputs):
        self.history.append(1)


@breaks("copies_are_independent", "Only Tensors created explicitly by the user")
class KeepsTheGraph(MoCo):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scale = self.projection_head[0].weight.sum()


@breaks("memory_is_in_the_state_dict", "'bank', which is not persistent: register it without persistent=False")
class NonPersistentBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("bank", torch.zeros(16), persistent=False)

    def remember(self, outputs):
        self.bank.lerp_(outputs["key"].mean(0), 0.5)


@breaks("memory_is_in_the_state_dict", "'bank' is a tensor in a plain attribute")
class PlainTensor(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bank = torch.zeros(16)

    def remember(self, outputs):
        self.bank = outputs["key"].mean(0)


@breaks("memory_is_in_the_state_dict", "'centers[0]'")
class GrowingListOfTensors(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.centers = []

    def remember(self, outputs):
        self.centers.append(outputs["key"].mean(0))


@breaks("memory_is_in_the_state_dict", "'teachers[0]._parameters['weight']'")
class HiddenModule(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.teachers = [nn.Linear(2, 2)]


@breaks("counters_are_tensors", "update changed plain attribute 'pointer' (0 became 8)")
class PythonPointer(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pointer = 0

    def remember(self, outputs):
        self.pointer += len(outputs["key"])


@breaks("counters_are_tensors", "plain attribute 'queue.pointer'")
class PythonPointerInside(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.queue.pointer = 0

    def remember(self, outputs):
        self.queue.pointer += len(outputs["key"])


@breaks("counters_are_tensors", "plain attribute 'losses[0]'")
class GrowingList(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses = []

    def remember(self, outputs):
        self.losses.append(float(self.loss(outputs)))


@breaks("counters_are_tensors", "plain attribute 'state.steps'")
class PlainObject(Remembering):
    class State:
        steps = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.state = self.State()

    def remember(self, outputs):
        self.state.steps += 1


@breaks("counters_are_tensors", "plain attribute 'bank'")
class ArrayBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bank = np.zeros(16)

    def remember(self, outputs):
        self.bank += outputs["key"].mean(0).numpy()


@breaks("counters_are_tensors", "prepare changed plain attribute 'epochs'")
class CountsEpochs(SimCLR):
    epochs = 0

    def prepare(self, batches):
        self.epochs += 1


@breaks("shapes_never_change", "'lazy'")
class LazyBuffer(Remembering):
    def remember(self, outputs):
        if not hasattr(self, "lazy"):
            self.register_buffer("lazy", torch.zeros(16))
        self.lazy += outputs["key"].sum(0)


@breaks("shapes_never_change", "'lazy'")
class LazyBufferInLoss(MoCo):
    def loss(self, outputs):
        if not hasattr(self, "lazy"):
            self.register_buffer("lazy", torch.zeros(16))
        return super().loss(outputs)


@breaks("shapes_never_change", "'clusters'")
class LazyBufferInPrepare(SimCLR):
    def prepare(self, batches):
        self.register_buffer("clusters", torch.stack([x.float().mean() for x in batches]))


@breaks("shapes_never_change", "'bank'")
class GrowingBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("bank", torch.zeros(0, 16))

    def remember(self, outputs):
        self.bank = torch.cat([self.bank, outputs["key"]])


@breaks("shapes_never_change", "'torch.float32 (16,)' became 'torch.float64 (16,)'")
class TypeChanges(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("sum", torch.zeros(16))

    def remember(self, outputs):
        self.sum = self.sum.double() + outputs["key"].sum(0)


@breaks("only_update_writes", "loss changed 'queue.n_enqueued'")
class EnqueueInLoss(MoCo):
    def loss(self, outputs):
        loss = super().loss(outputs)
        self.queue.enqueue(outputs["key"])
        return loss


@breaks("only_update_writes", "embed changed 'queue.n_enqueued'")
class EnqueueInEmbed(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        self.queue.enqueue(outputs["key"])
        return outputs


@breaks("only_update_writes", "embed changed 'momentum_encoder.copy")
class MomentumInEmbed(MoCo):
    def embed(self, views):
        self.momentum_encoder.update(self.online_network())
        return super().embed(views)


@breaks("only_update_writes", "loss changed 'queue.n_enqueued'")
class EnqueueInLossWithGradient(MoCo):
    """lightly's guess whether this is training."""

    def loss(self, outputs):
        loss = super().loss(outputs)
        if loss.requires_grad:
            self.queue.enqueue(outputs["key"])
        return loss


@breaks("only_update_writes", "views changed 'calls'")
class CountsViews(SimCLR):
    calls = 0

    def views(self, x):
        self.calls += 1
        return super().views(x)


@breaks("randomness_comes_from_the_generator", "views draws from 'torch's global generator'")
class UnseededViews(SimCLR):
    def views(self, x):
        return {name: self.augment(x) for name in ("first", "second")}


@breaks("randomness_comes_from_the_generator", "views draws from 'numpy's global generator'")
class NumpyViews(SimCLR):
    def views(self, x):
        return {name: view + np.random.rand() for name, view in super().views(x).items()}


@breaks("randomness_comes_from_the_generator", "loss draws from 'torch's global generator'")
class UnseededNegatives(MoCo):
    def loss(self, outputs):
        rows = self.queue.rows[torch.randperm(len(self.queue.rows))[:12]]
        return info_nce(similarity_scores(outputs["query"], outputs["key"], rows), 0.1)


@breaks("randomness_comes_from_the_generator", "update draws from 'python's global generator'")
class UnseededUpdate(MoCo):
    def update(self, outputs):
        if random.random() < 0.5:
            super().update(outputs)


@breaks("randomness_comes_from_the_generator", "loss does not repeat")
class UnseededGenerator(MoCo):
    def loss(self, outputs):
        unseeded = torch.Generator()
        unseeded.seed()
        rows = self.queue.rows[torch.randperm(len(self.queue.rows), generator=unseeded)[:12]]
        return info_nce(similarity_scores(outputs["query"], outputs["key"], rows), 0.1)


@breaks("a_fresh_copy_continues_bit_for_bit", "losses")
class HiddenClock(MoCo):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.clock = itertools.count()

    def loss(self, outputs):
        return super().loss(outputs) * (1 + next(self.clock))


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert_complete(BROKEN, state)
