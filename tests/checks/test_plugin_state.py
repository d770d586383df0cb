"""Plugins that remember, draw or replay against a rule."""

import pytest
import torch
from helpers.encoders import tiny
from helpers.plugins import BrokenPlugins, Centered, Tether, assert_caught, assert_complete, memory
from torch import nn

from avalanche_ssl.checks import check_plugin, plugin_state
from avalanche_ssl.methods import MoCo, SimCLR
from avalanche_ssl.plugins import Replay

BROKEN = BrokenPlugins()
breaks = BROKEN.breaks


def moco():
    torch.manual_seed(0)
    return MoCo(tiny, output_dim=8, queue_size=24)


@breaks("hooks_are_removed", "have hooks after a step, the first 'method.encoder")
class Hooked(Centered):
    """Pitfall: a deep copy of the method takes the plugin with it."""

    def build(self, strategy):
        super().build(strategy)
        strategy.model.encoder.register_forward_hook(lambda module, inputs, output: None)


@breaks("randomness_comes_from_its_generator", "it draws from 'torch's global generator'")
class GlobalDraw(Centered):
    def after_step(self, strategy):
        torch.rand(())


class Rearranged(Replay):
    """A replay that changes the batch after it has filled it."""

    def before_training_iteration(self, strategy, **kwargs):
        super().before_training_iteration(strategy, **kwargs)
        if len(self.slots):
            self.rearrange(strategy)


@breaks("replayed_rows_come_last", "strategy.n_new is 8, and rows [8, 9,")
class RemindedFirst(Rearranged):
    def rearrange(self, strategy):
        n = strategy.n_new
        strategy.mbatch = [torch.cat([rows[n:], rows[:n]]) for rows in strategy.mbatch]


@breaks("replayed_rows_come_last", "strategy.n_new is 16, and rows [0, 1, 2, 3, 4, 5, 6, 7]")
class AllAreNew(Rearranged):
    """Pitfall: replayed keys enter the queue again."""

    def rearrange(self, strategy):
        strategy.n_new = len(strategy.mb_x)


@breaks("replayed_rows_come_last", "are not the images that the memory has at `slots`")
class OtherSlots(Rearranged):
    def rearrange(self, strategy):
        self.slots = self.slots.flip(0)


@breaks("replayed_rows_come_last", "a batch has an image twice")
class EntersEarly(Replay):
    """Pitfall: images that meet themselves as negatives."""

    def before_training_iteration(self, strategy, **kwargs):
        self.buffer.reserve(strategy.mb_x.shape[1:], strategy.mb_x.dtype)
        self.buffer.insert(strategy.mb_x, torch.zeros(len(strategy.mb_x), self.buffer.dim), strategy.mb_y)
        super().before_training_iteration(strategy, **kwargs)

    def after_step(self, strategy):
        pass


@breaks("shapes_never_change", "state_dict has changed 'losses'")
class Growing(Centered):
    def build(self, strategy):
        super().build(strategy)
        self.register_buffer("losses", torch.zeros(0))

    def after_step(self, strategy):
        self.losses = torch.cat([self.losses, self.loss[None]])


@breaks("goes_on_bit_for_bit", "interrupted after step 2 and resumed, a run ends with another")
class UnsavedGenerator(Centered):
    def build(self, strategy):
        super().build(strategy)
        self.generator = torch.Generator().manual_seed(0)

    def term(self, strategy):
        return super().term(strategy) * torch.rand((), generator=self.generator)


@breaks("goes_on_bit_for_bit", "interrupted after step 2 and resumed, a run ends with another")
class UnsavedTarget(Centered):
    def term(self, strategy):
        now = strategy.mb_output["second"]
        old, self.old = getattr(self, "old", now.detach()), now.detach()
        return super().term(strategy) + (now - old).square().mean()


@breaks("goes_on_bit_for_bit", "the checkpoint")
class LateBuffer(Centered):
    def after_step(self, strategy):
        if not hasattr(self, "mean"):
            self.register_buffer("mean", torch.zeros(8))


@breaks("counters_are_tensors", "another attribute 'steps' (6 became 4)")
class CountsInPython(Centered):
    def __init__(self):
        super().__init__()
        self.steps = 0

    def after_step(self, strategy):
        self.steps += 1


@breaks("counters_are_tensors", "another attribute 'first'")
class HiddenTensor(Centered):
    first = None

    def after_step(self, strategy):
        self.first = self.loss if self.first is None else self.first


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_plugins_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_plugin_and_a_docstring():
    assert_complete(BROKEN, plugin_state)


class PushesReplayed(Replay):
    def after_update(self, strategy, **kwargs):
        super().after_update(strategy, **kwargs)
        strategy.model.queue.enqueue(strategy.mb_output["key"][strategy.n_new :].detach())


def test_replayed_keys_in_a_queue_are_caught():
    assert_caught(PushesReplayed, "replayed_rows_come_last", "queue 'queue' got 80 rows for 48 new", moco())


class Dropping(SimCLR):
    """Draws from torch's global generator, as often as there are rows."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoder.stages.append(nn.Dropout2d(0.1))


def test_dropout_of_the_method_is_no_draw_of_the_plugin():
    torch.manual_seed(0)
    for plugin in (memory(), Tether()):
        check_plugin(plugin, Dropping(tiny, output_dim=8))


@pytest.mark.parametrize("settings", [{}, {"only": True}, {"policy": "fifo", "batch": 4}])
def test_sound_replays_pass(settings):
    check_plugin(memory(**settings), moco())
