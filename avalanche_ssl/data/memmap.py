"""How much of an array on disk stays in a process's memory?

Every image that is read from a memory map leaves its pages mapped, and those around it: read in random order, a file of
many gigabytes soon seems to be in memory as a whole. So they are let go again and again. The system keeps them in its
cache as long as it has room, where the next reading finds them.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 2**30
"""Bytes of a larger file that stay mapped, besides those of one batch."""

AROUND = 2**21
"""Bytes that the system maps around one that is read, at most."""


class MemmapResidency:
    """Counts what was read, and lets go of it in time."""

    def __init__(self) -> None:
        self.bytes = 0

    def read(self, array: NDArray[np.uint8], images: int) -> None:
        """So many images (H, W, C) were read at random places of an array (N, H, W, C)."""
        mapping = _mapping(array)
        if mapping is None or len(mapping) <= KEPT:
            return
        self.bytes += images * (AROUND + array[:1].nbytes)
        if self.bytes >= KEPT:
            self.bytes = 0
            mapping.madvise(mmap.MADV_DONTNEED)


residence = MemmapResidency()
"""Of this process."""


def _mapping(array: Any) -> mmap.mmap | None:
    """What the array lies in, if that is a file opened for reading, on a system that can be asked to let go of it."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.mode != "r":  # of a private copy, changes would be lost
            return None
        array = array.base
    return array if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
