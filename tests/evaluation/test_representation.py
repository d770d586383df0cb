"""Measures of a representation against their definitions, golden values, and cases worked out by hand."""

import math

import numpy as np
import pytest
import torch
from helpers.lcg import lcg, unit_rows
from torch.nn import functional as F

from avalanche_ssl.evaluation import representation
from avalanche_ssl.evaluation.representation import cluster_usage, infonce_bound, infonce_ceiling
from avalanche_ssl.losses.contrastive import similarity_scores_in_batch
from avalanche_ssl.methods.base import ClusterAssignment, ContrastiveScores


def test_golden_values_of_representation_health():
    x = unit_rows(111, 256, 16)
    y = F.normalize(x + 0.1 * lcg(112, 256, 16), dim=1)
    assert representation.alignment(x, y) == pytest.approx(0.04832193367312, abs=1e-9)
    assert representation.uniformity(x) == pytest.approx(-3.515750927496, abs=1e-9)
    assert representation.uniformity(x, chunk=100) == pytest.approx(-3.515750927496, abs=1e-9)
    assert representation.rankme(x) == pytest.approx(15.88675114813, abs=1e-9)
    assert representation.feature_std(x) == pytest.approx(0.2500795898454, abs=1e-9)


def test_a_collapse_is_seen_in_every_measure():
    collapsed = np.ones((64, 8)) + 1e-6 * np.random.default_rng(0).normal(size=(64, 8))
    assert representation.rankme(collapsed) == pytest.approx(1, abs=0.01)
    assert representation.rankme(np.zeros((64, 8))) == 1
    assert representation.feature_std(collapsed) == pytest.approx(0, abs=1e-5)
    assert representation.uniformity(collapsed) == pytest.approx(0, abs=1e-9)


def test_linear_cka_against_its_definition_and_invariances():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 4))
    center = np.eye(50) - 1 / 50
    k, m = center @ x @ x.T @ center, center @ y @ y.T @ center  # HSIC form, Kornblith et al. eq. 3 and 4
    assert representation.linear_cka(x, y) == pytest.approx((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert representation.linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1)
    assert math.isnan(representation.linear_cka(x, np.ones((50, 2))))


def test_features_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="rows"):
        representation.rankme(np.zeros(3))
    with pytest.raises(ValueError, match="at least 2 rows"):
        representation.uniformity(np.ones((1, 3)))
    with pytest.raises(ValueError, match="same images"):
        representation.linear_cka(np.ones((3, 2)), np.ones((4, 2)))


def test_usage_of_clusters_by_hand():
    batches = [
        ClusterAssignment(torch.tensor([[0, 3], [0, 3]]), 4),
        ClusterAssignment(torch.tensor([[1, 3], [1, 3]]), 4),
    ]
    assert cluster_usage(batches) == {"clusters": 4, "used": 1.5, "perplexity": pytest.approx((2 + 1) / 2)}


@pytest.mark.parametrize("rho, known", [(0.8, {64: 4.16, 512: 6.07}), (0.5, {64: 2.36, 512: 2.93})])
@pytest.mark.parametrize("count", [64, 512])
def test_the_bound_of_correlated_gaussians(rho, known, count):
    """With the optimal critic it comes to min(log N, true information): d = 20."""
    generator, dim, batches = torch.Generator().manual_seed(0), 20, []
    for _ in range(2048 // count * 4):
        x, noise = torch.randn(2, count, dim, generator=generator, dtype=torch.float64)
        y = rho * x + math.sqrt(1 - rho**2) * noise
        density = -torch.cdist(y, rho * x).square() / (2 * (1 - rho**2))  # log p(y | x) up to what x does not change
        scores = torch.cat([density.T.diagonal()[:, None], density.T.masked_fill(torch.eye(count) > 0, -math.inf)], 1)
        scores[:, 1:] += y.square().sum(1) / 2  # over p(y)
        scores[:, 0] += y.square().sum(1) / 2
        batches.append(ContrastiveScores(scores, 1.0, cosine=False))
    found = infonce_bound(batches)
    truth = -dim / 2 * math.log(1 - rho**2)
    assert found["candidates"] == count and found["ceiling"] == pytest.approx(math.log(count))
    assert found["bound"] == pytest.approx(known[count], abs=0.2)
    assert found["bound"] <= min(truth, math.log(count)) + 0.05


@pytest.mark.parametrize(
    "candidates, temperature, value",
    [(511, 0.5, 1.99), (511, 0.2, 4.75), (4097, 0.1, 8.15), (4097, 0.07, 8.315)],
)
def test_the_ceiling_of_the_temperature(candidates, temperature, value):
    assert infonce_ceiling(candidates, temperature) == pytest.approx(value, abs=0.01)
    assert infonce_ceiling(candidates, temperature) < math.log(candidates)


def test_a_simplex_of_perfect_pairs_reaches_the_ceiling():
    z = torch.eye(8, dtype=torch.float64) - 1 / 8
    z = z / z.norm(dim=1, keepdim=True)
    found = infonce_bound([ContrastiveScores(similarity_scores_in_batch(z, z), 0.5)])
    assert found["bound"] == pytest.approx(found["ceiling"], rel=1e-9) and found["top1"] == 1


def test_no_candidates_no_information():
    row = torch.ones(2, 1)
    found = infonce_bound([ContrastiveScores(row, 0.5)])
    assert found["bound"] == 0 and found["ceiling"] == 0 and math.isnan(found["saturation"])
