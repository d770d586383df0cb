"""Independent fits in threads."""

import threading

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from avalanche_ssl.probes.parallel import parallel_map


def test_fits_run_at_once_in_one_thread_each_and_leave_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    meet = threading.Barrier(2, timeout=300)  # breaks unless two run at the same time

    def blas_threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    def fit(number):
        meet.wait()
        return number, torch.get_num_threads(), blas_threads()

    try:
        with threadpool_limits(2, "blas"):
            assert blas_threads() == {2}
            assert parallel_map(fit, [1, 2]) == [(1, 1, {1}), (2, 1, {1})]
            assert blas_threads() == {2}
        with pytest.raises(ValueError, match="of the second"):
            parallel_map(lambda number: raise_value_error("of the second") if number == 2 else number, [1, 2])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def raise_value_error(words):
    raise ValueError(words)
