"""The supervised reference: the labels it reads."""

import pytest
import torch
from helpers.methods import make, narrow, seeded
from helpers.methods_on_digits import train
from torch.nn import functional as F

from avalanche_ssl.checks.contract import ContractError, check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Supervised


def test_supervised_loss_is_the_cross_entropy_of_the_labels():
    method, labels = make(Supervised), torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    outputs = method(textured(8))
    assert "labels" not in outputs
    loss = method.loss(outputs | {"labels": labels})
    log_p = outputs["logits"].log_softmax(1)
    assert loss.item() == pytest.approx(-sum(log_p[i, c].item() for i, c in enumerate(labels)) / 8, rel=1e-5)
    with pytest.raises(UsageError, match="needs outputs"):
        method.loss(outputs)
    with pytest.raises(ValueError, match="2 classes or more"):
        make(Supervised, classes=1)


@pytest.mark.slow
def test_supervised_names_labels_it_has_no_class_for(digits):
    with pytest.raises(UsageError, match=r"reads labels 0 to 1, and the experience has \d: .*classes="):
        train(make(Supervised, classes=2), digits)


def test_a_method_that_reads_labels_is_checked_with_some():
    class Blind(Supervised):
        def loss(self, outputs):
            return F.cross_entropy(outputs["logits"], outputs["labels"]).detach()

    with pytest.raises(ContractError, match="the loss has no gradient"):
        check_method(seeded(Blind(narrow, classes=4)))
