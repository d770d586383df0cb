"""InfoNCE between positions of a grid: golden values, a loop over positions, closed forms."""

import math

import pytest
import torch
from helpers.lcg import lcg

from avalanche_ssl.losses.contrastive import info_nce
from avalanche_ssl.losses.patches import patch_info_nce, patch_scores


def cpc_case():
    return lcg(82, 3, 5, 7, 7).requires_grad_(), lcg(81, 3, 5, 7, 7).requires_grad_()


@pytest.mark.parametrize("offset, scale, value", [(3, 0.1, 4.995948069725), (1, 1.0, 5.297083803894)])
def test_cpc_golden(offset, scale, value):
    predictions, targets = cpc_case()
    loss = patch_info_nce(predictions[:, :, :-offset], targets, offset, scale)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-9)
    if offset == 3:
        assert targets.grad.norm().item() == pytest.approx(0.01423620835682, rel=1e-9)
        assert predictions.grad.norm().item() == pytest.approx(0.01381998946845, rel=1e-9)


@pytest.mark.parametrize("drawn", [None, [20, 20, 33, 101, 101], [0, 5, 48, 49, 77, 146]])
def test_cpc_loss_equals_a_loop_over_positions(drawn):
    predictions, targets = (leaf.detach() for leaf in cpc_case())
    positions = [(b, h, w) for b in range(3) for h in range(7) for w in range(7)]
    total = 0.0
    for b in range(3):
        for row in range(5):
            for column in range(7):
                right = (b, row + 2, column)
                others = positions if drawn is None else [positions[i] for i in drawn]
                candidates = [right] + [position for position in others if position != right]
                anchor = predictions[b, :, row, column]
                scores = [math.exp(0.5 * float(anchor @ targets[i, :, h, w])) for i, h, w in candidates]
                total -= math.log(scores[0] / sum(scores)) / 105
    chosen = None if drawn is None else torch.tensor(drawn)
    loss = patch_info_nce(predictions[:, :, :-2], targets, 2, 0.5, chosen)
    assert loss.item() == pytest.approx(total, rel=1e-12)


def test_cpc_loss_is_the_same_with_all_positions_drawn():
    predictions, targets = cpc_case()
    upper = predictions[:, :, :-2]
    every = patch_info_nce(upper, targets, 2, 0.1, torch.arange(147))
    assert torch.allclose(every, patch_info_nce(upper, targets, 2, 0.1), rtol=1e-12)
    assert torch.allclose(every, info_nce(patch_scores(upper, targets, 2), 10), rtol=1e-12)


def test_cpc_predictions_of_zero_cannot_tell():
    _, targets = cpc_case()
    zero = torch.zeros(3, 5, 5, 7, dtype=torch.float64)
    assert patch_info_nce(zero, targets, 2, 0.1).item() == pytest.approx(math.log(147), rel=1e-12)


def test_cpc_dot_products_are_not_normalized():
    predictions, targets = cpc_case()
    once, larger = (patch_info_nce(c * predictions[:, :, :-2], targets, 2, 0.1) for c in (1, 7))
    assert not torch.allclose(once, larger)
