"""The five forms of likeness: loops from the formulas, values by hand, golden values."""

import math

import pytest
import torch
from helpers.lcg import lcg, unit_rows

from avalanche_ssl.plugins import FD, PFR
from avalanche_ssl.plugins.likeness import TEMPERATURES, likeness_loss, warn_of_few_rows

FAMILIES = ["contrastive", "decorrelative", "predictive", "mse", "knowledge"]
BOOKS = (unit_rows(31, 2, 3, 4), unit_rows(32, 2, 3, 4))
P, Z = [lcg(1, 5, 4), lcg(2, 5, 4)], [lcg(3, 5, 4), lcg(4, 5, 4)]


def unit(row):
    return row / math.sqrt(sum(float(x) ** 2 for x in row))


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def softmax(scores):
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def contrastive(p, z, t):
    """Every row of every view finds its target among those of all views and images, and the other way round."""
    p, z = ([unit(row) for view in views for row in view] for views in (p, z))
    total = 0.0
    for i in range(len(p)):
        total -= math.log(softmax([dot(p[i], other) / t for other in z])[i])
        total -= math.log(softmax([dot(z[i], other) / t for other in p])[i])
    return total / (2 * len(p))


def decorrelative(p, z):
    (n, d), total = p.shape, 0.0
    for i in range(d):
        for j in range(d):
            a, b = p[:, i], z[:, j]
            a = (a - a.mean()) / (a.var(correction=0) + 1e-5).sqrt()
            b = (b - b.mean()) / (b.var(correction=0) + 1e-5).sqrt()
            c = dot(a, b) / n
            total += (1 - c) ** 2 if i == j else 0.005 * c**2
    return 0.1 * total


def predictive(p, z):
    return sum(2 - 2 * dot(unit(a), unit(b)) for a, b in zip(p, z, strict=True)) / len(p)


def mse(p, z):
    return sum((float(a) - float(b)) ** 2 for r, s in zip(p, z, strict=True) for a, b in zip(r, s)) / p.numel()


def knowledge(p, z, t, books):
    total = 0.0
    for row, target in zip(p, z, strict=True):
        for old, own in zip(*books, strict=True):
            code = softmax([dot(unit(target), c) / t for c in old])
            guess = softmax([dot(unit(row), c) / t for c in own])
            total -= sum(q * math.log(g) for q, g in zip(code, guess, strict=True))
    return total / (len(p) * len(books[0]))


def naive(family, p, z):
    if family == "contrastive":
        return contrastive(p, z, 0.2)
    if family == "knowledge":
        return sum(knowledge(a, b, 0.1, BOOKS) for a, b in zip(p, z, strict=True)) / len(p)
    form = {"decorrelative": decorrelative, "predictive": predictive, "mse": mse}[family]
    return sum(form(a, b) for a, b in zip(p, z, strict=True)) / len(p)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_equals_a_loop(family, views):
    found = likeness_loss(family, P[:views], Z[:views], codebooks=BOOKS)
    assert found.ndim == 0
    assert found.item() == pytest.approx(naive(family, P[:views], Z[:views]), rel=1e-9)


def test_contrastive_of_one_view_and_two_images_by_hand():
    p = [torch.tensor([[2.0, 0.0], [0.0, 3.0]])]
    z = [torch.tensor([[1.0, 0.0], [5.0, 5.0]])]
    r = math.sqrt(0.5)  # cosine of the second target with both predictions
    rows = [math.log(1 + math.exp(r - 1)), math.log(1 + math.exp(0 - r))]
    columns = [math.log(1 + math.exp(0 - 1)), math.log(2)]
    found = likeness_loss("contrastive", p, z, temperature=1.0)
    assert found.item() == pytest.approx((sum(rows) / 2 + sum(columns) / 2) / 2, rel=1e-6)


GOLDEN = {
    "contrastive": 2.5050190121,
    "decorrelative": 0.194743320752,
    "predictive": 1.25889993856,
    "mse": 0.326119378203,
    "knowledge": 4.5132763279,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_golden_values(family):
    assert likeness_loss(family, P, Z, codebooks=BOOKS).item() == pytest.approx(GOLDEN[family], rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_reaches_predictions_only(family):
    p, z = ([rows.clone().requires_grad_() for rows in views] for views in (P, Z))
    likeness_loss(family, p, z, codebooks=BOOKS).backward()
    assert all(rows.grad.abs().sum() > 0 for rows in p)
    assert all(rows.grad is None for rows in z)


@pytest.mark.parametrize("family", ["contrastive", "decorrelative", "predictive", "mse"])
def test_equal_rows_are_best(family):
    best = likeness_loss(family, Z, Z)
    assert best < likeness_loss(family, P, Z)
    if family in ("predictive", "mse"):
        assert best.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("family", ["contrastive", "knowledge"])
def test_the_temperature_divides_the_scores(family):
    default = likeness_loss(family, P, Z, codebooks=BOOKS)
    assert torch.equal(default, likeness_loss(family, P, Z, TEMPERATURES[family], BOOKS))
    assert not torch.allclose(default, likeness_loss(family, P, Z, 1.0, BOOKS))


def test_few_rows_are_warned_of_with_their_number():
    message = "FD normalizes by the statistics of 15 rows, .* replay more images, or give norm='eval'$"
    with pytest.warns(UserWarning, match=message):
        warn_of_few_rows(FD(), 15)
    with pytest.warns(UserWarning, match="or give predictor_norm='none'$"):
        warn_of_few_rows(PFR(norm="eval"), 15)
    for plugin, rows in ((FD(), 16), (PFR(norm="eval", predictor_norm="none"), 15)):
        warn_of_few_rows(plugin, rows)
