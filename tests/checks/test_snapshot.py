"""Snapshots of modules and their differences."""

import torch
from torch import nn

from avalanche_ssl.checks.snapshot import attributes, changed, describe, equal, tensors


class Holder(nn.Module):
    """A module with state of every kind."""

    shared = (1, 2)

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.items = [{"count": 3}, torch.zeros(2)]


def test_tensors_are_copies_and_may_leave_out_statistics():
    holder = Holder()
    before = tensors(holder)
    assert set(before) == {
        f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert set(tensors(holder, statistics=False)) == {"norm.weight", "norm.bias"}
    holder.norm(torch.randn(4, 2))
    assert changed(before, tensors(holder)) == ["norm.num_batches_tracked", "norm.running_mean", "norm.running_var"]


def test_attributes_are_found_by_path():
    found = attributes(Holder())
    assert found["items[0]['count']"] == 3 and found["shared[1]"] == 2
    assert torch.equal(found["items[1]"], torch.zeros(2))


def test_entries_that_were_added_removed_or_changed_are_named():
    before = {"a": 1, "b": torch.zeros(2), "c": 2.0}
    after = {"a": 1, "b": torch.zeros(2, dtype=torch.double), "d": None}
    assert changed(before, after) == ["b", "c", "d"] and not changed(before, dict(before))


def test_tensors_are_compared_bit_for_bit():
    nan = torch.tensor([float("nan")])
    assert equal(nan, nan.clone())
    assert not equal(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not equal(1, True)


def test_entries_are_described_shortly():
    snapshot = {"scalar": torch.tensor(3), "matrix": torch.zeros(2, 3), "name": "x" * 100}
    assert describe(snapshot, "scalar") == "3" and describe(snapshot, "matrix") == "a tensor (2, 3)"
    assert len(describe(snapshot, "name")) < 40 and describe(snapshot, "absent") == "nothing"
