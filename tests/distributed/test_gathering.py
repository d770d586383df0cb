"""Rows of all processes with their gradient, against one process that has them all."""

import pytest
import torch
from helpers.several import spawned
from helpers.several_work import PARTS, adjoint, kinds, learn
from torch.testing import assert_close

from avalanche_ssl import distributed
from avalanche_ssl.distributed import divided, gathered, gathered_calls
from avalanche_ssl.distributed.gathering import _buckets


def test_one_process_has_all_rows():
    x = torch.randn(4, 2)
    assert gathered(x, None) is x
    assert gathered_calls(x, None) is x
    assert torch.equal(divided(torch.exp, x), x.exp())
    distributed.average([x])


def test_tensors_travel_by_dtype_and_in_groups(monkeypatch):
    monkeypatch.setattr("avalanche_ssl.distributed.gathering.BUCKET", 24)
    tensors = [
        torch.zeros(n, dtype=d)
        for n, d in ((4, torch.float32), (1, torch.float64), (3, torch.float32), (1, torch.float32))
    ]
    assert [[t.nbytes for t in bucket] for bucket in _buckets(tensors)] == [[16, 12], [4], [8]]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_gradients_are_those_of_one_process(tmp_path, count):
    for found in spawned(adjoint, count, tmp_path):
        for several, parts in zip(found, [parts for parts in PARTS for _ in range(2)], strict=True):
            for mine, one in zip(several, learn(parts, None, False), strict=True):
                assert_close(mine, one, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
def test_rows_of_every_kind_come_in_the_order_of_the_batch(tmp_path):
    whole = [0, 1, 2, 3, 4]
    for flags, *numbers, views, doubled, single in spawned(kinds, 2, tmp_path):
        assert flags.dtype == torch.bool and flags.tolist() == [False, True, True, True, True]
        assert [n.tolist() for n in numbers] == [whole] * 3
        assert [n.dtype for n in numbers] == [torch.uint8, torch.int64, torch.bfloat16]
        assert views.tolist() == [*whole, *(n + 10 for n in whole)]
        assert doubled.tolist() == [0, 2, 4, 6, 8]
        assert single.tolist() == [1]
