"""Rows of the tables of speed, as text."""

import re

from speed.rows import bare_line, compare_with_bare, compare_with_peer, out_of_memory_line, peer_line
from speed.training_step import PARTS


def test_a_row_against_the_bare_network(moco):
    row = compare_with_bare(moco, 1, 2, {})
    assert len(row["full_seconds"]) == len(row["bare_seconds"]) == 2
    assert {*row["parts_seconds"]} == {*PARTS, "rest"}
    first, second = bare_line(row).splitlines()
    assert first.split()[:3] == ["moco", "smallconv", "8"]
    assert re.match(r"  fp32, bare [\d,]+ GFLOP/s, \d+ % of a matrix product's; % of a step: data", second)


def test_a_row_against_a_peer(moco):
    row = compare_with_peer(moco, 1, 1, {}, "avalanche", 0)
    assert row["peer"] == "avalanche" and row["num_workers"] == 0
    assert peer_line(row).split()[:4] == ["moco", "smallconv", "8", "fp32"]


def test_a_row_that_does_not_fit(moco):
    assert out_of_memory_line(moco).endswith("out of memory in fp32")
