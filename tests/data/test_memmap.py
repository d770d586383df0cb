"""Memory maps: pages that were read are released."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avalanche_ssl.data import memmap
from avalanche_ssl.data.datasets import MappedDataset
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def mapped_bytes() -> int:
    """Of all files, in this process's memory."""
    fields = Path("/proc/self/status").read_text(encoding="ascii").split()
    return 1024 * int(fields[fields.index("RssFile:") + 1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
@pytest.mark.parametrize("size", [200, 10])
def test_pages_that_were_read_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Of large experiences and of small ones, whose loaders live shortly."""
    path, n = tmp_path / "images.npy", 8000
    np.save(path, np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), np.uint8))
    order = np.random.default_rng(1).permutation(n)
    stream = benchmark_from_parts(MappedDataset(path, [0] * n), np.split(order, n // size), None, [], None).train_stream

    def most() -> int:
        before, found = mapped_bytes(), 0
        for experience in stream:
            for _ in RawDataLoader([experience.dataset], [10], shuffle=True):
                found = max(found, mapped_bytes() - before)
        return found

    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**20)
    bounded = most()
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**40)
    assert bounded < n * 3072 / 2 < n * 3072 * 0.9 < most()


def test_changes_of_a_private_copy_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 1)
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[1] = 7
    memmap.residency.read(private, 4)
    memmap.residency.read(np.asarray(private), 4)
    assert (private[1] == 7).all()
    memmap.residency.read(np.zeros((4, 8, 8, 3), np.uint8), 4)  # not mapped at all
