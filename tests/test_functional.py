"""Small tensor functions."""

import math

import pytest
import torch
from helpers.lcg import lcg

from avalanche_ssl.functional import l2_normalize, log_mean_exp, off_diagonal, state_sha256


def test_off_diagonal_entries_are_squared_and_summed():
    matrix = lcg(1, 4, 4)
    naive = sum(float(matrix[i, j]) ** 2 for i in range(4) for j in range(4) if i != j)
    assert float(off_diagonal(matrix)) == pytest.approx(naive)


def test_rows_have_length_one_in_float32_or_float64():
    rows = l2_normalize(3 * lcg(2, 2, 5, 7))
    assert rows.dtype == torch.float64 and torch.allclose(rows.norm(dim=-1), torch.ones(2, 5).double())
    half = l2_normalize(lcg(2, 5, 7).to(torch.bfloat16))
    assert half.dtype == torch.float32 and torch.allclose(half.norm(dim=-1), torch.ones(5))
    assert torch.equal(l2_normalize(torch.zeros(1, 3)), torch.zeros(1, 3))


def test_log_mean_exp_leaves_out_what_is_not_finite():
    scores = lcg(3, 3, 4)
    naive = math.log(sum(math.exp(s / 0.1) for s in scores.flatten().tolist()) / 12)
    assert float(log_mean_exp(scores, 0.1)) == pytest.approx(naive)
    masked = torch.cat([scores, torch.full((3, 1), -torch.inf).double()], dim=1)
    assert float(log_mean_exp(masked, 0.1)) == pytest.approx(naive)


def test_every_value_counts():
    state = {"rows": torch.arange(3.0), "count": 2, "nested": [{"name": "a"}, (1, None)]}
    same = {"rows": torch.arange(3.0), "count": 2, "nested": [{"name": "a"}, (1, None)]}
    assert state_sha256(state) == state_sha256(same)
    others = [
        state | {"rows": torch.tensor([0.0, 1.0, 2.0000002])},
        state | {"rows": torch.arange(3.0).double()},
        state | {"rows": torch.arange(3.0)[None]},
        state | {"count": 3},
        state | {"nested": [{"name": "b"}, (1, None)]},
        state | {"nested": [{"name": "a"}, [1, None]]},
    ]
    assert len({state_sha256(other) for other in (state, *others)}) == 7
