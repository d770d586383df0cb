"""The machine behind a figure."""

import os

import pytest
import torch
from speed import machine


def test_the_rate_of_a_matrix_product_is_one_of_a_computer():
    assert 1e8 < machine.matmul_rate("cpu", "fp32") < 1e15


def test_the_peak_of_memory_counts_from_its_reset():
    machine.reset_peak_memory("cpu")
    before = machine.peak_memory_mib("cpu")
    if before is None or not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this system cannot forget a peak")
    torch.ones(2**25)  # 128 MiB, which are free again
    peak = machine.peak_memory_mib("cpu")
    assert peak > before + 64
    machine.reset_peak_memory("cpu")
    assert machine.peak_memory_mib("cpu") < peak - 64


def test_machine_and_versions_are_named():
    assert "threads" in machine.describe_machine("cpu")
    assert "torch 2" in machine.versions() and "numpy" in machine.versions("numpy")
