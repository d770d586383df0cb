"""Barlow Twins: the loss of the method is that of its embeddings."""

import torch
from helpers.methods import make

from avalanche_ssl.checks import textured
from avalanche_ssl.losses import barlow_loss
from avalanche_ssl.methods import BarlowTwins


def test_the_loss_is_that_of_both_embeddings():
    method = make(BarlowTwins, weight=0.02)
    outputs = method(textured(8))
    assert outputs["first"].shape == outputs["second"].shape == (8, 16)
    assert torch.equal(method.loss(outputs), barlow_loss(outputs["first"], outputs["second"], 0.02))
