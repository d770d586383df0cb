"""VICReg: the loss of the method is that of its embeddings, with its three weights."""

import torch
from helpers.methods import make

from avalanche_ssl.checks import textured
from avalanche_ssl.losses import vicreg_loss
from avalanche_ssl.methods import VICReg


def test_the_loss_is_that_of_both_embeddings():
    method = make(VICReg, invariance=3.0, variance=2.0, covariance=0.5)
    outputs = method(textured(8))
    assert torch.equal(method.loss(outputs), vicreg_loss(outputs["first"], outputs["second"], 3.0, 2.0, 0.5))
