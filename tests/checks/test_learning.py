"""Methods whose loss or gradient breaks a rule."""

import pytest
import torch
from helpers.broken import Broken, Remembering, assert_caught, assert_complete
from torch import nn

from avalanche_ssl.checks import learning
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import (
    CMC,
    MoCo,
    SimCLR,
)

BROKEN = Broken()
breaks = BROKEN.breaks


@breaks("loss_is_a_finite_scalar", "shape (1,)")
class LossOfOneElement(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs)[None]


@breaks("loss_is_a_finite_scalar", "float64")
class DoubleLoss(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs).double()


@breaks("loss_is_a_finite_scalar", "the loss is nan")
class NanLater(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("steps", torch.zeros(()))

    def remember(self, outputs):
        self.steps += 1

    def loss(self, outputs):
        return super().loss(outputs) + (1 - self.steps).sqrt()


@breaks("loss_is_a_finite_scalar", "no gradient")
class DetachedLoss(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs).detach()


@breaks("gradient_reaches_the_encoder", "encoder.stages")
class DetachedEncoder(SimCLR):
    def embed(self, views):
        first, second = (
            l2_normalize(self.projection_head(self.encoder(views[v]).detach())) for v in ("first", "second")
        )
        return {"first": first, "second": second}


@breaks("gradient_reaches_the_encoder", "'encoder.ab'")
class HalfLearning(CMC):
    def loss(self, outputs):
        return super().loss(outputs | {"ab": outputs["ab"] * 0})


@breaks("gradient_reaches_the_encoder", "encoder.unused.weight")
class UnusedLayer(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoder.unused = nn.Linear(2, 2)


@breaks("batches_of_any_size_work", "AssertionError: 24 % 5")
class DividingQueue(MoCo):
    def update(self, outputs):
        size = len(outputs["key"])
        assert size in (2, 8) or len(self.queue.rows) % size == 0, f"{len(self.queue.rows)} % {size}"
        super().update(outputs)


@breaks("batches_of_any_size_work", "nan")
class DividesByRest(MoCo):
    def loss(self, outputs):
        return super().loss(outputs) + (0.0 if len(outputs["key"]) > 2 else torch.nan)


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert_complete(BROKEN, learning)
