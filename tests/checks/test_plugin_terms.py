"""Plugins whose term or training breaks a rule."""

import copy

import pytest
import torch
from helpers.plugins import BrokenPlugins, Centered, Tether, assert_caught, assert_complete, distance
from helpers.strategies import simclr
from torch import nn

from avalanche_ssl.checks import check_plugin, plugin_terms
from avalanche_ssl.plugins import ContinualPlugin, Teacher

BROKEN = BrokenPlugins()
breaks = BROKEN.breaks


@breaks("its_gradient_reaches_the_encoder", "no gradient of the term reaches the encoder")
class DetachedEmbedding(Centered):
    def term(self, strategy):
        return self.head(strategy.mb_output["first"].detach()).square().mean()


@breaks("its_gradient_reaches_the_encoder", "term has no gradient")
class NoGradient(Tether):
    def term(self, strategy):
        with torch.no_grad():
            return super().term(strategy)


@breaks("its_gradient_reaches_the_encoder", "term returns torch.float32 (8,): return a 0-d float32 tensor")
class Unreduced(Centered):
    def term(self, strategy):
        return self.head(strategy.mb_output["first"]).square().mean(1)

    def before_backward(self, strategy, **kwargs):
        strategy.loss = strategy.loss + self.term(strategy).mean()


@breaks("its_gradient_reaches_the_encoder", "term returns None in each")
class NeverReady(Tether):
    def boundary(self, strategy):
        pass


@breaks("its_parameters_are_trained_once", "parameter 'head.weight' is in 0 groups of the optimizer, not 1: make it in")
class LateHead(Centered):
    def build(self, strategy):
        pass

    def term(self, strategy):
        if not hasattr(self, "head"):
            self.head = nn.Linear(8, 8)
        return super().term(strategy)


@breaks("its_parameters_are_trained_once", "parameter 'head.weight' is in 0 groups")
class ForgottenHead(Centered):
    def attach(self, strategy):
        self.build(strategy)


@breaks("its_parameters_are_trained_once", "parameter 'head.weight' is in 2 groups of the optimizer, not 1: leave it")
class TwiceTrained(Centered):
    def attach(self, strategy):
        super().attach(strategy)
        twice = {"params": list(self.parameters()), "lr": 0.1}
        strategy.optimizer.param_groups.append(strategy.optimizer.param_groups[0] | twice)


@breaks("its_parameters_are_trained_once", "its copy of the method 'old' is trainable")
class TrainableTeacher(Tether):
    def build(self, strategy):
        super().build(strategy)
        self.old = copy.deepcopy(strategy.model)


@breaks("its_parameters_are_trained_once", "no gradient reaches parameter 'head.weight'")
class RandomHead(Centered):
    """Pitfall of a reimplementation of Osiris: the second head is never trained."""

    def term(self, strategy):
        weight, bias = self.head.weight.detach(), self.head.bias.detach()
        return nn.functional.linear(strategy.mb_output["first"], weight, bias).square().mean()


@breaks("its_parameters_are_trained_once", "is frozen, and in the optimizer")
class FrozenLater(Centered):
    def attach(self, strategy):
        super().attach(strategy)
        self.head.requires_grad_(False)


@breaks("its_parameters_are_trained_once", "weight decay")
class Decayed(Centered):
    def attach(self, strategy):
        super().attach(strategy)
        strategy.optimizer.param_groups[-1]["weight_decay"] = 0.1


@breaks("the_teacher_stays", "a forward and backward pass changed the frozen 'old.encoder")
class MovingStatistics(Tether):
    """The copy normalizes by the batch, as published, and its running statistics move."""

    def build(self, strategy):
        super().build(strategy)
        self.old = copy.deepcopy(strategy.model).requires_grad_(False)

    def term(self, strategy):
        if not self.teacher.taken:
            return None
        with torch.no_grad():
            outputs = self.old.embed(strategy.mb_views)
        return distance(strategy, self.old.embeddings(outputs))


@breaks("the_teacher_stays", "within an experience, a step changed the frozen 'teacher.")
class FollowingTeacher(Tether):
    def after_step(self, strategy):
        if self.teacher.taken:
            self.teacher.follow(strategy.model, 0.5)


@breaks("idle_where_it_says_so", "it has a term in the first experience")
class FromRandomStart(Tether):
    """Pitfall: the untrained model is distilled."""

    def term(self, strategy):
        return distance(strategy, self.teacher.embeddings(strategy))


@breaks("idle_where_it_says_so", "in the first experience, it changed the method's")
class DrawsAtOnce(Tether):
    def after_step(self, strategy):
        torch.rand(1, generator=strategy.model.generator)


@breaks("off_is_off", "with weight 0, it changed")
class DrawsViews(Centered):
    """Pitfall: the method's views become others, so that weight 0 is another run."""

    def term(self, strategy):
        torch.rand(1, generator=strategy.model.generator)
        return super().term(strategy)


@breaks("off_is_off", "with weight 0, it changed")
class UpdatesMethod(Centered):
    def after_step(self, strategy):
        with torch.no_grad():
            next(strategy.model.parameters()).mul_(0.99)


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_plugins_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_plugin_and_a_docstring():
    assert_complete(BROKEN, plugin_terms)


class Slow(ContinualPlugin):
    """An EMA copy: it follows each step, and has a term from the second one."""

    def build(self, strategy):
        self.teacher = Teacher(strategy.model)

    def term(self, strategy):
        return distance(strategy, self.teacher.embeddings(strategy)) if self.teacher.taken else None

    def after_step(self, strategy):
        self.teacher.follow(strategy.model, 0.9)


@pytest.mark.parametrize("make", [Tether, Centered, Slow, lambda: Tether(every=2), lambda: Tether(balance=0.3)])
def test_sound_plugins_pass(make):
    check_plugin(make(), simclr())
