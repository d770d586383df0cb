"""Independent fits spread over the cores, one thread each: small decompositions gain nothing from more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from avalanche_ssl import distributed

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`map`, as many items at a time as torch has threads; the results do not depend on the number of threads.

    `function` runs in threads, each of which computes in one thread of torch and of numpy. It must neither draw from
    a global random state nor change the filters of warnings.
    """
    threads = torch.get_num_threads()
    workers = threads if distributed.size() == 1 else 1  # several processes have to sum up in one order
    # Every thread sets it for itself: torch passes the number to MKL only for the calling thread.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with threadpool_limits(1, user_api="blas"), pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(threads)
