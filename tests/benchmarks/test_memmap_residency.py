"""The command memmap_residency.py: one line per part of the stream."""

import mmap

import memmap_residency
import pytest

from avalanche_ssl.models import ENCODERS


def test_one_line_per_part_and_the_array_is_removed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ENCODERS, "smallconv", ENCODERS["smallconv"])  # the command replaces it
    small = ["--images", "64", "--size", "16", "--parts", "2", "--width", "4", "--batch-size", "16"]
    assert memmap_residency.main([*small, "--folder", str(tmp_path / "array")]) == 0
    before, *lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in (before, *lines)] == ["0", "32", "64"]
    assert lines[-1].split()[4] == "64", "all images are in the bank"
    assert all(float(size.replace(",", "")) > 10 for line in lines for size in line.split()[2:4])
    assert not list((tmp_path / "array").iterdir())


def test_an_array_that_has_no_room_is_refused(tmp_path, capsys):
    assert memmap_residency.main(["--images", str(10**12), "--folder", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "give another --folder or fewer --images" in err and err.count("\n") == 1


def test_resident_memory_grows_with_an_array():
    """Of 64 MiB in pages of their own; an allocator may have some that it kept."""
    pytest.importorskip("resource", reason="no /proc on Windows")
    block = bytes(2**20)
    with mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as data:
        before, _ = memmap_residency.resident_mib()
        for _ in range(64):
            data.write(block)
        assert memmap_residency.resident_mib()[0] > before + 32
