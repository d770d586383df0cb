"""Methods whose views or embeddings break a rule."""

import pytest
import torch
from helpers.broken import Broken, Remembering, assert_caught, assert_complete
from torch import nn

from avalanche_ssl.checks import views
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import (
    MoCo,
    SimCLR,
)
from avalanche_ssl.rng import uniform

BROKEN = Broken()
breaks = BROKEN.breaks


@breaks("inputs_are_left_alone", "embed writes to the tensors it is given: 'first'")
class InPlaceEmbed(SimCLR):
    def embed(self, views):
        views["first"].clamp_(-1, 1)
        return super().embed(views)


@breaks("inputs_are_left_alone", "views writes to its images")
class InPlaceViews(SimCLR):
    def views(self, x):
        return super().views(x.clamp_(max=0.5) if x.is_floating_point() else x)


@breaks("inputs_are_left_alone", "stores the given outputs without a copy as 'last'")
class KeepsOutputs(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("last", torch.zeros(16, 16))

    def remember(self, outputs):
        self.last = outputs["key"]


@breaks("views_are_random", "'first' and 'second' are the same")
class SameViews(SimCLR):
    def views(self, x):
        view = self.augment(x, self.generator)
        return {"first": view, "second": view.clone()}


@breaks("views_are_random", "same in every call")
class PlainViews(SimCLR):
    def views(self, x):
        return {"first": self.augment.normalize_only(x), "second": self.augment.normalize_only(x).flip(3)}


@breaks("views_are_random", "gradient")
class LearnedViews(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.ones(()))

    def views(self, x):
        return {name: self.gain * view for name, view in super().views(x).items()}


@breaks("views_belong_to_their_images", "changes row 1 of view 'second'")
class RolledViews(SimCLR):
    def views(self, x):
        return {"first": self.augment(x, self.generator), "second": self.augment(x, self.generator).roll(1, 0)}


@breaks("views_belong_to_their_images", "give one row per image")
class JoinedViews(SimCLR):
    def views(self, x):
        views = super().views(x)
        return views | {"both": torch.cat([views["first"], views["second"]])}


@breaks("views_do_not_depend_on_the_number_of_processes", "draws less for a share of the images: draw by")
class OwnDraws(SimCLR):
    def views(self, x):
        noise = torch.rand(len(x), 1, 1, 1, generator=self.generator)
        return {name: view + noise for name, view in super().views(x).items()}


@breaks("views_do_not_depend_on_the_number_of_processes", "view 'first' of a share of the images is another one")
class DrawsOfOtherImages(SimCLR):
    def views(self, x):
        noise = uniform((len(x), 2), 0, 1, self.generator).T.reshape(len(x), 2)[:, 0]
        return {name: view + noise.view(-1, 1, 1, 1) for name, view in super().views(x).items()}


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwice(MoCo):
    def embed(self, views):
        order = torch.randperm(len(views["first"]), generator=self.generator)
        key = l2_normalize(self.momentum_encoder(views["second"][order]))[order.argsort()][order.argsort()]
        return {"query": l2_normalize(self.online_network()(views["first"])), "key": key}


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwiceUnseeded(MoCo):
    def embed(self, views):
        back = torch.randperm(len(views["first"])).argsort()
        return {
            "query": l2_normalize(self.online_network()(views["first"])),
            "key": l2_normalize(self.momentum_encoder(views["second"]))[back],
        }


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwiceFixed(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"key": outputs["key"].flip(0)}


@breaks("embeddings_belong_to_their_images", "output 'key' in train mode")
class UnshuffledTwiceInTraining(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"key": outputs["key"].flip(0)} if self.training else outputs


@breaks("embeddings_belong_to_their_images", "has shape ()")
class ScalarOutput(SimCLR):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"agreement": (outputs["first"] * outputs["second"]).sum()}


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert_complete(BROKEN, views)
