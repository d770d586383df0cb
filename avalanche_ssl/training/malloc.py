"""Keep freed memory in the process by options of glibc's malloc, or return it to the system."""

import ctypes
import gc
import os
from functools import lru_cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of the two options in glibc's <malloc.h>."""


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let glibc's malloc keep up to 2 GiB that are free, and serve blocks of up to 1 GiB from them; True if it does.

    By default each tensor above 32 MiB is a mapping of its own, and free memory at the end of the heap is returned at
    once: the activations of a step on the CPU are unmapped, mapped and zeroed page by page in every step, which costs a
    small network a sixth of its time (benchmarks/RESULTS.md). The options hold for the whole process. They are not
    changed if `GLIBC_TUNABLES` or a `MALLOC_...` variable is set, or with another C library.
    """
    if any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, 2**30)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))


def give_back_freed_memory() -> None:
    """Return free memory to the system, so that the memory the process uses next can be measured."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
