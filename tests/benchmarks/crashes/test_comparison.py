"""Comparison of runs, bit for bit."""

import json

import torch
from crashes.comparison import compare, log_of


def test_what_differs_is_named():
    one = {"weights": [torch.zeros(2), torch.ones(2)], "step": 3, "seconds": 1.0}
    other = {"weights": [torch.zeros(2), torch.tensor([1.0, 1.0 + 1e-7])], "step": 3, "seconds": 2.0, "more": None}
    assert compare(one, one) == []
    assert compare(one, other) == [".weights[1]"]
    assert compare({"a": {"b": 1}}, {"a": {}}) == [".a.b"]
    assert compare([1], [1, 2], "list") == ["list"]


def test_times_are_left_out_but_no_counts():
    one, other = ({"probe": {"counts": [144, seconds], "running": seconds}} for seconds in (1.5, 2.5))
    assert compare(one, other) == []
    assert compare({"counts": [144, 1.5]}, {"counts": [143, 1.5]}) == [".counts[0]"]


def test_bits_and_types_count():
    assert compare(torch.tensor(0.0), torch.tensor(0), "x") == ["x"]
    nan = torch.tensor(float("nan"))
    assert compare(nan, nan.clone()) == []


def test_the_log_without_its_times(tmp_path):
    events = [{"event": "run", "commit": "abc"}]
    events += [{"event": "end", "seconds": 3.5, "train_seconds": 2.0, "images_trained": 7}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert log_of(tmp_path) == [{"event": "run"}, {"event": "end", "images_trained": 7}]
