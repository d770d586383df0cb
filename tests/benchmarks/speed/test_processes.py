"""What a step of one process takes, and collectives that are counted."""

import pytest
import torch
from speed.case import Case
from speed.processes import Traffic, measure_step, of_processes

CASE = Case("simclr", "smallconv", 8, 32, "fp32", "cpu")


@pytest.mark.slow
def test_a_step_has_times_of_all_parts_and_no_traffic_in_one_process():
    found = measure_step(CASE._replace(batch=8), steps=1, repeats=1)
    assert found["wall"] > 0 and found["processor"] > 0
    assert found["parts"]["forward"] > 0 and found["parts"]["backward"] > 0
    assert found["collectives"] == found["megabytes"] == 0
    assert of_processes(found) == found


def test_collectives_are_counted_with_their_bytes(monkeypatch):
    import torch.distributed as dist

    called = []
    monkeypatch.setattr(dist, "all_gather", lambda parts, x: called.append("gather"))
    monkeypatch.setattr(dist, "all_reduce", lambda x, group=None: called.append("reduce"))
    traffic = Traffic()
    with traffic.counted():
        dist.all_gather([], torch.zeros(3))
        dist.all_reduce(torch.zeros(2, dtype=torch.float64), group=None)
    dist.all_reduce(torch.zeros(5))
    assert called == ["gather", "reduce", "reduce"]
    assert (traffic.calls, traffic.bytes) == (2, 28)
