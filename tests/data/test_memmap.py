"""Memory maps: pages that were read are released."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avalanche_ssl.data import memmap
from avalanche_ssl.data.datasets import MappedDataset
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def resident_bytes(path: Path) -> int:
    """Of the file, in this process's memory."""
    found, own = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        name, *values = line.split()
        if not name.endswith(":"):  # the first line of a mapping, which ends with its file
            own = line.endswith(f" {path}")
        elif own and name == "Rss:":
            found += 1024 * int(values[0])
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells")
@pytest.mark.parametrize("size", [50, 10])
def test_pages_that_were_read_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Of large experiences and of small ones, whose loaders live shortly."""
    path, n = tmp_path / "images.npy", 100
    np.save(path, np.random.default_rng(0).integers(0, 256, (n, 256, 256, 3), np.uint8))
    order = np.random.default_rng(1).permutation(n)
    stream = benchmark_from_parts(MappedDataset(path, [0] * n), np.split(order, n // size), None, [], None).train_stream

    def most() -> int:
        found = [0]
        for experience in stream:
            for i, _ in enumerate(RawDataLoader([experience.dataset], [1], shuffle=True)):
                found += [resident_bytes(path)] if i % 10 == 9 else []  # which is slow
        return max(found)

    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**20)
    bounded = most()
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**40)
    assert bounded < path.stat().st_size / 2 < path.stat().st_size * 0.8 < most(), "an image maps 2 MiB at most"


def test_changes_of_a_private_copy_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 1)
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[1] = 7
    memmap.residency.read(private, 4)
    memmap.residency.read(np.asarray(private), 4)
    assert (private[1] == 7).all()
    memmap.residency.read(np.zeros((4, 8, 8, 3), np.uint8), 4)  # not mapped at all
