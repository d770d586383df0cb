"""Trial images and comparisons of the checks."""

import random

import numpy as np
import torch
from helpers.methods import make
from torch.nn import functional as F

from avalanche_ssl.checks import harness
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.checks.snapshot import changed
from avalanche_ssl.methods import (
    SimCLR,
)


def test_textured_images_are_different_and_repeatable():
    images = textured(64)
    assert images.dtype == torch.uint8 and images.shape == (64, 3, 32, 32)
    assert len(images.unique(dim=0)) == 64 and torch.equal(images, textured(64))
    assert F.mse_loss(images[:32].float(), images[32:].float()) > 100


def test_a_rewound_method_draws_the_same_again():
    method = make(SimCLR)
    first = harness.rewound(method).views(textured(4))
    second = harness.rewound(method).views(textured(4))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_close_allows_rounding_of_floats_but_not_of_integers():
    x = torch.tensor([1.0, 100.0])
    assert harness.close(x + 0.05, x) and not harness.close(x + 0.5, x)
    assert not harness.close(x[:1], x)
    assert not harness.close(torch.tensor([1000001]), torch.tensor([1000000]))


def test_mostly_nearest_finds_permuted_rows():
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    assert harness.mostly_nearest(rows + 1e-3, rows) and not harness.mostly_nearest(rows.flip(0), rows)
    assert not harness.mostly_nearest(torch.arange(8), torch.arange(8))


def test_isolated_randomness_restores_the_global_generators():
    before = harness.global_random_states()
    with harness.isolated_randomness():
        random.random(), np.random.rand(), torch.rand(1)
    assert not changed(before, harness.global_random_states())
