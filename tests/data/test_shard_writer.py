"""Image files packed into shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import webdataset
from helpers.photos import pixels

from avalanche_ssl.data import ShardImages, index_shards
from avalanche_ssl.data.shard_writer import write_shards
from avalanche_ssl.errors import UsageError


def test_webdataset_reads_what_is_written(photos: Path, tmp_path: Path) -> None:
    """Files come as they are, in the given order, with their labels; -1 is no label."""
    paths = [photos / "ab"[i // 5] / f"{i}.png" for i in (3, 7, 0, 9, 1)]
    shards = write_shards(paths, [2, 0, -1, 1, 1], tmp_path / "out" / "train", 2)
    assert [path.name for path in shards] == ["000000.tar", "000001.tar", "000002.tar"]
    samples = list(webdataset.WebDataset([str(path) for path in shards], shardshuffle=False))
    assert [sample["png"] for sample in samples] == [path.read_bytes() for path in paths]
    assert [sample.get("cls") for sample in samples] == [b"2", b"0", None, b"1", b"1"]
    images = ShardImages(index_shards(tmp_path / "out"), 0, 3, size=8, labeled=True)
    x, y = images.read(np.arange(5))
    assert np.array_equal(x.permute(0, 2, 3, 1).numpy(), np.stack([pixels(i) for i in (3, 7, 0, 9, 1)]))
    assert y.tolist() == [2, 0, -1, 1, 1]


def test_the_same_images_make_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    paths = sorted(photos.rglob("*.png"))
    (one,), (other,) = (write_shards(paths, [0] * 10, tmp_path / name) for name in "xy")
    assert one.read_bytes() == other.read_bytes()


def test_mistakes_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="images_per_shard"):
        write_shards([], [], tmp_path / "x", 0)
    with pytest.raises(UsageError, match=r"cannot read image '.*no\.png' \(No such file"):
        write_shards([photos / "no.png"], [0], tmp_path / "x")
    assert not list((tmp_path / "x").iterdir()), "no half shard"
    write_shards([photos / "a/1.png"], [0], tmp_path / "x")
    with pytest.raises(UsageError, match="holds shards already"):
        write_shards([photos / "a/1.png"], [0], tmp_path / "x")
    with pytest.raises(UsageError, match=r"cannot write to '.*1\.png/x' \(Not a directory\)"):
        write_shards([photos / "a/1.png"], [0], photos / "a/1.png/x")
