"""Losses over clusters: golden values, loops from the equations, lightly where installed."""

import math

import pytest
import torch
from helpers.lcg import unit_rows
from helpers.sinkhorn import naive_sinkhorn

from avalanche_ssl.losses.clustering import cluster_prediction, sinkhorn, swapped_prediction

GOLDEN = 1e-9


W = unit_rows(21, 12, 16)


def golden_scores():
    """Leaves P_v = Z_v W' of crops 0 to 3, each (8, 12)."""
    return [(unit_rows(seed, 8, 16) @ W.T).requires_grad_() for seed in (30, 31, 32, 33)]


def test_swav_golden():
    scores = golden_scores()
    codes = torch.stack([sinkhorn(s, 0.05) for s in scores[:2]], 1)
    loss = swapped_prediction(torch.stack(scores, 1), codes, 0.1)
    loss.backward()
    assert loss.ndim == 0 and loss.item() == pytest.approx(4.930612430081, rel=GOLDEN)
    assert scores[0].grad.norm().item() == pytest.approx(0.5419440202429, rel=GOLDEN)
    assert scores[2].grad.norm().item() == pytest.approx(1.027940967154, rel=GOLDEN)


def test_swav_with_queue_golden():
    scores = golden_scores()
    queues = [unit_rows(seed, 16, 16) @ W.T for seed in (40, 41)]
    codes = torch.stack([sinkhorn(torch.cat([s, q]), 0.05)[:8] for s, q in zip(scores, queues)], 1)
    loss = swapped_prediction(torch.stack(scores, 1), codes, 0.1)
    assert loss.item() == pytest.approx(4.844322749195, rel=GOLDEN)


def test_sinkhorn_golden():
    codes = sinkhorn(golden_scores()[0], 0.05)
    assert codes[0, 0].item() == pytest.approx(3.047707565552e-06, rel=GOLDEN)
    assert codes.max().item() == pytest.approx(0.7597836316752, rel=GOLDEN)
    entropy = torch.special.entr(codes).sum(1).mean()
    assert entropy.item() == pytest.approx(0.9287042926924, rel=GOLDEN)


def test_deepcluster_golden():
    labels = torch.tensor([[(7 * i + 3 * h) % 12 for h in range(3)] for i in range(8)])
    heads = torch.stack([unit_rows(seed, 12, 16) for seed in (50, 51, 52)])
    views = [torch.einsum("bd,hkd->bhk", unit_rows(seed, 8, 16), heads) / 0.1 for seed in (30, 31)]
    loss = torch.stack([cluster_prediction(v, labels) for v in views]).mean()
    assert loss.item() == pytest.approx(4.770182097611, rel=GOLDEN)


def test_swav_equals_lightly():
    """Codes, and value and gradients of the loss, without a queue and with one."""
    swav_loss = pytest.importorskip("lightly.loss.swav_loss")
    for seeds in ((), (40, 41)):
        ours, theirs = golden_scores(), golden_scores()
        queues = [unit_rows(seed, 16, 16) @ W.T for seed in seeds]
        joined = [torch.cat([s, q]) for s, q in zip(ours, queues)] or ours[:2]
        codes = torch.stack([sinkhorn(s, 0.05)[:8] for s in joined], 1)
        assert torch.allclose(sinkhorn(joined[0], 0.05), swav_loss.sinkhorn(joined[0].detach()), rtol=1e-12)
        a = swapped_prediction(torch.stack(ours, 1), codes, 0.1)
        criterion = swav_loss.SwaVLoss(temperature=0.1, sinkhorn_iterations=3, sinkhorn_epsilon=0.05)
        b = criterion(theirs[:2], theirs[2:], queues or None)
        for loss in (a, b):
            loss.backward()
        assert torch.allclose(a, b.squeeze(), rtol=1e-12)
        assert all(torch.allclose(x.grad, y.grad, rtol=1e-10) for x, y in zip(ours, theirs))


@pytest.mark.parametrize("epsilon, iterations", [(0.05, 3), (0.3, 1), (0.1, 10)])
def test_sinkhorn_is_the_papers_algorithm(epsilon, iterations):
    scores = unit_rows(5, 10, 7)
    assert torch.allclose(sinkhorn(scores, epsilon, iterations), naive_sinkhorn(scores, epsilon, iterations))


def test_sinkhorn_balances_prototypes_and_follows_their_order():
    scores = unit_rows(6, 40, 8) + torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0])  # all like prototype 0 best
    codes = sinkhorn(scores, 0.2, 30)
    assert torch.allclose(codes.sum(1), torch.ones(40).double())
    assert torch.allclose(codes.sum(0), torch.full((8,), 5.0).double(), atol=1e-3)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sinkhorn(scores[:, order], 0.2, 30), codes[:, order])


def test_sinkhorn_leaves_out_samples_that_do_not_count():
    scores, valid = unit_rows(7, 20, 6), torch.arange(20) < 12
    assert torch.allclose(sinkhorn(scores, 0.05, 3, valid)[:12], sinkhorn(scores[:12], 0.05, 3))
    assert torch.equal(sinkhorn(scores, 0.05, 3, valid | True), sinkhorn(scores, 0.05, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sinkhorn_does_not_overflow(dtype):
    codes = sinkhorn(torch.ones(8, 4, dtype=dtype, requires_grad=True), 0.001)
    assert codes.dtype == torch.float32 and not codes.requires_grad
    assert torch.allclose(codes, torch.full((8, 4), 0.25))


def test_swapped_prediction_is_the_papers_sum():
    scores, codes = unit_rows(8, 5, 4, 6), unit_rows(9, 5, 2, 6).abs()
    total = 0.0
    for image in range(5):
        for assigned in range(2):
            for crop in {0, 1, 2, 3} - {assigned}:
                log_p = scores[image, crop] / 0.3 - (scores[image, crop] / 0.3).exp().sum().log()
                total -= (codes[image, assigned] * log_p).sum().item() / 3
    assert swapped_prediction(scores, codes, 0.3).item() == pytest.approx(total / (5 * 2))


def test_a_crop_does_not_predict_its_own_code():
    scores, codes = unit_rows(8, 5, 2, 6).requires_grad_(), unit_rows(9, 5, 2, 6).abs()
    zeroed = codes * torch.tensor([1.0, 0.0])[:, None]  # only crop 0 has a code: crop 1 alone predicts
    (gradient,) = torch.autograd.grad(swapped_prediction(scores, zeroed, 0.1), scores)
    assert gradient[:, 0].count_nonzero() == 0 and gradient[:, 1].count_nonzero() > 0


def test_uniform_scores_cost_the_logarithm_of_the_prototypes():
    scores = torch.zeros(6, 3, 10)
    codes = torch.stack([sinkhorn(scores[:, crop], 0.05) for crop in range(2)], 1)
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(math.log(10))


def test_no_gradient_flows_into_codes():
    codes = unit_rows(9, 5, 2, 6).requires_grad_()
    loss = swapped_prediction(unit_rows(8, 5, 3, 6).requires_grad_(), codes, 0.1)
    assert torch.autograd.grad(loss, codes, allow_unused=True)[0] is None


def test_cluster_prediction_weighs_clusters():
    scores, labels = unit_rows(10, 6, 2, 4), torch.tensor([[0, 1], [0, 1], [0, 1], [0, 2], [3, 1], [3, 0]])
    weight = torch.tensor([[0.25, 1, 1, 0.5], [1, 0.25, 1, 1]]).double()
    total = mass = 0.0
    for b in range(6):
        for h in range(2):
            w = weight[h, labels[b, h]].item()
            total -= w * scores[b, h].log_softmax(0)[labels[b, h]].item()
            mass += w
    assert cluster_prediction(scores, labels, weight).item() == pytest.approx(total / mass)
