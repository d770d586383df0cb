"""PIRL's losses: golden values, equations 4 and 5 to the letter, closed forms."""

import math

import pytest
import torch
from helpers.lcg import lcg, unit_rows

from avalanche_ssl.functional import l2_normalize, log_mean_exp
from avalanche_ssl.losses.contrastive import info_nce, nce, similarity_scores, softmax_nce

Y = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5])


NEGATIVES = torch.tensor([[(7 * i + 3 * k + 1) % 20 for k in range(1, 7)] for i in range(8)])


def pirl_case(leaf=False):
    """Scores of g and f against the bank: methods.md, appendix A."""
    bank = unit_rows(63, 20, 16)
    anchors = [unit_rows(seed, 8, 16).requires_grad_(leaf) for seed in (71, 61)]
    return [similarity_scores(anchor, bank[Y], bank[NEGATIVES]) for anchor in anchors], anchors


def test_pirl_softmax_golden():
    (g, f), _ = pirl_case()
    assert (0.5 * info_nce(g, 0.07) + 0.5 * info_nce(f, 0.07)).item() == pytest.approx(4.935043367547, rel=1e-9)


def test_pirl_nce_golden():
    """The authors' code: one normalizer, of the patches' scores, for both terms."""
    (g, f), _ = pirl_case()
    log_z = log_mean_exp(g, 0.07)
    assert 20 * log_z.exp().item() == pytest.approx(1199.784315805, rel=1e-9)
    loss = 0.5 * nce(g, 0.07, log_z) + 0.5 * nce(f, 0.07, log_z)
    assert loss.item() == pytest.approx(6.598782487147, rel=1e-5)  # the code adds an epsilon in the logs


def test_pirl_equation_5_golden():
    (g, f), _ = pirl_case()
    assert softmax_nce(g, 0.07).item() == pytest.approx(6.467796848075, rel=1e-9)
    assert softmax_nce(f, 0.07).item() == pytest.approx(4.944538012671, rel=1e-9)


def equation_5(scores, temperature):
    """Eq. 4 for the key and, to the letter, for each negative: it stands in its own numerator and among the noise."""
    total = 0.0
    for row in (scores.detach() / temperature).exp().tolist():
        h = [value / (value + sum(row[1:])) for value in row]
        total -= math.log(h[0]) + sum(math.log(1 - value) for value in h[1:])
    return total / len(scores)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_softmax_nce_equals_equations_4_and_5_of_pirl(temperature):
    (g, _), (anchor, _) = pirl_case(leaf=True)
    assert softmax_nce(g, temperature).item() == pytest.approx(equation_5(g, temperature), rel=1e-12)
    bank = unit_rows(63, 20, 16)

    def loss(rows):
        return softmax_nce(similarity_scores(l2_normalize(rows), bank[Y[:3]], bank[NEGATIVES[:3]]), temperature)

    assert torch.autograd.gradcheck(loss, lcg(71, 3, 16).requires_grad_())
    softmax_nce(g, temperature).backward()
    assert anchor.grad.norm() > 0


def test_softmax_nce_of_equal_scores():
    """h = 1 / (1 + K), as in binary NCE where the model is the noise: ln(1 + K) + K ln(1 + 1/K)."""
    for count in (1, 6, 4096):
        value = softmax_nce(torch.full((4, 1 + count), 0.3, dtype=torch.float64), 0.07).item()
        assert value == pytest.approx(math.log1p(count) + count * math.log1p(1 / count), rel=1e-9)


@pytest.mark.parametrize("best", [0, 3])
def test_softmax_nce_of_a_certain_choice_is_finite(best):
    """The key far ahead: only the noise's own share is left. A negative far ahead: the gap, and its own ln 2."""
    scores = torch.zeros(4, 8)
    scores[:, best] = 1.0
    scores.requires_grad_()
    loss = softmax_nce(scores, 0.001)
    loss.backward()
    assert loss.item() == pytest.approx(7 * math.log(8 / 7) if best == 0 else 1000 + math.log(2), rel=1e-5)
    assert scores.grad.isfinite().all()


def test_softmax_nce_leaves_out_what_does_not_count():
    bank, anchor = unit_rows(63, 20, 16), lcg(71, 8, 16).requires_grad_()
    valid = torch.arange(20) % 3 > 0
    masked, absent = (
        softmax_nce(similarity_scores(l2_normalize(anchor), bank[Y], rows, use), 0.1)
        for rows, use in ((bank, valid), (bank[valid], None))
    )
    assert torch.allclose(masked, absent, rtol=1e-12)
    alone = softmax_nce(similarity_scores(l2_normalize(anchor), bank[Y], bank, torch.zeros(20, dtype=torch.bool)), 0.1)
    (masked + alone).backward()
    assert alone == 0 and anchor.grad.isfinite().all()
