"""The machine behind a figure."""

import torch
from speed import machine


def test_the_rate_of_a_matrix_product_is_one_of_a_computer():
    assert 1e8 < machine.matmul_rate("cpu", "fp32") < 1e15


def test_the_peak_of_memory_counts_from_its_reset():
    machine.reset_peak_memory("cpu")
    before = machine.peak_memory_mib("cpu")
    if before is None:  # a system without /proc
        return
    torch.ones(2**24)
    assert machine.peak_memory_mib("cpu") > before + 32


def test_machine_and_versions_are_named():
    assert "threads" in machine.describe_machine("cpu")
    assert "torch 2" in machine.versions() and "numpy" in machine.versions("numpy")
