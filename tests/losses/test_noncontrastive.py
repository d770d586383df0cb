"""Losses without negatives: golden values, loops from the equations, closed forms, lightly where installed."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from helpers.lcg import lcg

from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import info_nce, similarity_scores_in_batch
from avalanche_ssl.losses.noncontrastive import barlow_loss, byol_loss, cosine_similarity, vicreg_loss


def leaf(seed, *shape):
    return lcg(seed, *shape).requires_grad_()


def test_byol_golden():
    p0, p1, z0, z1 = (leaf(seed, 8, 16) for seed in (11, 12, 1, 2))
    loss = byol_loss(p0, z1) + byol_loss(p1, z0)
    loss.backward()
    assert loss.item() == pytest.approx(3.992898533977, abs=1e-9)
    assert p0.grad.norm().item() == pytest.approx(0.2988591145179, abs=1e-9)
    assert p1.grad.norm().item() == pytest.approx(0.3048341478197, abs=1e-9)
    assert z0.grad is None and z1.grad is None


def test_byol_equals_equation_2():
    p, z = lcg(5, 6, 4), lcg(6, 6, 4)
    distances = [float(((a / a.norm() - b / b.norm()) ** 2).sum()) for a, b in zip(p, z)]
    assert byol_loss(p, z).item() == pytest.approx(sum(distances) / 6, rel=1e-12)


def test_barlow_equals_equations_1_and_2():
    a, b, weight = lcg(7, 9, 5), lcg(8, 9, 5), 0.02
    x, y = (((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()).numpy() for z in (a, b))
    total = 0.0
    for i in range(5):
        for j in range(5):
            c = sum(x[n, i] * y[n, j] for n in range(9)) / 9
            total += (1 - c) ** 2 if i == j else weight * c**2
    assert barlow_loss(a, b, weight).item() == pytest.approx(total, rel=1e-12)


def test_vicreg_equals_equations_1_to_6():
    a, b = lcg(7, 9, 5), lcg(8, 9, 5)
    total = 25 * sum(float((a[n, d] - b[n, d]) ** 2) for n in range(9) for d in range(5)) / (9 * 5)
    for z in (a, b):
        total += 25 / 2 * sum(max(0.0, 1 - math.sqrt(float(z[:, d].var()) + 1e-4)) for d in range(5)) / 5
        c = np.cov(z.numpy().T)
        total += sum(c[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    assert vicreg_loss(a, b).item() == pytest.approx(total, rel=1e-12)


LOSSES = pytest.mark.parametrize(
    "loss",
    [byol_loss, lambda a, b: -cosine_similarity(a, b), partial(barlow_loss, weight=0.005), vicreg_loss],
    ids=["byol", "simsiam", "barlow_twins", "vicreg"],
)


@LOSSES
def test_the_loss_is_0d_and_pairs_count_while_their_order_does_not(loss):
    a, b, order = leaf(1, 8, 16), lcg(2, 8, 16), torch.arange(8).roll(3)
    assert loss(a, b).ndim == 0
    assert torch.allclose(loss(a[order], b[order]), loss(a, b))
    assert not torch.allclose(loss(a[order], b), loss(a, b))
    assert loss(b, b) < loss(a, b), "agreement is better"
    assert torch.autograd.gradcheck(lambda z: loss(z, b), a)


@pytest.mark.parametrize("loss", [byol_loss, cosine_similarity, partial(barlow_loss, weight=0.005)])
def test_the_length_of_an_embedding_does_not_count(loss):
    a, b = lcg(1, 8, 16), lcg(2, 8, 16)
    assert torch.allclose(loss(7 * a, b), loss(a, b), rtol=1e-4)


def test_vicreg_reads_the_length_of_an_embedding():
    a, b = lcg(1, 8, 16), lcg(2, 8, 16)
    assert not torch.allclose(vicreg_loss(7 * a, 7 * b), vicreg_loss(a, b))


def test_closed_forms():
    z = lcg(1, 8, 16)
    assert byol_loss(z, z).item() == pytest.approx(0, abs=1e-12)
    constant = torch.ones(8, 16, dtype=torch.float64)
    assert barlow_loss(constant, constant, 0.005).item() == pytest.approx(16), "of a collapse: every diagonal entry"
    assert vicreg_loss(constant, constant).item() == pytest.approx(25 * (1 - 0.01)), "of a collapse: the hinge"
    same = l2_normalize(constant)
    assert info_nce(similarity_scores_in_batch(same, same), 0.2).item() == pytest.approx(math.log(8))


@pytest.mark.parametrize("kind", ["barlow_twins", "vicreg", "byol"])
def test_losses_equal_lightly(kind):
    losses = pytest.importorskip("lightly.loss")
    a, b = leaf(1, 8, 16), lcg(2, 8, 16)
    if kind == "barlow_twins":  # its batch norm has the same eps
        ours, theirs = barlow_loss(a, b, 0.005), losses.BarlowTwinsLoss(lambda_param=0.005)(a, b)
    elif kind == "vicreg":
        ours, theirs = vicreg_loss(a, b), losses.VICRegLoss()(a, b)
    else:
        ours, theirs = byol_loss(a, b), 2 + 2 * losses.NegativeCosineSimilarity()(a, b)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    mine, lightlys = (torch.autograd.grad(loss, a)[0] for loss in (ours, theirs))
    assert torch.allclose(mine, lightlys, rtol=1e-5, atol=1e-9)
