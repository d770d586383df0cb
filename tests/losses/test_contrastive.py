"""Contrastive losses: golden values, naive loops from the equations, closed forms, lightly where installed."""

import math

import pytest
import torch
from helpers.lcg import lcg, unit_rows

from avalanche_ssl.functional import l2_normalize, log_mean_exp
from avalanche_ssl.losses.contrastive import (
    info_nce,
    nce,
    nt_xent,
    pair_info_nce,
    similarity_scores,
    similarity_scores_in_batch,
)

GOLDEN = 1e-9


def leaf(seed, *shape):
    return lcg(seed, *shape).requires_grad_()


def views(*seeds, batch=8, dim=16):
    return [unit_rows(seed, batch, dim) for seed in seeds]


@pytest.mark.parametrize(
    "temperature, value, gradient",
    [
        (0.1, 4.522055770682, 1.67772954957),
        (0.2, 3.10989299683, 0.7739704044793),
        (0.5, 2.691891875771, 0.2962239007446),
    ],
)
def test_nt_xent_golden(temperature, value, gradient):
    z0, z1 = leaf(1, 8, 16), lcg(2, 8, 16)
    loss = nt_xent(l2_normalize(z0), l2_normalize(z1), temperature)
    loss.backward()
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(value, rel=GOLDEN)
    assert z0.grad.norm().item() == pytest.approx(gradient, rel=GOLDEN)


def test_moco_golden():
    query, key = leaf(1, 8, 16), lcg(2, 8, 16)
    queue = l2_normalize(lcg(3, 16, 32).T)
    loss = info_nce(similarity_scores(l2_normalize(query), l2_normalize(key), queue), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(4.082104261, abs=1e-9)
    assert query.grad.norm().item() == pytest.approx(0.7556891155524, rel=GOLDEN)


@pytest.mark.parametrize(
    "temperature, pair, core, full",
    [
        (0.07, 13.44064048274, 19.69463612573, 26.94035153179),
        (0.1, 9.927141132422, 14.89636056823, 20.51327592501),
    ],
)
def test_cmc_in_the_batch_golden(temperature, pair, core, full):
    a, b, c = views(91, 92, 93)
    first, second, third = (pair_info_nce(x, y, temperature) for x, y in ((a, b), (a, c), (b, c)))
    assert first.item() == pytest.approx(pair, rel=GOLDEN)
    assert (first + second).item() == pytest.approx(core, rel=GOLDEN)
    assert (first + second + third).item() == pytest.approx(full, rel=GOLDEN)


Y = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5])


NEGATIVES = torch.tensor([[(7 * i + 3 * k + 1) % 20 for k in range(1, 7)] for i in range(8)])


def bank_scores(anchors, bank):
    """CMC's scores: the key is the anchor's own row, the negatives are K = 6 rows of the bank of the other view."""
    return similarity_scores(anchors, bank[Y], bank[NEGATIVES])


def cmc_case(anchor):
    """Anchors of a view (as a leaf) and the bank of the other view."""
    anchors, bank = {"l": (61, 64), "ab": (62, 63)}[anchor]
    return unit_rows(anchors, 8, 16).requires_grad_(), unit_rows(bank, 20, 16)


@pytest.mark.parametrize("anchor, value", [("l", 5.351369996829), ("ab", 6.506643697349)])
def test_cmc_softmax_golden(anchor, value):
    anchors, bank = cmc_case(anchor)
    loss = info_nce(bank_scores(anchors, bank), 0.07)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=GOLDEN)
    if anchor == "l":
        assert anchors.grad.norm().item() == pytest.approx(5.569313265071, rel=GOLDEN)


@pytest.mark.parametrize(
    "anchor, value, normalizer",
    [("l", 7.399865545343, 1690.688689091), ("ab", 7.649787439963, 603.9150022867)],
)
def test_cmc_nce_golden(anchor, value, normalizer):
    scores = bank_scores(*cmc_case(anchor))
    log_z = log_mean_exp(scores.detach(), 0.07)
    assert 20 * log_z.exp().item() == pytest.approx(normalizer, rel=1e-9)
    assert nce(scores, 0.07, log_z).item() == pytest.approx(value, rel=1e-5)  # the official code adds 1e-7 in logs


def test_nt_xent_equals_algorithm_1_of_simclr():
    first, second = views(1, 2)
    z = [v for pair in zip(first, second) for v in pair]  # z_{2k-1}, z_{2k}: the two views of image k
    total = 0.0
    for i in range(16):
        j = i + 1 if i % 2 == 0 else i - 1
        others = sum(math.exp(float(z[i] @ z[k]) / 0.3) for k in range(16) if k != i)
        total -= math.log(math.exp(float(z[i] @ z[j]) / 0.3) / others)
    assert nt_xent(first, second, 0.3).item() == pytest.approx(total / 16, rel=1e-12)


@pytest.mark.parametrize("shared", [True, False])
def test_info_nce_equals_equation_1_of_moco(shared):
    query, key = views(5, 6)
    negatives = unit_rows(7, 12, 16) if shared else unit_rows(7, 8, 12, 16)
    total = 0.0
    for i in range(8):
        rows = [key[i], *(negatives if shared else negatives[i])]
        scores = [math.exp(float(query[i] @ row) / 0.2) for row in rows]
        total -= math.log(scores[0] / sum(scores))
    loss = info_nce(similarity_scores(query, key, negatives), 0.2)
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


def test_pair_info_nce_equals_equation_4_of_cmc():
    first, second = views(8, 9)
    total = 0.0
    for a, b in ((first, second), (second, first)):
        for i in range(8):
            scores = [math.exp(float(a[i] @ b[k]) / 0.1) for k in range(8)]
            total -= math.log(scores[i] / sum(scores)) / 8
    assert pair_info_nce(first, second, 0.1).item() == pytest.approx(total, rel=1e-12)


def test_nce_equals_equation_11_of_cmc():
    """-log P(key) - sum of log(1 - P(noise)), P = p_d / (p_d + K p_n), noise uniform over n rows, p_d = exp(s/T)/Z."""
    query, key = views(10, 11)
    negatives, n, z = unit_rows(12, 6, 16), 50, 321.0
    total = 0.0
    for i in range(8):
        for k, row in enumerate([key[i], *negatives]):
            model, noise = math.exp(float(query[i] @ row) / 0.2) / z, 6 / n
            total -= math.log(model / (model + noise)) if k == 0 else math.log(noise / (model + noise))
    loss = nce(similarity_scores(query, key, negatives), 0.2, torch.tensor(z / n, dtype=torch.float64).log())
    assert loss.item() == pytest.approx(total / 8, rel=1e-12)


def test_log_mean_exp_equals_its_name():
    scores = lcg(13, 8, 7)
    assert log_mean_exp(scores, 0.5).item() == pytest.approx(math.log((scores / 0.5).exp().mean()), rel=1e-12)
    scores[:, 3] = -math.inf
    rest = scores[:, [0, 1, 2, 4, 5, 6]]
    assert log_mean_exp(scores, 0.5).item() == pytest.approx(log_mean_exp(rest, 0.5).item(), rel=1e-12)


@pytest.mark.parametrize("batch", [2, 8, 33])
def test_identical_embeddings_cannot_be_told_apart(batch):
    same = unit_rows(1, 1, 16).expand(batch, 16)
    assert nt_xent(same, same, 0.1).item() == pytest.approx(math.log(2 * batch - 1))
    assert pair_info_nce(same, same, 0.1).item() == pytest.approx(2 * math.log(batch))
    negatives = same[:1].expand(31, 16)
    assert info_nce(similarity_scores(same, same, negatives), 0.1).item() == pytest.approx(math.log(32))


@pytest.mark.parametrize("count", [1, 16, 4096])
def test_nce_where_the_model_is_the_noise(count):
    """p_d = 1/n: ln(1 + K) + K ln(1 + 1/K), 9.3179 for K = 4096; a mean over K, or no K in the odds, fails here."""
    scores = torch.full((4, 1 + count), 0.3, dtype=torch.float64)
    value = nce(scores, 0.07, log_mean_exp(scores, 0.07)).item()
    assert value == pytest.approx(math.log1p(count) + count * math.log1p(1 / count), rel=1e-9)
    if count == 4096:
        assert value == pytest.approx(9.3179, abs=1e-4)


def test_a_large_temperature_leaves_only_the_number_of_candidates():
    first, second = views(1, 2)
    assert nt_xent(first, second, 1e9).item() == pytest.approx(math.log(15))
    assert pair_info_nce(first, second, 1e9).item() == pytest.approx(2 * math.log(8))
    assert info_nce(similarity_scores(first, second, unit_rows(3, 32, 16)), 1e9).item() == pytest.approx(math.log(33))


@pytest.mark.parametrize("temperature, value", [(0.1, 0.24), (0.2, 3.45)])
def test_a_queue_of_random_rows_starts_where_theory_says(temperature, value):
    """q = k and K random rows: ln(1 + K e^{1 / 2DT^2} / e^{1/T})."""
    count, dim = 4096, 128
    rows = l2_normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(0)))
    query = l2_normalize(torch.randn(64, dim, generator=torch.Generator().manual_seed(1)))
    theory = math.log1p(count * math.exp(1 / (2 * dim * temperature**2) - 1 / temperature))
    assert theory == pytest.approx(value, abs=0.005)
    assert info_nce(similarity_scores(query, query, rows), temperature).item() == pytest.approx(theory, abs=0.002)


def nt_xent_of(a, b):
    return nt_xent(a, b, 0.2)


def pair_of(a, b):
    return pair_info_nce(a, b, 0.2)


def queue_of(a, b):
    return info_nce(similarity_scores(a, b, unit_rows(3, 32, 16)), 0.2)


def nce_of(a, b):
    return nce(similarity_scores(a, b, unit_rows(3, 32, 16)), 0.2, torch.tensor(0.7))


LOSSES = pytest.mark.parametrize("loss", [nt_xent_of, pair_of, queue_of, nce_of])


@LOSSES
def test_the_length_of_an_embedding_does_not_count(loss):
    z0, z1 = lcg(1, 8, 16), lcg(2, 8, 16)
    value = loss(l2_normalize(z0), l2_normalize(z1))
    assert torch.allclose(loss(l2_normalize(7 * z0), l2_normalize(z1)), value, rtol=1e-12)
    assert not torch.allclose(loss(7 * l2_normalize(z0), l2_normalize(z1)), value)


@LOSSES
def test_pairs_count_and_their_order_does_not(loss):
    z0, z1 = views(1, 2)
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    assert torch.allclose(loss(z0[order], z1[order]), loss(z0, z1), rtol=1e-12)
    assert not torch.allclose(loss(z0[order], z1), loss(z0, z1))


@pytest.mark.parametrize("loss", [nt_xent_of, pair_of])
def test_both_views_play_the_same_part(loss):
    z0, z1 = views(1, 2)
    assert torch.allclose(loss(z0, z1), loss(z1, z0), rtol=1e-12)


@LOSSES
def test_agreement_is_better(loss):
    z0, z1 = views(1, 2)
    assert loss(z0, z0) < loss(z0, z1)


@LOSSES
def test_the_loss_is_0d_and_differentiable(loss):
    z0, z1 = leaf(1, 8, 16), leaf(2, 8, 16)
    value = loss(l2_normalize(z0), l2_normalize(z1))
    value.backward()
    assert value.ndim == 0 and z0.grad.norm() > 0 and z1.grad.norm() > 0


@LOSSES
def test_gradients_are_those_of_finite_differences(loss):
    z0, z1 = leaf(1, 3, 16), leaf(2, 3, 16)
    assert torch.autograd.gradcheck(lambda a, b: loss(l2_normalize(a), l2_normalize(b)), (z0, z1))


def test_the_temperature_divides_every_score():
    z0, z1 = views(1, 2)
    scores = similarity_scores(z0, z1, unit_rows(3, 32, 16))
    assert torch.allclose(info_nce(scores, 0.2), info_nce(scores / 2, 0.1), rtol=1e-12)
    half = math.sqrt(0.5)
    assert torch.allclose(nt_xent(z0, z1, 0.2), nt_xent(half * z0, half * z1, 0.1), rtol=1e-12)


def test_a_negative_that_does_not_count_is_as_if_absent():
    query, key = views(1, 2)
    negatives = unit_rows(3, 32, 16)
    valid = torch.arange(32) % 3 > 0
    masked, absent = similarity_scores(query, key, negatives, valid), similarity_scores(query, key, negatives[valid])
    assert torch.allclose(info_nce(masked, 0.1), info_nce(absent, 0.1), rtol=1e-12)
    log_z = log_mean_exp(absent, 0.1)
    assert torch.allclose(nce(masked, 0.1, log_z), nce(absent, 0.1, log_z), rtol=1e-12)
    each = valid.expand(8, 32).clone()
    each[0] = ~valid
    rows = [similarity_scores(query[:1], key[:1], negatives[~valid]), absent[1:]]
    expected = (info_nce(rows[0], 0.1) + 7 * info_nce(rows[1], 0.1)) / 8
    assert torch.allclose(info_nce(similarity_scores(query, key, negatives, each), 0.1), expected, rtol=1e-12)


def test_no_negative_at_all_is_no_loss_and_no_nan():
    query = leaf(1, 8, 16)
    scores = similarity_scores(
        l2_normalize(query), unit_rows(2, 8, 16), unit_rows(3, 32, 16), torch.zeros(32, dtype=torch.bool)
    )
    loss = info_nce(scores, 0.1) + nce(scores, 0.1, log_mean_exp(scores.detach(), 0.1))
    loss.backward()
    assert info_nce(scores, 0.1) == 0 and loss.isfinite() and query.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.07, 0.001])
def test_sharp_temperatures_do_not_overflow(temperature):
    first, second = (rows.float().requires_grad_() for rows in views(1, 2))
    scores = similarity_scores(first, second, unit_rows(3, 32, 16).float())
    same = torch.ones(8, 33)
    total = nt_xent(first, second, temperature) + pair_info_nce(first, second, temperature)
    total = total + info_nce(scores, temperature) + info_nce(same, temperature)
    total = total + nce(scores, temperature, log_mean_exp(scores.detach(), temperature))
    total = total + nce(same, temperature, log_mean_exp(same, temperature))
    total.backward()
    assert total.isfinite() and first.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_embeddings_become_float32_units(dtype):
    rows = l2_normalize(lcg(1, 8, 16).to(dtype))
    assert rows.dtype == torch.float32 and torch.allclose(rows.norm(dim=1), torch.ones(8))
    with torch.autocast("cpu", torch.bfloat16):
        assert l2_normalize(torch.ones(2, 4).bfloat16()).dtype == torch.float32
    assert l2_normalize(lcg(1, 8, 16)).dtype == torch.float64


def test_a_zero_embedding_has_a_finite_gradient():
    zero = torch.zeros(4, 16, requires_grad=True)
    nt_xent(l2_normalize(zero), unit_rows(1, 4, 16).float(), 0.1).backward()
    assert zero.grad.isfinite().all()


@pytest.fixture
def lightly():
    """lightly 1.6.0, if installed: `pip install --no-deps lightly==1.6.0`."""
    return pytest.importorskip("lightly.loss", exc_type=ImportError)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_equals_lightly(lightly, temperature):
    ours, theirs = leaf(1, 8, 16), leaf(1, 8, 16)
    z1 = lcg(2, 8, 16)
    a, b = (
        nt_xent(l2_normalize(ours), l2_normalize(z1), temperature),
        lightly.NTXentLoss(temperature=temperature)(theirs, z1),
    )
    a.backward()
    b.backward()
    assert torch.allclose(a, b, rtol=1e-12) and torch.allclose(ours.grad, theirs.grad, rtol=1e-12)


def test_moco_equals_lightly(lightly):
    ours, theirs = leaf(1, 8, 16), leaf(1, 8, 16)
    key, rows = lcg(2, 8, 16), unit_rows(3, 32, 16)
    criterion = lightly.NTXentLoss(temperature=0.2, memory_bank_size=(32, 16))
    criterion.memory_bank.bank = rows.clone()
    a, b = info_nce(similarity_scores(l2_normalize(ours), l2_normalize(key), rows), 0.2), criterion(theirs, key)
    a.backward()
    b.backward()
    assert torch.allclose(a, b, rtol=1e-12) and torch.allclose(ours.grad, theirs.grad, rtol=1e-12)


def test_moco_v3_golden():
    query, key = l2_normalize(lcg(1, 8, 16)), l2_normalize(lcg(2, 8, 16))
    two_tau = 2 * 0.2
    one_direction = two_tau * info_nce(similarity_scores_in_batch(query, key), 0.2)
    assert one_direction.item() == pytest.approx(0.962813759011, abs=1e-9)
    both = pair_info_nce(query, key, 0.2)
    assert torch.allclose(
        both, sum(info_nce(similarity_scores_in_batch(*z), 0.2) for z in ((query, key), (key, query)))
    )
