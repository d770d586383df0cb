"""A bound on how much of a memory-mapped array stays resident in a process.

Every image that is read from a memory map leaves its pages mapped, and those around it: read in random order, a file of
many gigabytes soon counts as resident memory entirely. So the pages are released at intervals. The system keeps them in
its page cache as long as it has room, where the next read finds them.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_RESIDENT = 2**30
"""Bytes of a larger file that may stay resident, apart from those of one batch."""

FAULT_AROUND = 2**21
"""Bytes that the system maps around one that is read, at most."""


class MemmapResidency:
    """Counts the bytes that reads have mapped, and releases the pages in time."""

    def __init__(self) -> None:
        self.bytes = 0

    def read(self, array: NDArray[np.uint8], images: int) -> None:
        """Count `images` images (H, W, C) that were read at random places of an array (N, H, W, C)."""
        mapping = _mapping(array)
        if mapping is None or len(mapping) <= MAX_RESIDENT:
            return
        self.bytes += images * (FAULT_AROUND + array[:1].nbytes)
        if self.bytes >= MAX_RESIDENT:
            self.bytes = 0
            mapping.madvise(mmap.MADV_DONTNEED)


residency = MemmapResidency()
"""The count of this process."""


def _mapping(array: Any) -> mmap.mmap | None:
    """The map below the array, if it is of a file opened for reading, and the system can release its pages."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.mode != "r":  # changes of a private copy would be lost
            return None
        array = array.base
    return array if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
