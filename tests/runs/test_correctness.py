"""What is kept of each test image, by hand, and files that anything may have happened to."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avalanche_ssl.runs.correctness import FILE, read_correctness, write_correctness


def test_what_was_written_is_read(tmp_path: Path) -> None:
    first = torch.tensor([[True, False, True], [True, False, False]])
    second = torch.tensor([[False] * 8, [True] * 8])
    write_correctness(tmp_path, "ridge@10%", [first, second])
    found = read_correctness(tmp_path)
    assert found is not None and (found.probe, found.images) == ("ridge@10%", [3, 8])
    np.testing.assert_array_equal(found.shares, [1.0, 0.0, 0.5] + [0.5] * 8)


def test_it_is_small(tmp_path: Path) -> None:
    write_correctness(tmp_path, "ridge", [torch.rand(1, 500) > 0.5 for _ in range(20)])
    assert (tmp_path / FILE).stat().st_size < 2000


def test_where_nothing_is_known_nothing_is_written(tmp_path: Path) -> None:
    write_correctness(tmp_path, "ridge", None)
    assert not (tmp_path / FILE).exists() and read_correctness(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"correct": "%%"},
        {"correct": ""},
        {"correct": "AAAAAA=="},
        {"images": []},
        {"images": [-1, 12]},
        {"images": [2**40]},
        {"images": 11},
        {"images": [True, 10]},
        {"probe": 3},
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, wrong: dict[str, object]) -> None:
    write_correctness(tmp_path, "ridge", [torch.ones(1, 11, dtype=torch.bool)])
    content = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(content | wrong))
    assert read_correctness(tmp_path) is None
